#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use proptest::prelude::*;
use union_build::diag::Origin;
use union_build::spec::{
    BuilderConfig, BuilderOptions, ImageSpec, SecretSource, SecretSpec, Sourced,
};

use super::*;

fn placed<T>(value: T) -> Sourced<T> {
    Sourced {
        value,
        origin: Origin::Default,
    }
}

fn texts(texts: &[&str]) -> Vec<Sourced<String>> {
    texts
        .iter()
        .map(|text| placed((*text).to_owned()))
        .collect()
}

/// The spec of an image with these settings.
fn spec(table: &str) -> ImageSpec {
    let text = format!("[package]\nname = 'a'\n[package.metadata.union.images.default]\n{table}\n");
    let file = union_build::diag::SourceFile::new("Cargo.toml", text);
    let facts = union_build::spec::PackageInfo {
        package: "a".to_owned(),
        binaries: vec!["a".to_owned()],
        ..Default::default()
    };
    let overrides = union_build::spec::Overrides::new("/");
    let (spec, problems, _) = union_build::spec::load(None, &file, &overrides, &facts);
    spec.unwrap_or_else(|| panic!("{problems:?}"))
        .images
        .remove("default")
        .unwrap()
}

fn written(
    spec: &ImageSpec,
    copies: Vec<CopyInstruction>,
    authority: bool,
    user: Option<&str>,
) -> String {
    let tools = crate::build::environment::tools(std::slice::from_ref(spec));
    let tools = tools
        .into_iter()
        .map(|reference| (reference.to_owned(), format!("tool/{}", reference.len())))
        .collect();
    let mut spec = spec.clone();
    // Each one corresponds to an entry of the manifest.
    while spec.copy.len() < copies.len() {
        spec.copy.push(copy("/"));
    }
    let mut step = Step {
        spec: &spec,
        copies,
        variables: Variables::new(),
    };
    step.expand_variables(&mut [("PATH".to_owned(), "/bin".to_owned())].into())
        .unwrap();
    write(&DockerfileContext {
        steps: &[step],
        from: "base:1",
        user,
        tools: &tools,
        authority,
        caches: CacheMounts::Locked,
    })
    .text
}

fn copy(to: &str) -> union_build::spec::Copy {
    let from = placed(PathBuf::from("x"));
    let to = placed(to.to_owned());
    union_build::spec::Copy {
        from,
        typed: "x".to_owned(),
        to,
        mode: None,
        owner: None,
        exclude: Vec::new(),
    }
}

fn file(to: &str, owner: Option<&str>) -> CopyInstruction {
    let measured = crate::sys::fs::FileDigest {
        size: 0,
        hash: [0; 32],
    };
    let items = vec![Item {
        to: to.to_owned(),
        kind: ItemKind::File {
            from: PathBuf::from("x"),
            mode: 0o644,
            measured,
        },
    }];
    CopyInstruction {
        items,
        owner: owner.map(str::to_owned),
    }
}

#[test]
fn dockerfile_installs_packages_then_copies_then_runs_commands() {
    let spec = spec("apt-packages = ['libpq5', 'tini']\ncommands = ['ldconfig']");
    let items = vec![Item {
        to: "etc/app".to_owned(),
        kind: ItemKind::Directory,
    }];
    let directory = CopyInstruction { items, owner: None };
    let expected = r#"FROM base:1
USER 0:0
RUN --mount=type=bind,source=.union.apt.conf,target=/run/union/apt.conf --mount=type=cache,target=/run/union/apt,sharing=locked --mount=type=cache,target=/run/union/lists,sharing=locked ["/usr/bin/env","APT_CONFIG=/run/union/apt.conf","DEBIAN_FRONTEND=noninteractive","/bin/sh","-c","apt-get update && apt-get install --yes --no-install-recommends libpq5 tini"]
COPY ["copy/0/","/etc/app/"]
COPY ["copy/1","/srv/x"]
COPY --chown=1000:1000 ["copy/2","/srv/y"]
COPY --chown=app:staff ["copy/3","/srv/z"]
RUN ["/bin/sh","-c","ldconfig"]
USER app:app
"#;
    assert_eq!(
        written(
            &spec,
            vec![
                directory,
                file("srv/x", None),
                file("srv/y", Some("1000")),
                file("srv/z", Some("app:staff"))
            ],
            false,
            Some("app:app")
        ),
        expected
    );
}

#[test]
fn commands_have_the_variables_and_the_working_directory_of_their_image() {
    let table = "env = { A = \"it's $PATH\", PATH = '/opt:$PATH' }\nworkdir = '/a b'\npython-version = '3.12'\ncommands = ['x']";
    let text = written(&spec(table), Vec::new(), false, None);
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert_eq!(last[1], r"WORKDIR /a\ b");
    let path = "/opt/union/python/bin:/bin";
    assert_eq!(
        last[0],
        format!(r#"RUN ["/usr/bin/env","A=it's {path}","PATH=/opt:{path}","/bin/sh","-c","x"]"#)
    );
    let without = written(
        &spec("env = { A = 'b' }\nworkdir = '/w'\napt-packages = ['a']"),
        Vec::new(),
        false,
        None,
    );
    assert!(
        !without.contains("WORKDIR") && !without.contains("A=b"),
        "{without}"
    );
}

#[test]
fn relative_copies_are_left_relative() {
    let mut spec = spec("");
    spec.copy = vec![copy("conf/x"), copy("./"), copy("/x")];
    let directory = CopyInstruction {
        items: vec![Item {
            to: String::new(),
            kind: ItemKind::Directory,
        }],
        owner: None,
    };
    let text = written(
        &spec,
        vec![file("conf/x", None), directory, file("x", None)],
        false,
        None,
    );
    let copies: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("COPY"))
        .collect();
    assert_eq!(
        copies,
        [
            r#"COPY ["copy/0","./conf/x"]"#,
            r#"COPY ["copy/1/","./"]"#,
            r#"COPY ["copy/2","/x"]"#
        ]
    );
}

#[test]
fn apt_version_patterns_are_quoted_for_the_shell() {
    let text = written(
        &spec("apt-packages = ['libpq5=17.*', 'curl/trixie-backports', 'a=1?']"),
        Vec::new(),
        false,
        None,
    );
    assert!(
        text.contains("--no-install-recommends 'libpq5=17.*' curl/trixie-backports 'a=1?'\"]"),
        "{text}"
    );
}

#[test]
fn apt_uses_tmpfs_without_locked_cache_mounts() {
    let spec = spec("apt-packages = ['a']");
    let context = DockerfileContext {
        steps: &[Step {
            spec: &spec,
            copies: Vec::new(),
            variables: Variables::new(),
        }],
        from: "base:1",
        user: None,
        tools: &BTreeMap::new(),
        authority: false,
        caches: CacheMounts::None,
    };
    let text = write(&context).text;
    assert!(
        text.contains("--mount=type=tmpfs,target=/run/union/lists") && !text.contains("type=cache"),
        "{text}"
    );
}

#[test]
fn secrets_and_the_ca_certificate_are_mounted_and_not_in_the_dockerfile() {
    let secret = |id: &str, required| SecretSpec {
        id: placed(id.to_owned()),
        source: SecretSource::Env("TOKEN".to_owned()),
        required,
    };
    let spec = ImageSpec {
        commands: texts(&["curl x"]),
        secrets: vec![secret("a", true), secret("b", false)],
        ..spec("")
    };
    let text = written(&spec, Vec::new(), true, None);
    let run = text.lines().nth(1).unwrap();
    assert!(run.starts_with("RUN --mount=type=secret,id=a,required=true --mount=type=secret,id=b,required=false --mount=type=secret,id=union-build-ca,target=/run/union/ca.crt,mode=0444,required=true [\"/usr/bin/env\",\"SSL_CERT_FILE=/run/union/ca.crt\""), "{run}");
    assert!(run.ends_with(r#""/bin/sh","-c","curl x"]"#), "{run}");
    assert!(!text.contains("TOKEN"), "{text}");
}

#[test]
fn python_packages_are_installed_by_uv_into_the_selected_interpreter() {
    let index = "pip-packages = ['numpy>=2', \"it's\"]\npip-index = 'https://index/simple'\npip-extra-index-url = ['https://more/simple']\npip-extra-args = '--no-deps'";
    let text = written(&spec(index), Vec::new(), false, None);
    assert!(
        text.starts_with("FROM tool/27 AS union-tool-0\nFROM base:1\n"),
        "{text}"
    );
    let command = r#""/run/union/uv pip install --system --break-system-packages --python python3 --index-url https://index/simple --extra-index-url https://more/simple --no-deps 'numpy>=2' 'it'\\''s'"]"#;
    assert!(text.trim_end().ends_with(command), "{text}");
    let own = written(
        &spec("pip-packages = ['a']\npython-exec = '/opt/p/bin/python'"),
        Vec::new(),
        false,
        None,
    );
    assert!(own.contains("--python /opt/p/bin/python a"), "{own}");
}

#[test]
fn python_version_and_conda_packages_are_installed_by_micromamba_on_the_path() {
    let text = written(
        &spec("python-version = '3.12'\nconda-packages = ['gdal']\npip-packages = ['a']"),
        Vec::new(),
        false,
        None,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[3].contains("source=/bin/micromamba,target=/run/union/micromamba"),
        "{text}"
    );
    assert!(
        lines[3].ends_with(r#""/run/union/micromamba create --yes --prefix /opt/union/python --channel conda-forge python=3.12 gdal"]"#),
        "{text}"
    );
    assert_eq!(lines[4], "ENV PATH=/opt/union/python/bin:$PATH");
    assert!(
        lines[5].contains("--python /opt/union/python/bin/python a"),
        "{text}"
    );
}

#[test]
fn lock_files_are_bound_from_the_context() {
    let mut spec = spec("pip-packages = ['a']");
    spec.python.requirements = vec![
        placed(PathBuf::from("/ws/requirements-prod.txt")),
        placed(PathBuf::from("/ws/py/uv.lock")),
    ];
    let text = written(&spec, Vec::new(), false, None);
    for part in [
        "--mount=type=bind,source=python/0,target=/run/union/python/0",
        "--mount=type=bind,source=python/1,target=/run/union/python/1",
        "/run/union/uv export --quiet --frozen --no-dev --no-emit-project --project /run/union/python/1 --output-file /tmp/union-requirements-1.txt && ",
        "--requirements /run/union/python/0/requirements.txt --requirements /tmp/union-requirements-1.txt a && rm -f /tmp/union-requirements-*.txt",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let paths: Vec<String> = python::files(&spec, 3)
        .into_iter()
        .map(|(file, _)| file.path_in_context)
        .collect();
    assert_eq!(paths, ["python/3/requirements.txt", "python/4/uv.lock"]);
}

#[test]
fn apt_conf_has_the_ca_certificate_only_when_one_is_set() {
    assert!(apt_conf(true).contains("Acquire::https::CAInfo \"/run/union/ca.crt\""));
    assert!(!apt_conf(false).contains("CAInfo"));
}

/// Unescapes a word as the frontend does; asserts that it has no unescaped variables and quotes.
fn unescaped(word: &str) -> String {
    let mut text = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        assert!(!"$'\" ".contains(c), "{word:?} would be expanded");
        text.push(if c == '\\' { chars.next().unwrap() } else { c });
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn user_input_never_becomes_an_instruction(
        commands in proptest::collection::vec("[^\0]{1,40}", 1..4),
        odd in proptest::collection::vec(proptest::sample::select(vec![
            "\nRUN x", "-x", "$HOME", "\\", "\\\n", "'", "\"", "\"]", "<<EOF", "# x", " ", "`", "é", "\r\n", "&& a", "COPY a b",
        ]), 1..6),
        path in "[^\0\n\r/]{1,30}",
    ) {
        let commands: Vec<String> = commands.into_iter().chain([odd.concat()]).collect();
        let spec = ImageSpec {
            commands: commands.iter().map(|command| placed(command.clone())).collect(),
            env: [("A".to_owned(), placed(odd.concat().replace('$', "$$")))].into(),
            builder_options: BuilderOptions::default(),
            builder_config: BuilderConfig::default(),
            ..spec("")
        };
        let text = written(&spec, vec![file(&path, None)], false, Some(&path));
        let lines: Vec<&str> = text.split('\n').collect();
        // FROM, USER, COPY, one RUN for each command, USER, and the empty string after the last newline.
        prop_assert_eq!(lines.len(), 5 + commands.len());
        prop_assert_eq!(lines[1], "USER 0:0");
        let copy: Vec<String> = serde_json::from_str(lines[2].strip_prefix("COPY ").unwrap()).unwrap();
        prop_assert_eq!(unescaped(&copy[1]), format!("/{path}"));
        for (line, command) in lines[3..].iter().zip(&commands) {
            let words: Vec<String> = serde_json::from_str(line.strip_prefix("RUN ").unwrap()).unwrap();
            prop_assert_eq!(&words[..4], ["/usr/bin/env", &format!("A={}", odd.concat()), "/bin/sh", "-c"]);
            prop_assert_eq!(words[4].trim_start_matches(' '), command.trim_start_matches(' '));
            prop_assert!(!words[4].starts_with('-') && !line.contains('<') && !line.ends_with('\\'));
        }
        prop_assert_eq!(unescaped(lines[lines.len() - 2].strip_prefix("USER ").unwrap()), path);
    }
}
