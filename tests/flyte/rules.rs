//! What a local run or the launcher would refuse is refused by all commands before the compile.

use union_tests::stub::Stub;

use crate::setup::Setup;

/// Lines of a task's table, with the code and a part of the message.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "outputs = { n = \"list[integer]\" }",
        "U0104",
        "output `n` is a `list[integer]`, which a container task cannot return",
    ),
    (
        "outputs = { n = \"optional[string]\" }",
        "U0104",
        "output `n` is a `optional[string]`",
    ),
    (
        "outputs = { n = [\"a\", \"b\"] }",
        "U0104",
        "which a container task cannot return",
    ),
    (
        "outputs = { _ERROR = \"string\" }",
        "U0104",
        "an output cannot be called `_ERROR`",
    ),
    (
        "outputs = { union_none = \"string\" }",
        "U0104",
        "an output cannot be called `union_none`",
    ),
    (
        "inputs = { t = \"duration\" }\ncommand = [\"{{.inputs.t}}\"]",
        "U0104",
        "`{{.inputs.t}}` is a `duration`",
    ),
    (
        "command = [\"{{.inputs.t}}\"]\ninputs = { x = \"integer\" }",
        "U0126",
        "`t`",
    ),
    (
        "command = [\"{{.outputs.t}}\"]",
        "U0104",
        "is not a template",
    ),
    (
        "input-path = \"/data\"\noutput-path = \"/data/\"",
        "U0104",
        "inputs and outputs have the same directory",
    ),
    (
        "inputs = { m = \"map[integer]\" }\ntriggers.t = { every = \"1h\", inputs = { m = { \"../x\" = 1 } } }",
        "U0104",
        "the name `../x` cannot be a file name",
    ),
    (
        "inputs = { s = \"optional[struct]\" }\ntriggers.t = { every = \"1h\", inputs = { s = { a = [9007199254740993] } } }",
        "U0104",
        "`9007199254740993` is too large for a number in a struct",
    ),
    (
        "inputs = { f = \"list[file]\" }\ntriggers.t = { every = \"1h\", inputs = { f = [\"s3://b/a\", \"data.csv\"] } }",
        "U0104",
        "`data.csv` is not an address",
    ),
    (
        "inputs = { x = \"integer\" }\ntriggers.t = { every = \"1h\", inputs = { x = \"one\" } }",
        "U0104",
        "is not a whole number",
    ),
];

#[test]
fn all_commands_apply_the_rules_of_a_run() {
    let setup = Setup::with(Stub::start());
    let long_name = format!("outputs = {{ {} = \"string\" }}", "n".repeat(256));
    let long_path = format!("output-path = \"/{}\"", "n".repeat(3_900));
    let cases = REFUSED.iter().copied().chain([
        (&*long_name, "U0104", "longer than 255 letters"),
        (&*long_path, "U0104", "is longer than"),
    ]);
    for (lines, code, text) in cases {
        let project = setup.hello(&format!("[package.metadata.union.tasks.hello]\n{lines}\n"));
        for command in [
            &["check"][..],
            &["plan"],
            &["build"],
            &["register"],
            &["register", "--dry-run"],
            &["run", "hello"],
            &["run", "--host", "hello"],
            &["run", "--remote", "hello"],
        ] {
            let refused = project.run(command).exits(2).fails_with(code);
            refused.stderr_has(text).compiles_nothing();
        }
    }
    assert!(setup.backend.calls().is_empty());
}

#[test]
fn local_and_remote_runs_refuse_the_same_inputs() {
    let setup = Setup::with(Stub::start());
    let project = setup.hello(
        "[package.metadata.union.tasks.hello]\ninputs = { m = \"map[integer]\", s = \"struct\" }\n",
    );
    let inputs = [
        "hello",
        "--",
        "--m={\"../x\": 1}",
        "--s={\"a\": 9007199254740993}",
    ];
    for place in [&["run", "--host"][..], &["run"], &["run", "--remote"]] {
        let refused = project
            .run([place, &inputs].concat())
            .exits(2)
            .fails_with("U0801");
        refused
            .stderr_has("the name `../x` cannot be a file name")
            .stderr_has("`9007199254740993` is too large for a number in a struct")
            .compiles_nothing();
    }
    assert_eq!(setup.backend.runs(), [""; 0]);
}
