//! Keys that the remote builder supports, and keys that it does not.

use super::*;
use crate::spec::SecretSource;
use crate::spec::validate::remote::UNCARRIED;

/// A package that uses the remote builder.
fn remote(lines: &str) -> Project {
    table(&format!(
        "builder = \"remote\"\n[package.metadata.union.images.default]\n{lines}"
    ))
    .file("app/Dockerfile")
    .file("app/ca.pem")
}

/// Asserts that a project has exactly one problem, on this line, containing this message and help.
#[track_caller]
fn assert_refused(project: &Project, line: usize, message: &str, help: &str) {
    let problems = project.problems();
    let [problem] = &problems[..] else {
        panic!(
            "{} problems for {}: {problems:#?}",
            problems.len(),
            project.union
        )
    };
    let place = problem.labels[0].origin.to_string();
    assert!(
        place.contains(&format!("app/Cargo.toml:{line}:")),
        "{place}: {}",
        problem.message
    );
    assert_eq!(problem.code, Code::UnsupportedByBuilder);
    assert!(
        problem.message.contains(message),
        "`{}` lacks `{message}`",
        problem.message
    );
    assert!(
        problem.help.as_deref().unwrap_or_default().contains(help),
        "{:?} lacks `{help}`",
        problem.help
    );
}

#[test]
fn remote_builder_refuses_each_uncarried_key_at_its_place() {
    for (key, help) in UNCARRIED {
        let (value, beside) = match *key {
            "dockerfile" => ("\"Dockerfile\"", ""),
            "user" => ("\"1000\"", ""),
            "labels" | "annotations" => ("{ a = \"b\" }", ""),
            "compression" => ("\"gzip\"", ""),
            "build-ca" => ("\"ca.pem\"", ""),
            "builder-options" => ("{ network = \"host\" }", ""),
            "builder-config" => ("{ uv-image = \"uv:1\" }", ""),
            "python-exec" => ("\"/usr/bin/python3\"", "pip-packages = [\"a\"]"),
            "conda-channels" => ("[\"a\"]", "python-version = \"3.12\""),
            "pip-secret-mounts" => (
                "{ a = \"/b\" }",
                "secrets = [{ id = \"a\" }]\npip-packages = [\"a\"]",
            ),
            "copy.owner" => ("[{ from = \"Dockerfile\", owner = \"1000\" }]", ""),
            _ => ("[\"a\"]", ""),
        };
        let table = key.split('.').next().unwrap_or(key);
        let message = format!("the remote builder does not support `{key}` of image `default`");
        assert_refused(
            &remote(&format!("{table} = {value}\n{beside}")),
            4,
            &message,
            help,
        );
    }
}

#[test]
fn remote_builder_requires_a_base_with_a_shell() {
    let all = "apt-packages = [\"a\"]\npip-packages = [\"b\"]\npython-version = \"3.12\"\ncommands = [\"c\"]\nsecrets = [{ id = \"d\" }]\n\
        copy = [\"Dockerfile\"]\nworkdir = \"/w\"\nenv = { A = \"b=c,d\", B = \"/b:$PATH\" }\nruntime-libs = [\"libx.so\"]\nrequirements = [\"Cargo.lock\"]";
    let spec = remote(all).spec();
    assert_eq!(
        spec.images["default"].secrets[0].source,
        SecretSource::Backend
    );
    let Base::Reference(base) = &remote("").spec().images["default"].base else {
        panic!("it has a base")
    };
    assert_eq!(base.value, "debian:trixie-slim");
}

#[test]
fn remote_builder_refuses_env_values_secrets_and_platforms() {
    for (lines, message, help) in [
        (
            "base-image = \"scratch\"",
            "`scratch`, the base of image `default`, has none",
            "debian:trixie-slim",
        ),
        (
            "env = { A = \"b c\" }",
            "may change the value of `A`",
            "in the `env` of the tasks",
        ),
        (
            "env = { A = \"$$HOME\" }",
            "may change the value of `A`",
            "in the `env` of the tasks",
        ),
        (
            "commands = [\"x\"]\nsecrets = [{ id = \"a\", env = \"A\" }]",
            "reads the secret `a` from the backend",
            "flyte create secret a",
        ),
        (
            "commands = [\"x\"]\nsecrets = [{ id = \"a\", required = false }]",
            "requires the secret `a`",
            "required = false",
        ),
        (
            "platforms = [\"linux/amd64\", \"linux/arm64\"]",
            "the same binaries for every platform",
            "keep one platform",
        ),
    ] {
        assert_refused(&remote(lines), lines.lines().count() + 3, message, help);
    }
    // Without a binary, all platforms have the same files.
    let environment = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n[package.metadata.union.images.app]\n[package.metadata.union.tasks.app]\nimage = \"app\"";
    remote(environment).spec();
}

#[test]
fn backend_secret_requires_the_remote_builder() {
    let local =
        table("images.default.commands = [\"x\"]\nimages.default.secrets = [{ id = \"a\" }]");
    assert_problem(
        &local,
        Code::InvalidValue,
        "app/Cargo.toml:3:27",
        "a secret comes from one place",
        "either `env",
    );
}

#[test]
fn extended_image_must_use_the_remote_builder_too() {
    for (first, second, remote) in [("remote", "docker", "default"), ("auto", "remote", "b")] {
        let project = table(&format!(
            "[package.metadata.union.images.default]\nbuilder = \"{first}\"\n\
             [package.metadata.union.images.b]\nbuilder = \"{second}\"\nextends = \"default\""
        ));
        let message =
            format!("image `b` extends `default`, and only `{remote}` is built by the backend");
        assert_refused(&project, 6, &message, "for both of them, or for neither");
    }
}
