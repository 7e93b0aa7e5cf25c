#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const VALID: &str = r#"{"format":1,"package":"a","images":[{"key":"k","name":"n","repository":null,"tag":"t","id":"i"}],"tasks":{"t":"k"}}"#;

proptest! {
    #[test]
    fn arbitrary_text_is_parsed_or_refused(any in any::<String>(), from in 0..VALID.len(), count in 0..40_usize, with in "[0-9a-z\"{}\\[\\]:,]{0,8}") {
        drop(References::from_json(&any));
        let to = VALID.len().min(from + count);
        drop(References::from_json(&format!("{}{with}{}", &VALID[..from], &VALID[to..])));
    }

    #[test]
    fn arbitrary_references_round_trip(package in any::<String>(), key in any::<String>(), tag in any::<Option<String>>()) {
        let image = Reference { key: key.clone(), name: package.clone(), tag, ..Reference::default() };
        let written = References { package: package.clone(), images: vec![image], tasks: [(package, key)].into() };
        prop_assert_eq!(References::from_json(&written.to_json()), Ok(Some(written)));
    }
}

fn references() -> References {
    let gpu = Reference {
        key: "gpu".into(),
        name: "app-gpu".into(),
        repository: Some("ghcr.io/acme/app-gpu".into()),
        tag: Some("abc".into()),
        id: Some("0123".into()),
    };
    let unresolved = Reference {
        key: "plain \"quoted\"".into(),
        name: "plain".into(),
        ..Reference::default()
    };
    References {
        package: "app".into(),
        images: vec![gpu, unresolved],
        tasks: [("train".into(), "gpu".into())].into(),
    }
}

#[test]
fn references_round_trip_through_json() {
    assert_eq!(
        References::from_json(&references().to_json()),
        Ok(Some(references()))
    );
}

#[test]
fn empty_file_means_that_nothing_is_resolved() {
    assert_eq!(References::from_json(""), Ok(None));
    assert_eq!(References::from_json("\n"), Ok(None));
}

#[test]
fn invalid_files_are_refused_with_a_reason() {
    for (text, why) in [
        ("{", "EOF"),
        ("[]", "`format` is missing"),
        (r#"{"format":2}"#, "its format is 2"),
        (
            r#"{"format":1,"images":{},"tasks":{}}"#,
            "`images` is not a list",
        ),
        (
            r#"{"format":1,"package":"a","images":[{"key":1}],"tasks":{}}"#,
            "`key` is not a string",
        ),
        (
            r#"{"format":1,"package":"a","images":[],"tasks":{"t":1}}"#,
            "`t` is not a string",
        ),
    ] {
        let error = References::from_json(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn fnv1a_matches_the_published_values() {
    assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
    assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
}

#[test]
fn path_is_the_same_for_every_spelling_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let one = directory.path().join("one");
    let two = directory.path().join("two");
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&two).unwrap();
    let at = |directory: &Path| path(Path::new("/target"), "app", directory);
    assert_ne!(at(&one), at(&two));
    assert_eq!(at(&one), at(&two.join("../one")));
    let shown = at(&one).display().to_string();
    assert!(
        shown.starts_with("/target/union/references/app-") && shown.ends_with(".json"),
        "{shown}"
    );
    assert_eq!(
        shown.len(),
        "/target/union/references/app-0123456789abcdef.json".len()
    );
}
