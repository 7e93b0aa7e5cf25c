#![allow(clippy::unwrap_used)]

use super::*;

fn types(types: &[(&str, &str)]) -> BTreeMap<String, Type> {
    types
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap()))
        .collect()
}

fn read(
    types: &BTreeMap<String, Type>,
    arguments: &[&str],
    file: Option<&Path>,
) -> Result<BTreeMap<String, InputValue>> {
    let arguments = arguments
        .iter()
        .map(|argument| (*argument).to_owned())
        .collect();
    let options = InputOptions {
        file: file.map(Path::to_owned),
        arguments,
    };
    let convert =
        |ty: &Type, value: &InputValue| ty.misfit(value).map_or_else(|| Ok(value.clone()), Err);
    InputReader {
        task: "train",
        types,
        options: &options,
    }
    .read(Path::new("/here"), convert)
}

#[test]
fn arguments_override_the_file_and_optional_inputs_may_be_absent() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("inputs.toml");
    std::fs::write(&file, "x = 1\nlabel = 'file'\ndata = ['a.csv', 's3://b']\n").unwrap();
    let types = types(&[
        ("x", "integer"),
        ("label", "string"),
        ("data", "list[file]"),
        ("seed", "optional[integer]"),
        ("out", "file"),
    ]);
    let inputs = read(&types, &["--x", "2", "--out", "sub/../o.bin"], Some(&file)).unwrap();
    let text = |text: &str| InputValue::Text(text.to_owned());
    assert_eq!(
        (&inputs["x"], &inputs["label"], &inputs["seed"]),
        (&InputValue::Integer(2), &text("file"), &InputValue::Nothing)
    );
    let csv = directory.path().join("a.csv").display().to_string();
    assert_eq!(
        inputs["data"],
        InputValue::List(vec![text(&csv), text("s3://b")])
    );
    assert_eq!(inputs["out"], text("/here/o.bin"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let types = types(&[
        ("label", "string"),
        ("rate", "float"),
        ("x", "integer"),
        ("when", "datetime"),
    ]);
    let error = read(
        &types,
        &["--lable", "a", "--rate", "fast", "--when=soon"],
        None,
    )
    .unwrap_err();
    assert_eq!(error.code(), Code::InputsInvalid);
    assert_eq!(
        error.chain(),
        [
            "could not run task `train` with these inputs",
            "`--lable` is not an input; did you mean `--label`?\n\
             `--rate`: `fast` is not a number; an example is `--rate 0.5`\n\
             `label` is missing: it is text, such as `--label text`\n\
             `--when`: `\"soon\"` is not a time such as `2030-01-31T12:00:00Z`; an example is `--when 2030-01-31T12:00:00Z`\n\
             `x` is missing: it is a whole number, such as `--x 21`",
        ]
    );
    assert_eq!(
        error.advice(),
        "It takes `label: string`, `rate: float`, `when: datetime`, `x: integer`."
    );
}

#[test]
fn problems_of_a_file_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("in.json");
    std::fs::write(&file, r#"{"rates": 1, "x": "one"}"#).unwrap();
    let types = types(&[("x", "integer"), ("rate", "float")]);
    let error = read(&types, &[], Some(&file)).unwrap_err();
    let shown = file.display();
    let expected = [
        format!("`rates` of `{shown}` is not an input; did you mean `rate`?"),
        "`rate` is missing: it is a number, such as `--rate 0.5`".to_owned(),
        format!("`x` of `{shown}`: `\"one\"` is not a whole number"),
    ];
    assert_eq!(error.chain()[1], expected.join("\n"));
    std::fs::remove_file(&file).unwrap();
    let error = read(&types, &["--rate", "1"], Some(&file)).unwrap_err();
    assert!(
        error.chain()[1].starts_with(&format!("`{shown}` cannot be read")),
        "{:?}",
        error.chain()
    );
    assert_eq!(
        error.chain()[1].lines().count(),
        1,
        "inputs that the file may have are not reported as missing"
    );
}
