#![allow(clippy::unwrap_used)]

use std::io::Read as _;

use super::*;

#[test]
fn step_names_are_parsed_with_one_and_several_stages() {
    assert_eq!(step_name("STEP 2/4: RUN x"), Some("2/4: RUN x"));
    assert_eq!(step_name("[2/3] STEP 2/4: RUN x"), Some("2/4: RUN x"));
    assert_eq!(step_name("[a] STEP 2/4: RUN x"), None);
    assert_eq!(step_name("[2/3] COMMIT"), None);
}

#[test]
fn secrets_and_context_are_one_archive() {
    let secrets = [
        ("a".to_owned(), Secret::new(b"one".to_vec())),
        ("b".to_owned(), Secret::new(vec![b'x'; 512])),
    ]
    .into();
    let mut context = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    context
        .append_data(&mut header, "file", &b"hi"[..])
        .unwrap();
    let archive = [secret_entries(&secrets), context.into_inner().unwrap()].concat();
    let mut seen = Vec::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        seen.push((entry.path().unwrap().display().to_string(), text.len()));
    }
    assert_eq!(
        seen,
        [
            (".union.secret.0".to_owned(), 3),
            (".union.secret.1".to_owned(), 512),
            ("file".to_owned(), 2)
        ]
    );
}

struct IgnoringListener;

impl SolveListener for IgnoringListener {
    fn step(&self, _: &str) {}

    fn step_cached(&self, _: &str) {}

    fn line(&self, _: &str) {}
}

proptest::proptest! {
    #[test]
    fn any_output_of_buildah_is_handled(pieces in proptest::collection::vec(proptest::prop_oneof![
        union_tests::arbitrary::bytes(40),
        proptest::strategy::Strategy::prop_map(union_tests::arbitrary::spoiled("{\"stream\":\"STEP 1/2: RUN x\\n\",\"error\":\"no\"}\n"), String::into_bytes),
        proptest::strategy::Strategy::prop_map(union_tests::arbitrary::object(&[("stream", "\"--> Using cache\""), ("message", "\"m\"")]), |value| format!("{value}\n").into_bytes()),
    ], 0..4)) {
        let mut progress = BuildahProgress { listener: &IgnoringListener, step: None, lines: Lines::default(), error: None };
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(&piece, |line| progress.handle(line));
        }
        lines.finish(|line| progress.handle(line));
    }
}
