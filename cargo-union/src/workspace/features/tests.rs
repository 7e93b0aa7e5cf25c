use super::*;

fn features(text: &str) -> Features {
    Features::parse(text)
}

#[test]
fn cargo_tree_output_is_parsed() {
    let parsed = features(
        "app v0.1.0 (/ws/app)|\nserde v1.0.0|std,derive\nserde v1.0.0|\nmacros v2.0.0 (proc-macro)|default (*)\n\nodd\n",
    );
    let all: Vec<(&str, Vec<&str>)> = parsed
        .sets
        .iter()
        .map(|(name, sets)| (name.as_str(), sets.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        all,
        [
            ("app 0.1.0", vec![""]),
            ("macros 2.0.0", vec!["default"]),
            ("serde 1.0.0", vec!["", "derive,std"])
        ]
    );
}

#[test]
fn unexpected_features_are_detected() {
    let expected = features("app v1.0.0|\nserde v1.0.0|std\nserde v1.0.0|\nonly-here v1.0.0|\n");
    assert!(expected.match_compiled(&features("app v1.0.0|\nserde v1.0.0|\nserde v1.0.0|std\n")));
    assert!(!expected.match_compiled(&features("app v1.0.0|\nserde v1.0.0|std\n")));
    assert!(!expected.match_compiled(&features("app v1.0.0|x\n")));
    assert!(!expected.match_compiled(&features("other v1.0.0|\n")));
    assert!(!expected.match_compiled(&Features {
        has_linked_library: true,
        ..Features::default()
    }));
}

#[test]
fn closures_agree_when_shared_packages_have_equal_features() {
    let first = features("app v1.0.0|\nserde v1.0.0|std\n");
    assert!(first.agree(&features("b v1.0.0|\nserde v1.0.0|std\n")));
    assert!(!first.agree(&features("b v1.0.0|\nserde v1.0.0|std,derive\n")));
    assert!(first.agree(&features("b v1.0.0|\nserde v2.0.0|derive\n")));
}

#[test]
fn name_and_version_are_read_from_package_ids() {
    for (id, name) in [
        ("path+file:///ws/helper#0.1.0", Some("helper 0.1.0")),
        (
            "path+file:///ws/directory#helper@0.1.0",
            Some("helper 0.1.0"),
        ),
        (
            "registry+https://example.com/index#serde@1.0.0",
            Some("serde 1.0.0"),
        ),
        (
            "git+https://example.com/a/b?branch=x#1.0.0",
            Some("b 1.0.0"),
        ),
        ("odd", None),
    ] {
        assert_eq!(name_and_version(id).as_deref(), name);
    }
}
