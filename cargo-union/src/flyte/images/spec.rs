//! Converts a remote image spec into the builder's message.

use crate::flyte::idl::core;
use crate::flyte::idl::core::secret::MountType;
use crate::flyte::idl::imagebuilder::layer::Layer as Is;
use crate::flyte::idl::imagebuilder::{
    AptPackages, Commands, CopyConfig, Env, ImageSpec, Layer, PipOptions, PipPackages,
    Requirements, UvProject, WorkDir,
};
use crate::image::remote_spec::{self, RemoteImageSpec, RemoteStep};

/// The builder's input `spec`.
pub(super) fn spec(image: &RemoteImageSpec) -> ImageSpec {
    ImageSpec {
        base_image: image.base.clone(),
        python_version: image.python.clone(),
        layers: image
            .steps
            .iter()
            .cloned()
            .map(|step| Layer {
                layer: Some(layer(step)),
            })
            .collect(),
        platform: image.platforms.iter().map(ToString::to_string).collect(),
    }
}

fn layer(step: RemoteStep) -> Is {
    match step {
        RemoteStep::Apt(packages) => Is::AptPackages(AptPackages { packages }),
        RemoteStep::Pip {
            packages,
            options: from,
        } => Is::PipPackages(PipPackages {
            packages,
            options: Some(options(from)),
        }),
        RemoteStep::Requirements {
            file,
            options: from,
        } => Is::Requirements(Requirements {
            file,
            options: Some(options(from)),
        }),
        RemoteStep::UvProject {
            directory,
            lock,
            options: from,
        } => Is::UvProject(UvProject {
            pyproject: directory,
            uvlock: lock,
            options: Some(options(from)),
        }),
        RemoteStep::Copy { from, to } => Is::CopyConfig(CopyConfig { src: from, dst: to }),
        RemoteStep::Command { line, secrets } => Is::Commands(Commands {
            cmd: vec![line],
            secret_mounts: secrets.into_iter().map(as_variable).collect(),
        }),
        RemoteStep::Env(env_variables) => Is::Env(Env { env_variables }),
        RemoteStep::Workdir(workdir) => Is::Workdir(WorkDir { workdir }),
    }
}

fn options(options: remote_spec::PipOptions) -> PipOptions {
    PipOptions {
        index_url: options.index.unwrap_or_default(),
        extra_index_urls: options.extra_indexes,
        extra_args: options.arguments.unwrap_or_default(),
    }
}

fn as_variable(secret: remote_spec::BuildSecret) -> core::Secret {
    core::Secret {
        key: secret.key,
        mount_requirement: MountType::EnvVar.into(),
        env_var: secret.variable,
        ..core::Secret::default()
    }
}

/// The secrets of all steps, each once, as the builder task itself mounts them: as files.
pub(super) fn secrets(image: &RemoteImageSpec) -> Vec<core::Secret> {
    let of_steps = image.steps.iter().flat_map(|step| match step {
        RemoteStep::Command { secrets, .. } => secrets.as_slice(),
        _ => &[],
    });
    let keys: std::collections::BTreeSet<&str> =
        of_steps.map(|secret| secret.key.as_str()).collect();
    let file = |key: &str| core::Secret {
        key: key.to_owned(),
        mount_requirement: MountType::File.into(),
        ..core::Secret::default()
    };
    keys.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::flyte::idl::to_json;
    use crate::image::remote_spec::BuildSecret;

    #[test]
    fn each_step_is_a_layer_and_secrets_are_passed_by_name() {
        let secret = |position| BuildSecret {
            key: "hub".to_owned(),
            variable: format!("UNION_SECRET_{position}"),
        };
        let pip = remote_spec::PipOptions {
            index: Some("https://i/simple".to_owned()),
            extra_indexes: vec![],
            arguments: None,
        };
        let image = RemoteImageSpec {
            base: "docker.io/library/debian@sha256:0".to_owned(),
            python: "3.12".to_owned(),
            steps: vec![
                RemoteStep::Apt(vec!["curl".to_owned()]),
                RemoteStep::Pip {
                    packages: vec!["a".to_owned()],
                    options: pip.clone(),
                },
                RemoteStep::Requirements {
                    file: "python/0/requirements.txt".to_owned(),
                    options: pip.clone(),
                },
                RemoteStep::UvProject {
                    directory: "python/1".to_owned(),
                    lock: "python/1/uv.lock".to_owned(),
                    options: pip,
                },
                RemoteStep::Copy {
                    from: "bin".to_owned(),
                    to: "/union/bin".to_owned(),
                },
                RemoteStep::Command {
                    line: "a".to_owned(),
                    secrets: vec![secret(0)],
                },
                RemoteStep::Command {
                    line: "b".to_owned(),
                    secrets: vec![secret(0)],
                },
                RemoteStep::Workdir("/w".to_owned()),
                RemoteStep::Env(BTreeMap::from([("A".to_owned(), "b".to_owned())])),
            ],
            platforms: vec![
                "linux/amd64"
                    .parse()
                    .unwrap_or_else(|_| unreachable!("it is one")),
            ],
        };
        let mount = serde_json::json!([{ "key": "hub", "mountRequirement": "ENV_VAR", "envVar": "UNION_SECRET_0" }]);
        let expected = serde_json::json!({
            "baseImage": "docker.io/library/debian@sha256:0",
            "pythonVersion": "3.12",
            "layers": [
                { "aptPackages": { "packages": ["curl"] } },
                { "pipPackages": { "packages": ["a"], "options": { "indexUrl": "https://i/simple" } } },
                { "requirements": { "file": "python/0/requirements.txt", "options": { "indexUrl": "https://i/simple" } } },
                { "uvProject": { "pyproject": "python/1", "uvlock": "python/1/uv.lock", "options": { "indexUrl": "https://i/simple" } } },
                { "copyConfig": { "src": "bin", "dst": "/union/bin" } },
                { "commands": { "cmd": ["a"], "secretMounts": mount } },
                { "commands": { "cmd": ["b"], "secretMounts": mount } },
                { "workdir": { "workdir": "/w" } },
                { "env": { "envVariables": { "A": "b" } } }
            ],
            "platform": ["linux/amd64"]
        });
        assert_eq!(to_json(&spec(&image)), expected);
        let names: Vec<_> = secrets(&image)
            .into_iter()
            .map(|secret| (secret.key, secret.mount_requirement))
            .collect();
        assert_eq!(names, [("hub".to_owned(), i32::from(MountType::File))]);
    }
}
