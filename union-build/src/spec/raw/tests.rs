use proptest::prelude::*;

use super::*;
use crate::spec::tree::TomlValue;

fn read_text(text: &str) -> (Option<TomlNode>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let file = SourceFile::new("/ws/Cargo.toml", text);
    let node = read(&file, Section::Package, &mut problems).unwrap_or_default();
    (node, problems)
}

/// The text at an origin.
fn marked(origin: &Origin) -> &str {
    match origin {
        Origin::File(file, span) => &file.text[span.clone()],
        other => panic!("{other} is not in a file"),
    }
}

#[test]
fn values_and_keys_have_their_places() {
    let text = "[package.metadata.union]\nregistry = \"ghcr.io/a\"\n\n[package.metadata.union.images.gpu]\nenv = { A = \"b\" }\ncopy = [\"x\", { from = \"y\", mode = \"0644\" }]\n";
    let (node, problems) = read_text(text);
    assert_eq!(problems, []);
    let union = node.expect("the table is there");
    let TomlValue::Table(table) = &union.value else {
        panic!("a table")
    };
    assert_eq!(marked(&union.key), "union");
    assert_eq!(
        (
            marked(&table["registry"].key),
            marked(&table["registry"].origin)
        ),
        ("registry", "\"ghcr.io/a\"")
    );
    let TomlValue::Table(images) = &table["images"].value else {
        panic!("a table")
    };
    assert_eq!(marked(&images["gpu"].key), "gpu");
    let TomlValue::Table(gpu) = &images["gpu"].value else {
        panic!("a table")
    };
    let TomlValue::Table(env) = &gpu["env"].value else {
        panic!("a table")
    };
    assert_eq!(
        (marked(&env["A"].key), marked(&env["A"].origin)),
        ("A", "\"b\"")
    );
    let TomlValue::List(copy) = &gpu["copy"].value else {
        panic!("a list")
    };
    assert_eq!(marked(&copy[0].origin), "\"x\"");
    assert_eq!(marked(&copy[1].origin), "{ from = \"y\", mode = \"0644\" }");
}

#[test]
fn dotted_keys_and_inline_tables_equal_table_headers() {
    let mut keys = Vec::new();
    for text in [
        "[package.metadata.union.images.a]\nuser = \"1\"",
        "[package]\nmetadata.union.images.a.user = \"1\"",
        "[package.metadata]\nunion = { images = { a = { user = \"1\" } } }",
    ] {
        let (node, problems) = read_text(text);
        assert_eq!(problems, [], "{text}");
        keys.push(crate::spec::toml_text::value(
            &node.expect("the table is there").value,
        ));
    }
    assert_eq!(keys[0], "{ images = { a = { user = \"1\" } } }");
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn workspace_table_is_read_only_from_the_workspace_section() {
    let text = "[workspace.metadata.union]\nregistry = \"a.b\"\n";
    assert_eq!(read_text(text).0, None);
    let mut problems = Vec::new();
    let result = read(
        &SourceFile::new("/ws/Cargo.toml", text),
        Section::Workspace,
        &mut problems,
    );
    assert!(result.is_ok_and(|node| node.is_some()));
}

#[test]
fn declares_union_requires_the_package_table() {
    assert!(declares_union("[package.metadata.union]"));
    assert!(declares_union("package.metadata.union.images.default = {}"));
    assert!(!declares_union("[workspace.metadata.union]"));
    assert!(!declares_union("[package]\nname = \"union\""));
    assert!(!declares_union("# [package.metadata.union]"));
}

#[test]
fn all_problems_are_found_at_once() {
    let text = "[package.metadata.union]\nregistri = 1\nbuilder = \"dokcer\"\nproject = 3\n[package.metadata.union.images.a]\nenv = [1]\napt_packages = []\n";
    let codes: Vec<Code> = read_text(text)
        .1
        .iter()
        .map(|problem| problem.code)
        .collect();
    for (code, times) in [
        (Code::UnknownKey, 2),
        (Code::InvalidValue, 1),
        (Code::WrongType, 2),
    ] {
        assert_eq!(
            codes.iter().filter(|found| **found == code).count(),
            times,
            "{code}: {codes:?}"
        );
    }
}

#[test]
fn syntax_errors_are_reported_separately() {
    let (_, problems) = read_text("[package.metadata.union]\na = \nb = 1\nc = ]\n");
    assert!(
        problems.len() >= 2
            && problems
                .iter()
                .all(|problem| problem.code == Code::ManifestSyntax),
        "{problems:?}"
    );
}

#[test]
fn suggested_edits_fix_their_problems() {
    for (line, better) in [
        ("registri = \"a.b\"", "registry = \"a.b\""),
        ("project = 3", "project = \"3\""),
        ("builder = \"nativ\"", "builder = \"native\""),
        ("images.a.apt_packages = []", "images.a.apt-packages = []"),
        ("images.a.packages = []", "images.a.pip-packages = []"),
        (
            "images.a.apt-packages = \"x\"",
            "images.a.apt-packages = [\"x\"]",
        ),
        ("images.a.env = { A = 1 }", "images.a.env = { A = \"1\" }"),
        (
            "build.default-features = \"false\"",
            "build.default-features = false",
        ),
        ("tasks.a.retries = \"3\"", "tasks.a.retries = 3"),
    ] {
        let text = format!("[package.metadata.union]\n{line}\n");
        let (_, problems) = read_text(&text);
        let suggestion = problems
            .iter()
            .find_map(|problem| problem.suggestion.as_ref())
            .unwrap_or_else(|| panic!("no edit for {line}"));
        let Origin::File(_, span) = &suggestion.origin else {
            panic!("an edit without a place")
        };
        let mut edited = text.clone();
        edited.replace_range(span.clone(), &suggestion.replacement);
        assert_eq!(edited.lines().nth(1), Some(better));
        assert_eq!(read_text(&edited).1, [], "{better}");
    }
}

/// TOML that is often almost valid: random combinations of keys of the schema with values.
fn nearly_toml() -> impl Strategy<Value = String> {
    let names: Vec<&str> = crate::spec::schema::levels()
        .into_iter()
        .flat_map(|level| level.keys)
        .map(|key| key.name)
        .collect();
    let key = prop_oneof![
        4 => proptest::sample::select(names),
        1 => Just("registri"), 1 => Just("ä"), 1 => Just("a b"), 1 => Just("\"\\u0000\"")
    ];
    let value = proptest::sample::select(vec![
        "1",
        "-1",
        "99999999999999999999",
        "0x10",
        "1.5",
        "true",
        "\"text\"",
        "'é'",
        "[]",
        "[1]",
        "[\"a\", \"b\"]",
        "{}",
        "{ a = \"b\" }",
        "{ from = \"..\" }",
        "[{ from = 1 }, \"x\", []]",
        "1979-05-27",
        "\"list[integer]\"",
        "[\"{{.inputs.x}}\"]",
        "{ count = 2, cron = \"* * * * *\" }",
        "\"90s\"",
        "\"\"\"\n\u{1F600}\"\"\"",
        "[",
        "\"",
    ]);
    let line = prop_oneof![
        6 => (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        1 => key.clone().prop_map(|key| format!("[package.metadata.union.{key}]\n")),
        1 => key.clone().prop_map(|key| format!("[package.metadata.union.images.{key}]\n")),
        1 => key.prop_map(|key| format!("[package.metadata.union.tasks.{key}]\n")),
        1 => Just("[[package.metadata.union.images]]\n".to_owned()),
    ];
    proptest::collection::vec(line, 0..12)
        .prop_map(|lines| format!("[package.metadata.union]\n{}", lines.concat()))
}

proptest! {
    #[test]
    fn reader_never_panics(text in prop_oneof![any::<String>(), "[\\[\\]a-z.=\"'{}\n#\u{e9}0-9_-]{0,80}".prop_map(|text| format!("[package.metadata.union]\n{text}")), nearly_toml()]) {
        let file = SourceFile::new("/ws/Cargo.toml", text.clone());
        let facts = crate::spec::PackageInfo { package: "app".into(), workspace_root: "/ws".into(), directory: "/ws".into(), ..Default::default() };
        let overrides = crate::spec::Overrides::new("/ws");
        let (spec, problems, _) = crate::spec::load(Some(&file), &file, &overrides, &facts);
        prop_assert_eq!(spec.is_none(), problems.iter().any(|problem| problem.severity == crate::diag::Severity::Error));
        // All places can be displayed.
        for origin in problems.iter().flat_map(|problem| &problem.labels).map(|label| &label.origin) {
            prop_assert!(!origin.to_string().is_empty());
        }
        let _ = declares_union(&text);
    }
}
