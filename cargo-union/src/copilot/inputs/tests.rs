#![allow(clippy::unwrap_used)]

use union_build::diag::Origin;
use union_build::spec::Sourced;

use super::*;

fn data(format: DataFormat, layout: FileLayout) -> Data {
    let placed = |value: &str| Sourced {
        value: value.to_owned(),
        origin: Origin::Default,
    };
    Data {
        input_path: placed("/in"),
        output_path: placed("/out"),
        format,
        layout,
    }
}

/// Path and content of each entry, as text.
fn laid(inputs: &[(&str, InputLiteral)], data: &Data) -> Vec<String> {
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let shown = |entry: InputFile| match entry.what {
        InputFileKind::Directory => format!("{}/", entry.path),
        InputFileKind::Bytes(bytes) => {
            format!("{} = {}", entry.path, String::from_utf8(bytes).unwrap())
        }
        InputFileKind::File(from) => {
            format!("{} < {}", entry.path, from.file_name().unwrap().display())
        }
    };
    lay_out(&inputs, data, "/in/")
        .unwrap()
        .entries
        .into_iter()
        .map(shown)
        .collect()
}

#[test]
fn each_input_is_a_file_and_one_file_lists_them() {
    let list = InputLiteral::List(vec![InputLiteral::Integer(1), InputLiteral::Nothing]);
    let map = InputLiteral::Map([("a".to_owned(), InputLiteral::Text("b".to_owned()))].into());
    let inputs = [
        ("file", InputLiteral::File("/here/data.csv".into())),
        ("list", list),
        ("map", map),
        ("x", InputLiteral::Float(0.5)),
    ];
    assert_eq!(
        laid(&inputs, &data(DataFormat::Json, FileLayout::Direct)),
        [
            "/in/",
            "/in/file < data.csv",
            "/in/list/",
            "/in/list/0 = 1",
            "/in/list/1 = null",
            "/in/map/",
            "/in/map/a = b",
            "/in/x = 0.5",
            r#"/in/inputs.json = {"file":"/in/file","list":[1,null],"map":{"a":"b"},"x":0.5}"#,
        ]
    );
}

#[test]
fn named_dir_layout_keeps_file_names() {
    let files = ["/a/x.txt", "/b/x.txt", "/b/y.txt"].map(|path| InputLiteral::File(path.into()));
    assert_eq!(
        laid(
            &[
                ("all", InputLiteral::List(files.to_vec())),
                ("one", files[0].clone())
            ],
            &data(DataFormat::Yaml, FileLayout::NamedDir)
        ),
        [
            "/in/",
            "/in/all/",
            "/in/all/x.txt < x.txt",
            "/in/all/1_x.txt < x.txt",
            "/in/all/y.txt < y.txt",
            "/in/one/",
            "/in/one/x.txt < x.txt",
            r#"/in/inputs.yaml = {"all":["/in/all/x.txt","/in/all/1_x.txt","/in/all/y.txt"],"one":"/in/one/x.txt"}"#,
        ]
    );
}

#[test]
fn paths_are_in_the_order_of_the_values() {
    let file = |path: &str| InputLiteral::File(path.into());
    let map = InputLiteral::Map(
        [
            ("k".to_owned(), file("/a/z")),
            ("b".to_owned(), file("/a/y")),
        ]
        .into(),
    );
    let inputs = BTreeMap::from([
        ("m".to_owned(), map),
        (
            "l".to_owned(),
            InputLiteral::List(vec![file("/a/x"), file("/b/x")]),
        ),
    ]);
    let laid = lay_out(
        &inputs,
        &data(DataFormat::Proto, FileLayout::NamedDir),
        "/in",
    )
    .unwrap();
    assert_eq!(
        laid.paths,
        ["/in/l/x", "/in/l/1_x", "/in/m/b/y", "/in/m/k/z"]
    );
}

#[test]
fn directory_input_includes_its_contents() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("deep")).unwrap();
    std::fs::write(directory.path().join("deep/a"), "1").unwrap();
    std::os::unix::fs::symlink("deep/a", directory.path().join("link")).unwrap();
    assert_eq!(
        laid(
            &[("d", InputLiteral::Directory(directory.path().into()))],
            &data(DataFormat::Json, FileLayout::Direct)
        ),
        [
            "/in/",
            "/in/d/",
            "/in/d/deep/",
            "/in/d/deep/a < a",
            "/in/d/link < link",
            r#"/in/inputs.json = {"d":"/in/d"}"#
        ]
    );
}

#[test]
fn links_to_their_own_parents_are_omitted_and_others_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let below = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(below("v1/deep")).unwrap();
    std::fs::write(below("v1/deep/a"), "1").unwrap();
    for (to, name) in [
        ("v1", "latest"),
        (".", "itself"),
        ("..", "v1/up"),
        ("../..", "v1/deep/top"),
        ("../deep", "v1/deep/own"),
    ] {
        std::os::unix::fs::symlink(to, below(name)).unwrap();
    }
    let laid = laid(
        &[("d", InputLiteral::Directory(directory.path().into()))],
        &data(DataFormat::Proto, FileLayout::Direct),
    );
    assert_eq!(
        laid,
        [
            "/in/",
            "/in/d/",
            "/in/d/latest/",
            "/in/d/latest/deep/",
            "/in/d/latest/deep/a < a",
            "/in/d/v1/",
            "/in/d/v1/deep/",
            "/in/d/v1/deep/a < a"
        ]
    );
}

#[test]
fn links_that_multiply_without_end_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let linked = |count: u32| {
        let top = root.path().join(count.to_string());
        for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
            let directory = top.join(one.to_string());
            std::fs::create_dir_all(&directory).unwrap();
            let link = directory.join(format!("to-{other}"));
            std::os::unix::fs::symlink(format!("../{other}"), link).unwrap();
        }
        let inputs = BTreeMap::from([("d".to_owned(), InputLiteral::Directory(top))]);
        lay_out(&inputs, &data(DataFormat::Proto, FileLayout::Direct), "/in")
    };
    // Each path through three directories that does not come back: 3 + 3·2 + 3·2·1, and `/in` and `/in/d`.
    assert_eq!(linked(3).unwrap().entries.len(), 17);
    let error = linked(20).unwrap_err();
    assert_eq!(error.code(), union_build::diag::Code::FileUnreadable);
    let chain = error.chain().join(": ");
    assert!(
        chain.contains("with the links in it, it has more than 500 files"),
        "{chain}"
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_values_are_laid_out_or_refused(value in union_tests::arbitrary::value()) {
        fn given(value: serde_json::Value) -> union_build::spec::value::InputValue {
            use union_build::spec::value::InputValue;
            match value {
                serde_json::Value::Null => InputValue::Nothing,
                serde_json::Value::Bool(value) => InputValue::Bool(value),
                serde_json::Value::String(text) => InputValue::Text(text),
                serde_json::Value::Number(number) => number.as_i64().map_or_else(|| InputValue::Float(number.as_f64().unwrap()), InputValue::Integer),
                serde_json::Value::Array(values) => InputValue::List(values.into_iter().map(given).collect()),
                serde_json::Value::Object(values) => InputValue::Map(values.into_iter().map(|(name, value)| (name, given(value))).collect()),
            }
        }
        let given = given(value);
        for ty in ["integer", "float", "string", "boolean", "datetime", "duration", "struct", "file", "list[struct]", "map[duration]", "optional[float]"] {
            let Ok(value) = InputLiteral::of(&union_build::spec::types::Type::parse(ty).unwrap(), &given) else { continue };
            let inputs = BTreeMap::from([("x".to_owned(), value)]);
            drop(lay_out(&inputs, &data(DataFormat::Json, FileLayout::NamedDir), "/in"));
            crate::copilot::filled(&["{{.inputs.x}}".to_owned()], &inputs);
        }
    }
}
