//! Inputs of local runs, read with the official messages, and inputs of remote runs from a file.

use union_tests::registry::Registry;
use union_tests::stub::{Stub, official_python};

use crate::setup::Setup;

const READER: &str = r#"fn main() {
    let (from, to) = (std::env::var("IN").unwrap(), std::env::var("OUT").unwrap());
    std::fs::copy(format!("{from}/inputs.pb"), format!("{to}/message")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    std::fs::write(format!("{to}/names"), names.join(" ")).unwrap();
}
"#;

/// Prints a message as copilot writes it.
const SHOW: &str = "import sys\nfrom flyteidl2.core.literals_pb2 import LiteralMap\n\
    for name, literal in sorted(LiteralMap.FromString(open(sys.argv[1], 'rb').read()).literals.items()):\n\
    \x20   print(name, ' '.join(str(literal).split()))\n";

#[test]
fn local_run_writes_the_copilot_message_in_every_format() {
    let setup = Setup::new();
    let task = |name: &str, format: &str| {
        format!(
            "[package.metadata.union.tasks.{name}]\ndata-format = \"{format}\"\nenv = {{ IN = \"/var/inputs\", OUT = \"/var/outputs\" }}\n\
             inputs = {{ x = \"integer\", fields = \"struct\", data = \"file\", more = \"list[file]\", wait = \"duration\" }}\n\
             outputs = {{ message = \"file\", names = \"string\" }}\n"
        )
    };
    let project = setup
        .hello(&(task("proto", "proto") + &task("json", "json")))
        .file("src/main.rs", READER)
        .file("data/a.csv", "1\n");
    let run = |task: &str| {
        let inputs = [
            "--x=7",
            "--fields={\"a\": 1}",
            "--data=data/a.csv",
            "--more=data/a.csv",
            "--more=Cargo.toml",
            "--wait=90s",
        ];
        project
            .run(
                [
                    &["run", "--host", "--format", "json", task, "--"],
                    &inputs[..],
                ]
                .concat(),
            )
            .succeeds()
            .json()
    };
    for (task, names) in [
        ("proto", "data fields inputs.pb more wait x"),
        ("json", "data fields inputs.json inputs.pb more wait x"),
    ] {
        let outputs = run(task)["outputs"].clone();
        assert_eq!(outputs["names"], names);
        let shown = official_python(SHOW, &[outputs["message"].as_str().unwrap()]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 5, "{shown}");
        assert!(lines[0].starts_with("data scalar { blob { "), "{shown}");
        assert!(lines[0].contains("/inputs/data\""), "{shown}");
        assert!(
            lines[1].contains("generic { fields { key: \"a\" value { number_value: 1"),
            "{shown}"
        );
        assert!(
            lines[2].contains("/inputs/more/0\"") && lines[2].contains("/inputs/more/1\""),
            "{shown}"
        );
        assert_eq!(
            &lines[3..],
            [
                "wait scalar { primitive { duration { seconds: 90 } } }",
                "x scalar { primitive { integer: 7 } }"
            ]
        );
    }
}

#[test]
fn remote_run_reads_inputs_and_files_from_a_file() {
    let registry = Registry::open();
    let backend = Stub::building(registry.host(), "");
    let setup = Setup { registry, backend };
    let table = "{ data = \"file\", table = \"directory\", more = \"optional[list[file]]\", x = \"integer\" }";
    let project = setup
        .hello(&format!(
            "[package.metadata.union.tasks.hello]\ninputs = {table}\noutputs = {{ data = \"file\", table = \"directory\", x = \"integer\" }}\n"
        ))
        .file("given/a.csv", "1\n")
        .file("given/table/b.csv", "2\n")
        .file("given/inputs.toml", "x = 1\ndata = 'a.csv'\ntable = 'table'\nmore = ['a.csv', 's3://b/c']\n")
        .file("given/inputs.json", r#"{"x": 1, "data": "a.csv", "table": "table"}"#)
        .file("given/wrong.json", r#"{"x": "one", "data": "none.csv", "tabel": 1}"#);
    let run =
        |file: &str| project.run(["run", "--remote", "--inputs", file, "hello", "--", "--x=7"]);
    for file in ["given/inputs.toml", "given/inputs.json"] {
        let outcome = run(file).succeeds().stdout_has("x = 7\n");
        outcome
            .stdout_has("/a.csv\"\n")
            .stdout_has("table = \"s3://bucket/uploads/flytesnacks/development/")
            .stderr_has("/given/table (1 file, 2 B) to s3://");
    }
    let stored = setup.backend.store();
    let contents = |name: &str| -> Vec<&str> {
        let named = stored.iter().filter(|(path, _)| path.ends_with(name));
        named.map(|(_, content)| content.as_str()).collect()
    };
    assert_eq!(
        (contents("%a.csv"), contents("%b.csv")),
        (vec!["1\n"], vec!["2\n"])
    );
    let refused = run("given/wrong.json")
        .exits(2)
        .fails_with("U0801")
        .compiles_nothing();
    refused
        .stderr_has("`data` of `given/wrong.json`: `")
        .stderr_has("/given/none.csv` cannot be read")
        .stderr_has("`tabel` of `given/wrong.json` is not an input; did you mean `table`?");
    assert_eq!(setup.backend.runs().len(), 2);
    setup.backend.assert_all_valid();
}
