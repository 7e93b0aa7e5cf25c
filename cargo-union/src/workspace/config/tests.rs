#![allow(clippy::unwrap_used)]

use super::*;

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

fn config(text: &str) -> CargoConfig {
    CargoConfig {
        table: text.parse().unwrap(),
        files: Vec::new(),
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn flags(config: &CargoConfig, variables: &[(&str, &str)]) -> String {
    config
        .rustflags(&environment(variables), TRIPLE, |cfg| cfg == "cfg(unix)")
        .join(" ")
}

#[test]
fn rustflags_come_from_the_first_source_that_is_set() {
    let build = config("build.rustflags = ['-Abuild']");
    let target = config(
        "build.rustflags = '-Abuild'\ntarget.x86_64-unknown-linux-gnu.rustflags = '-Aone  -Atwo'",
    );
    let cfg = config(
        "build.rustflags = '-Abuild'\n[target.'cfg(unix)']\nrustflags = ['-Acfg']\n[target.'cfg(windows)']\nrustflags = ['-Ano']",
    );
    assert_eq!(flags(&build, &[]), "-Abuild");
    assert_eq!(
        flags(&build, &[("CARGO_BUILD_RUSTFLAGS", "-Aenv")]),
        "-Abuild -Aenv"
    );
    assert_eq!(flags(&target, &[]), "-Aone -Atwo");
    assert_eq!(
        flags(
            &target,
            &[("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Athree")]
        ),
        "-Aone -Atwo -Athree"
    );
    assert_eq!(flags(&cfg, &[]), "-Acfg");
    assert_eq!(flags(&target, &[("RUSTFLAGS", "")]), "");
    assert_eq!(
        flags(
            &target,
            &[
                ("RUSTFLAGS", "-Aenv"),
                ("CARGO_ENCODED_RUSTFLAGS", "-A\x1fwith space")
            ]
        ),
        "-A with space"
    );
}

#[test]
fn nearest_config_file_wins_and_arrays_are_concatenated() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("ws");
    fs::replace(
        &directory.path().join(".cargo/config.toml"),
        b"build.rustflags = ['-Aout']\nbuild.rustc = 'tools/rustc'\n",
    )
    .unwrap();
    fs::replace(
        &root.join(".cargo/config.toml"),
        b"build.rustflags = ['-Ain']\n[env]\nA = '1'\n",
    )
    .unwrap();
    let mut cargo = Cargo::new(&root, Environment::default());
    cargo
        .environment
        .set("CARGO_HOME", directory.path().join("home"));
    fs::replace(
        &directory.path().join("home/config.toml"),
        b"build.rustflags = ['-Ahome']\nbuild.rustc = 'other'\n",
    )
    .unwrap();
    let config = CargoConfig::load(&cargo, &root).unwrap();
    assert_eq!(flags(&config, &[]), "-Ahome -Aout -Ain");
    assert_eq!(
        config.program(&["build", "rustc"]),
        Some(directory.path().join("tools/rustc"))
    );
}

#[test]
fn included_file_has_lower_precedence() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::replace(&directory.path().join(".cargo").join(name), text.as_bytes()).unwrap()
    };
    write(
        "config.toml",
        "include = ['one.toml', { path = 'two.toml', optional = true }, { path = 'absent.toml', optional = true }]\nbuild.rustflags = ['-Ain']\n",
    );
    write(
        "one.toml",
        "include = 'config.toml'\nbuild.rustflags = ['-Aone']\nbuild.rustc = 'one'\n",
    );
    write(
        "two.toml",
        "build.rustflags = ['-Atwo']\nbuild.rustc = 'two'\n",
    );
    let config = CargoConfig::load(
        &Cargo::new(directory.path(), Environment::default()),
        directory.path(),
    )
    .unwrap();
    assert_eq!(
        (
            flags(&config, &[]).as_str(),
            config.program(&["build", "rustc"])
        ),
        ("-Aone -Atwo -Ain", Some("two".into()))
    );
}

#[test]
fn values_of_variables_are_hashed() {
    let variables = environment(&[("CARGO_PROFILE_RELEASE_LTO", "hunter2"), ("HOME", "x")]);
    let inputs = config("").inputs(&variables, &options());
    assert_eq!(
        inputs,
        [(
            "CARGO_PROFILE_RELEASE_LTO".to_owned(),
            Value::hash_of("hunter2")
        )]
    );
}

#[test]
fn tables_of_other_targets_are_not_inputs() {
    let config = config(
        "[target.other]\nlinker = 'a'\n[target.x86_64-unknown-linux-gnu]\nlinker = 'b'\n[build]\nrustc-wrapper = 'c'\njobs = 2\n",
    );
    assert_eq!(
        names(&config, &[]),
        [
            "cargo config: target.x86_64-unknown-linux-gnu",
            "rustc-wrapper = c"
        ]
    );
}

fn options() -> ConfigInputOptions<'static> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    ConfigInputOptions {
        triples: &[TRIPLE],
        portable: &|text| text.to_owned(),
        declared: &NONE,
        in_container: false,
    }
}

/// The names of the inputs, and of programs the values.
fn names(config: &CargoConfig, variables: &[(&str, &str)]) -> Vec<String> {
    let inputs = config
        .inputs(&environment(variables), &options())
        .into_iter();
    inputs
        .map(|(name, value)| match value {
            Value::Text(text) => format!("{name} = {text}"),
            _ => name,
        })
        .collect()
}

#[test]
fn compile_caches_and_empty_wrappers_are_not_inputs() {
    for cache in [
        "",
        "sccache",
        "/opt/bin/sccache",
        "ccache",
        "kache",
        "cachepot",
        "sccache-dist",
        "sccache.exe",
    ] {
        assert_eq!(
            names(
                &config(""),
                &[
                    ("RUSTC_WRAPPER", cache),
                    ("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", cache)
                ]
            ),
            [""; 0],
            "{cache}"
        );
    }
    let wrapped = config("build.rustc-wrapper = 'wrap'");
    assert_eq!(names(&wrapped, &[]), ["rustc-wrapper = wrap"]);
    assert_eq!(names(&wrapped, &[("RUSTC_WRAPPER", "")]), [""; 0]);
    assert_eq!(
        names(
            &wrapped,
            &[
                ("RUSTC_WRAPPER", "/home/me/other"),
                ("CARGO_BUILD_RUSTC_WRAPPER", "third")
            ]
        ),
        ["rustc-wrapper = other"]
    );
}
