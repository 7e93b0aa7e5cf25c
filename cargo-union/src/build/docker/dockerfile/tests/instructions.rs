//! The order of instructions, their variables and mounts, and that input never becomes one.

use proptest::prelude::*;
use union_build::spec::{BuilderConfig, BuilderOptions, SecretSource, SecretSpec};

use super::*;

fn texts(texts: &[&str]) -> Vec<Sourced<String>> {
    texts
        .iter()
        .map(|text| placed((*text).to_owned()))
        .collect()
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
