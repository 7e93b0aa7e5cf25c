//! The inputs of environment and config: every difference changes the key, and nothing else does.

use cargo_union::build::inputs::{EnvironmentSettings, config_inputs, environment_inputs};
use cargo_union::image::per_platform::PerPlatform;
use cargo_union::sys::digest::Digest;
use proptest::prelude::*;
use union_build::key::Inputs;
use union_build::spec::{self, Compression, SecretSource};

use crate::fixture::{Fixture, image_chain, map, placed, platform, scratch, spec, texts};

fn environment(fixture: &Fixture, chain: &[spec::ImageSpec]) -> Inputs {
    let bases = [(platform("linux/amd64"), None)].into_iter().collect();
    let generations = vec![0; chain.len()];
    let roots = fixture.roots();
    environment_inputs(&EnvironmentSettings {
        chain: &image_chain(chain),
        bases: &bases,
        tools: &PerPlatform::default(),
        generations: &generations,
        roots: &roots,
        files: &fixture.files(),
    })
    .unwrap()
}

fn config(chain: &[spec::ImageSpec]) -> Inputs {
    config_inputs(
        &image_chain(chain),
        &[platform("linux/amd64")],
        &["hello"],
        &Fixture::new().files(),
    )
    .unwrap()
}

fn names(inputs: &Inputs) -> Vec<&str> {
    inputs.iter().map(|(name, _)| name).collect()
}

/// Every key must be there once.
fn all_differ(inputs: &[Inputs]) {
    for (index, one) in inputs.iter().enumerate() {
        for other in &inputs[index + 1..] {
            assert_ne!(
                one.key("image"),
                other.key("image"),
                "{:?} and {:?}",
                one,
                other
            );
        }
    }
}

type Edit = Box<dyn Fn(&mut spec::ImageSpec)>;

fn edited(edits: Vec<Edit>) -> Vec<spec::ImageSpec> {
    let plain = spec("default", scratch());
    let edit = |edit: Edit| {
        let mut spec = spec("default", scratch());
        edit(&mut spec);
        spec
    };
    std::iter::once(plain)
        .chain(edits.into_iter().map(edit))
        .collect()
}

#[test]
fn environment_key_covers_every_part() {
    let fixture = Fixture::new();
    let (file, other) = (
        fixture.write("a", "1", 0o644),
        fixture.write("b", "2", 0o644),
    );
    fixture.write("program", "1", 0o755);
    let copy = |from: &str, to: &str| fixture.copy(from, to);
    let with_mode = spec::Copy {
        mode: Some(placed(0o600)),
        ..copy("a", "/a")
    };
    let with_owner = spec::Copy {
        owner: Some(placed("worker".to_owned())),
        ..copy("a", "/a")
    };
    let copies = [
        vec![copy("a", "/a")],
        vec![copy("b", "/a")],
        vec![copy("a", "/b")],
        vec![copy("program", "/a")],
        vec![with_mode],
        vec![with_owner],
        vec![copy("a", "/a"), copy("b", "/a")],
        vec![copy("b", "/a"), copy("a", "/a")],
    ];
    let secret = |required| spec::SecretSpec {
        id: placed("token".to_owned()),
        source: SecretSource::Env("TOKEN".to_owned()),
        required,
    };
    let mut edits: Vec<Edit> = copies
        .into_iter()
        .map(|copies| {
            Box::new(move |spec: &mut spec::ImageSpec| spec.copy = copies.clone()) as Edit
        })
        .collect();
    let with_command = |spec: &mut spec::ImageSpec| spec.commands = texts(&["c"]);
    edits.extend::<[Edit; 21]>([
        // Commands depend on them, so they belong to the environment.
        Box::new(move |spec| {
            with_command(spec);
            spec.env = map(&[("A", "1")]);
        }),
        Box::new(move |spec| {
            with_command(spec);
            spec.env = map(&[("A", "2")]);
        }),
        Box::new(move |spec| {
            with_command(spec);
            spec.workdir = Some(placed("/1".to_owned()));
        }),
        // Equal for one of the two.
        Box::new(|spec| spec.apt_packages = texts(&["a", "bc"])),
        Box::new(|spec| spec.apt_packages = texts(&["ab", "c"])),
        Box::new(|spec| spec.commands = texts(&["abc"])),
        Box::new(|spec| spec.commands = texts(&["a", "b"])),
        Box::new(|spec| spec.commands = texts(&["b", "a"])),
        Box::new({
            let file = file.clone();
            move |spec| spec.dockerfile = Some(placed(file.clone()))
        }),
        Box::new(move |spec| spec.dockerfile = Some(placed(other.clone()))),
        Box::new(move |spec| spec.requirements = vec![placed(file.clone())]),
        Box::new(|spec| spec.python.packages = texts(&["a"])),
        Box::new(|spec| spec.python.index = Some(placed("a".to_owned()))),
        Box::new(|spec| spec.python.extra_index_url = texts(&["a"])),
        Box::new(|spec| spec.python.extra_args = Some(placed("a".to_owned()))),
        Box::new(|spec| spec.python.version = Some(placed("a".to_owned()))),
        Box::new(|spec| spec.python.exec = Some(placed("a".to_owned()))),
        Box::new(|spec| spec.python.conda_packages = texts(&["a"])),
        Box::new(|spec| spec.builder_options.target = Some(placed("a".to_owned()))),
        Box::new(move |spec| spec.secrets = vec![secret(true)]),
        Box::new(move |spec| spec.secrets = vec![secret(false)]),
    ]);
    let inputs: Vec<_> = edited(edits)
        .into_iter()
        .map(|spec| environment(&fixture, &[spec]))
        .collect();
    all_differ(&inputs);
}

#[test]
fn environment_key_without_commands_excludes_env_and_workdir() {
    let fixture = Fixture::new();
    let plain = spec::ImageSpec {
        apt_packages: texts(&["a"]),
        ..spec("default", scratch())
    };
    let set = spec::ImageSpec {
        env: map(&[("A", "1")]),
        workdir: Some(placed("/1".to_owned())),
        ..plain.clone()
    };
    assert_eq!(
        environment(&fixture, &[plain]).key("environment"),
        environment(&fixture, &[set]).key("environment")
    );
}

#[test]
fn key_covers_base_platform_and_generation() {
    let fixture = Fixture::new();
    let chain = image_chain(&[spec("default", scratch())]);
    let (amd, arm) = (platform("linux/amd64"), platform("linux/arm64"));
    let (one, two) = (Some(Digest::of("1")), Some(Digest::of("2")));
    let bases = [
        vec![(amd.clone(), None)],
        vec![(amd.clone(), one)],
        vec![(amd.clone(), two)],
        vec![(arm, one), (amd, two)],
    ];
    let mut inputs = Vec::new();
    for bases in bases {
        let bases = bases.into_iter().collect();
        for generations in [&[0], &[1]] {
            inputs.push(
                environment_inputs(&EnvironmentSettings {
                    chain: &chain,
                    bases: &bases,
                    tools: &PerPlatform::default(),
                    generations,
                    roots: &fixture.roots(),
                    files: &fixture.files(),
                })
                .unwrap(),
            );
        }
    }
    all_differ(&inputs);
}

#[test]
fn key_covers_tool_images_and_renewed_extended_specs() {
    let fixture = Fixture::new();
    let chain = image_chain(&[spec("below", scratch()), spec("default", scratch())]);
    let bases = [(platform("linux/amd64"), None)].into_iter().collect();
    let tool = |text: &str| {
        [(
            platform("linux/amd64"),
            [("uv".to_owned(), Digest::of(text))].into(),
        )]
        .into_iter()
        .collect()
    };
    let (one, two): (PerPlatform<_>, PerPlatform<_>) = (tool("1"), tool("2"));
    let none = PerPlatform::default();
    let inputs = |tools, generations| {
        environment_inputs(&EnvironmentSettings {
            chain: &chain,
            bases: &bases,
            tools,
            generations,
            roots: &fixture.roots(),
            files: &fixture.files(),
        })
        .unwrap()
    };
    all_differ(&[
        inputs(&none, &[0, 0]),
        inputs(&one, &[0, 0]),
        inputs(&two, &[0, 0]),
        inputs(&none, &[1, 0]),
        inputs(&none, &[0, 1]),
    ]);
}

#[test]
fn config_key_covers_every_part() {
    let fixture = Fixture::new();
    let bundle = fixture.write("ca.pem", "x", 0o644);
    let edits: Vec<Edit> = vec![
        Box::new(|spec| spec.env = map(&[("A", "1")])),
        Box::new(|spec| spec.env = map(&[("A", "2")])),
        Box::new(|spec| spec.labels = map(&[("A", "1")])),
        Box::new(|spec| spec.annotations = map(&[("A", "1")])),
        Box::new(|spec| spec.entrypoint = Some(placed(vec!["a".to_owned(), "b".to_owned()]))),
        Box::new(|spec| spec.entrypoint = Some(placed(vec!["a b".to_owned()]))),
        Box::new(|spec| spec.entrypoint = Some(placed(Vec::new()))),
        Box::new(|spec| spec.user = Some(placed("1".to_owned()))),
        Box::new(|spec| spec.workdir = Some(placed("1".to_owned()))),
        Box::new(move |spec| spec.ca_certificates = Some(placed(bundle.clone()))),
        Box::new(|spec| {
            spec.compression = spec::Sourced {
                value: Compression::Zstd,
                origin: union_build::diag::Origin::Env("X"),
            };
        }),
        Box::new(|spec| {
            spec.auditable = spec::Sourced {
                value: false,
                origin: union_build::diag::Origin::Env("X"),
            };
        }),
    ];
    let mut inputs: Vec<_> = edited(edits)
        .into_iter()
        .map(|spec| config(&[spec]))
        .collect();
    let chain = [spec("default", scratch())];
    inputs.push(
        config_inputs(
            &image_chain(&chain),
            &[platform("linux/arm64")],
            &["hello"],
            &Fixture::new().files(),
        )
        .unwrap(),
    );
    inputs.push(
        config_inputs(
            &image_chain(&chain),
            &[platform("linux/amd64")],
            &["hello", "world"],
            &Fixture::new().files(),
        )
        .unwrap(),
    );
    all_differ(&inputs);
}

#[test]
fn inputs_have_manifest_names_and_hidden_env_values() {
    let fixture = Fixture::new();
    fixture.write("models/weights.bin", "w", 0o644);
    let gpu = spec::ImageSpec {
        copy: vec![fixture.copy("models/weights.bin", "/models/weights.bin")],
        ..spec("gpu", scratch())
    };
    let report = spec::ImageSpec {
        env: map(&[("RUST_LOG", "hush-hush")]),
        ..spec("report", scratch())
    };
    assert_eq!(
        names(&environment(&fixture, std::slice::from_ref(&gpu))),
        [
            "base-image linux/amd64",
            "copy models/weights.bin → /models/weights.bin",
            "generation"
        ]
    );
    let chain = [gpu, report];
    let names_ = environment(&fixture, &chain);
    assert!(names(&names_).contains(&"gpu: copy models/weights.bin → /models/weights.bin"));
    let config = config(&chain);
    assert_eq!(
        names(&config),
        [
            "auditable",
            "binaries",
            "ca-certificates",
            "compression",
            "env RUST_LOG",
            "platforms"
        ]
    );
    assert!(!format!("{config:?}").contains("hush-hush"));
}

#[test]
fn same_copy_with_another_mode_is_a_second_input() {
    let fixture = Fixture::new();
    fixture.write("a", "1", 0o644);
    let other = spec::Copy {
        mode: Some(placed(0o600)),
        ..fixture.copy("a", "/a")
    };
    let image = spec::ImageSpec {
        copy: vec![fixture.copy("a", "/a"), other],
        ..spec("default", scratch())
    };
    assert!(names(&environment(&fixture, &[image])).contains(&"copy a → /a (2)"));
}

#[test]
fn key_does_not_depend_on_directory_umask_registry_or_name() {
    let keys: Vec<_> = [0o600, 0o664]
        .into_iter()
        .map(|mode| {
            let fixture = Fixture::new();
            fixture.write("conf/a", "1", mode);
            let registry = Some(placed(format!("registry-{mode}.test")));
            let name = placed(format!("name-{mode}"));
            let image = spec::ImageSpec {
                copy: vec![fixture.copy("conf", "/conf")],
                registry,
                name,
                ..spec("default", scratch())
            };
            let chain = [image];
            (
                environment(&fixture, &chain).key("environment"),
                config(&chain).key("image"),
            )
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn different_packages_or_commands_have_different_keys(
        one in proptest::collection::vec("[ab ]{0,3}", 0..4), other in proptest::collection::vec("[ab ]{0,3}", 0..4), split in 0..4_usize,
    ) {
        let fixture = Fixture::new();
        let inputs = |list: &[String]| {
            let split = split.min(list.len());
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            environment(&fixture, &[spec::ImageSpec { apt_packages: texts(&list[..split]), commands: texts(&list[split..]), ..spec("default", scratch()) }])
        };
        prop_assert_eq!(one == other, inputs(&one).key("environment") == inputs(&other).key("environment"));
    }

    #[test]
    fn different_variables_have_different_keys(
        one in proptest::collection::btree_map("[A-C]{1,2}", "[a=]{0,2}", 0..3), other in proptest::collection::btree_map("[A-C]{1,2}", "[a=]{0,2}", 0..3),
    ) {
        let inputs = |pairs: &std::collections::BTreeMap<String, String>| {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            config(&[spec::ImageSpec { env: map(&pairs), ..spec("default", scratch()) }])
        };
        prop_assert_eq!(one == other, inputs(&one).key("image") == inputs(&other).key("image"));
    }
}
