#![allow(clippy::unwrap_used)]

use super::*;

const HELLO: &str = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"x","type":"integer","required":true},{"name":"label","type":"string","required":true}],"outputs":[{"name":"o0","type":"string"}]}"#;

#[test]
fn description_has_name_and_types() {
    let read = Description::read("hello", &format!("{HELLO}\n")).unwrap();
    assert_eq!((read.task.as_str(), read.line.as_str()), ("my_task", HELLO));
    assert_eq!(
        read.interface.inputs,
        [
            ("x".to_owned(), Type::Integer),
            ("label".to_owned(), Type::String)
        ]
    );
    assert_eq!(read.interface.outputs, [("o0".to_owned(), Type::String)]);
    assert_eq!(read.interface.input("label"), Some(&Type::String));
}

#[test]
fn unknown_description_version_names_both_versions() {
    let error =
        Description::read("hello", r#"{"flyte_interface_version":2,"tasks":[]}"#).unwrap_err();
    assert_eq!(error.code(), Code::DescriptionVersion);
    assert!(
        error.chain()[1].contains("interface description version 2 is not supported (expected 1)"),
        "{:?}",
        error.chain()
    );
}

#[test]
fn unsupported_variable_is_refused_by_name() {
    let with = |variable: &str| {
        format!(r#"{{"flyte_interface_version":1,"task":"t","inputs":[{variable}],"outputs":[]}}"#)
    };
    for (variable, why) in [
        (
            r#"{"name":"b","type":"unsupported","detail":"LiteralType { blob }","required":true}"#,
            "`b` has a type that is not supported outside of Rust",
        ),
        (
            r#"{"name":"b","type":"tensor","required":true}"#,
            "`b` has the type `tensor`, which is not supported",
        ),
        (
            r#"{"name":"b","type":"integer","required":false}"#,
            "`b` has a default",
        ),
    ] {
        let error = Description::read("hello", &with(variable)).unwrap_err();
        assert_eq!(error.code(), Code::InterfaceUnsupported);
        assert!(error.chain()[1].starts_with(why), "{:?}", error.chain());
    }
}

#[test]
fn invalid_task_name_is_refused() {
    for name in ["", "..", "../../../tmp/x", "a/b", "a b", "a\\u0000", "é"] {
        let printed =
            format!(r#"{{"flyte_interface_version":1,"task":"{name}","inputs":[],"outputs":[]}}"#);
        let error = Description::read("hello", &printed).unwrap_err();
        assert_eq!(error.code(), Code::DescriptionInvalid, "{name}");
        assert!(
            error.chain()[1].contains("is not a task name"),
            "{:?}",
            error.chain()
        );
    }
}

#[test]
fn other_output_is_not_a_description() {
    for printed in [
        "",
        "hello",
        "{}",
        "[1]",
        r#"{"flyte_interface_version":1}"#,
        &format!("log line\n{HELLO}"),
    ] {
        assert_eq!(
            Description::read("hello", printed).unwrap_err().code(),
            Code::DescriptionInvalid,
            "{printed}"
        );
    }
}
