//! Types and literals: those of the official SDK, refused ones, and arbitrary ones.

use super::*;

/// The types and values of the official SDK, under the same names.
const VALUES: &str = "a = 1\nb = 2.5\nc = true\nd = \"2026-01-02T00:00:00Z\"\ne = \"1m30s\"\ng = [1, 2]\nh = { k = 1 }\ni = \"s\"\nk = { q = 1 }\n\
                      l = \"R\"\nm = \"s3://b/f\"\nn = \"s3://b/d\"\nx = 5\ny = \"hi\"";

fn typed() -> Task {
    let inputs = "inputs = { a = \"integer\", b = \"float\", c = \"boolean\", d = \"datetime\", e = \"duration\", g = \"list[integer]\", \
                  h = \"map[integer]\", i = \"optional[string]\", k = \"struct\", l = [\"R\", \"G\"], m = \"file\", n = \"directory\", \
                  x = \"integer\", y = \"string\", z = \"optional[integer]\" }\ncommand = [\"job\"]\n";
    declared(
        false,
        &format!(
            "{inputs}[package.metadata.union.tasks.app.triggers.t]\nevery = \"1h\"\ninputs = {{ {} }}",
            VALUES.replace('\n', ", ")
        ),
    )
}

#[test]
fn types_equal_those_of_the_official_sdk() {
    let official: core::TypedInterface = golden("interface_types.pb");
    let actual = types::interface(&Interface::of_manifest(&typed()))
        .inputs
        .unwrap()
        .variables;
    // The SDK's `j` is a dataclass, which only Python has.
    let expected: Vec<_> = official
        .inputs
        .unwrap()
        .variables
        .into_iter()
        .filter(|variable| variable.key != "j")
        .collect();
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(
            format!("{:#}", to_json(actual)),
            format!("{:#}", to_json(expected))
        );
    }
}

#[test]
fn literals_equal_those_of_the_official_sdk() {
    let official: task::Inputs = golden("inputs.pb");
    let task = typed();
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource::plain(&task, &interface);
    let request = deploy_task(&subject, &ProjectDomain::default(), "v1");
    let task::task_trigger_spec::InputWrapper::Inputs(actual) = request.triggers[0]
        .spec
        .clone()
        .unwrap()
        .input_wrapper
        .unwrap();
    let expected: Vec<_> = official
        .literals
        .into_iter()
        .filter(|literal| literal.name != "j")
        .collect();
    assert_eq!(actual.literals.len(), expected.len());
    for (actual, expected) in actual.literals.iter().zip(&expected) {
        // The SDK encodes structs as MessagePack; copilot writes a JSON file only for the other form.
        let actual = if actual.name == "k" {
            packed(&task, "k")
        } else {
            actual.clone()
        };
        assert_eq!(
            format!("{:#}", to_json(&actual)),
            format!("{:#}", to_json(expected))
        );
    }
    assert_eq!(
        to_json(&actual.literals[8])["value"]["scalar"]["generic"]["q"],
        1.0
    );
}

/// The literal of an input for a worker of the `flyte` crate.
fn packed(task: &Task, name: &str) -> task::NamedLiteral {
    let value = literal(
        &task.inputs[name].value,
        &task.triggers["t"].inputs[name].value,
        LiteralForm::MessagePack,
    )
    .unwrap();
    task::NamedLiteral {
        name: name.to_owned(),
        value: Some(value),
    }
}

#[test]
fn literal_of_another_type_is_refused_with_a_reason() {
    let nested = InputValue::List(vec![
        InputValue::Integer(1),
        InputValue::Text("a".to_owned()),
    ]);
    let list = Type::Optional(Box::new(Type::List(Box::new(Type::Integer))));
    assert_eq!(
        literal(&list, &nested, LiteralForm::Json).unwrap_err(),
        "`\"a\"` is not a whole number"
    );
    assert_eq!(
        literal(&Type::Struct, &nested, LiteralForm::Json).unwrap_err(),
        "a list is not a table"
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_values_are_converted_or_refused(
        ty in proptest::sample::select(TYPES),
        value in union_tests::arbitrary::value(),
    ) {
        let ty = Type::parse(ty).unwrap();
        let given = given(value);
        for form in [LiteralForm::Json, LiteralForm::MessagePack] {
            if let Ok(literal) = literal(&ty, &given, form) {
                value::json(&literal);
            }
        }
    }

    #[test]
    fn arbitrary_literals_and_types_of_the_backend_are_converted(bytes in literal_bytes(), from in 0..64_usize, with in union_tests::arbitrary::bytes(6)) {
        for bytes in [with.clone(), spliced(&bytes, from, &with)] {
            if let Ok(literal) = core::Literal::decode(&bytes[..]) {
                value::json(&literal).to_string();
            }
            if let Ok(ty) = core::LiteralType::decode(&bytes[..]) {
                drop(types::declared(&ty));
            }
        }
    }
}

const TYPES: &[&str] = &[
    "integer",
    "float",
    "string",
    "boolean",
    "datetime",
    "duration",
    "struct",
    "file",
    "directory",
    "list[duration]",
    "map[datetime]",
    "optional[list[float]]",
];

fn literal_bytes() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::strategy::Strategy as _;
    let text = |text: &str| InputValue::Text(text.to_owned());
    let fields = InputValue::Map(
        [(
            "a".to_owned(),
            InputValue::List(vec![InputValue::Integer(-1), text("x")]),
        )]
        .into(),
    );
    let literals = [
        ("duration", text("1h30m")),
        ("datetime", text("2030-01-31T12:00:00.5+02:00")),
        ("optional[struct]", fields),
        ("list[file]", InputValue::List(vec![text("s3://a/b")])),
        (
            "map[float]",
            InputValue::Map([("k".to_owned(), InputValue::Float(0.5))].into()),
        ),
    ]
    .map(|(ty, given)| {
        [LiteralForm::Json, LiteralForm::MessagePack].map(|form| {
            literal(&Type::parse(ty).unwrap(), &given, form)
                .unwrap()
                .encode_to_vec()
        })
    });
    let types = TYPES
        .iter()
        .map(|ty| types::literal_type(&Type::parse(ty).unwrap()).encode_to_vec());
    proptest::sample::select(
        literals
            .into_iter()
            .flatten()
            .chain(types)
            .collect::<Vec<_>>(),
    )
    .prop_map(|bytes| bytes)
}

fn spliced(bytes: &[u8], from: usize, with: &[u8]) -> Vec<u8> {
    let from = from.min(bytes.len());
    let to = (from + with.len()).min(bytes.len());
    [&bytes[..from], with, &bytes[to..]].concat()
}
