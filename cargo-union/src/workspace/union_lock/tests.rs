#![allow(clippy::unwrap_used)]

use super::*;

const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";

fn locked(text: &str) -> LockedReference {
    let platforms = [("linux/amd64".to_owned(), Digest::of(text))].into();
    LockedReference {
        digest: Digest::of(format!("{text} index")),
        platforms,
    }
}

fn save(lock: &mut UnionLock, root: &Path) -> bool {
    lock.save(false, &root.join("target")).unwrap()
}

fn learned(inputs: &[&str]) -> LearnedInputs {
    LearnedInputs {
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        ..LearnedInputs::default()
    }
}

#[test]
fn saved_content_is_loaded_again() {
    let root = tempfile::tempdir().unwrap();
    let mut lock = UnionLock::load(root.path()).unwrap();
    lock.set_base(DEBIAN, locked("one"));
    lock.bump("app", "gpu");
    lock.set_packages(
        [
            ("app".to_owned(), learned(&["a", "../b"])),
            ("helper".to_owned(), LearnedInputs::default()),
        ]
        .into(),
    );
    assert!(save(&mut lock, root.path()));
    let mut reloaded = UnionLock::load(root.path()).unwrap();
    assert_eq!(
        reloaded.base(DEBIAN, &Platform::new("linux", "amd64", None)),
        Some(Digest::of("one"))
    );
    assert_eq!(
        reloaded.base(DEBIAN, &Platform::new("linux", "arm64", None)),
        None
    );
    assert_eq!(
        (
            reloaded.generation("app", "gpu"),
            reloaded.generation("app", "default")
        ),
        (1, 0)
    );
    assert_eq!(
        *reloaded.packages(),
        [("app".to_owned(), learned(&["../b", "a"]))].into()
    );
    assert!(!save(&mut reloaded, root.path()) && !reloaded.save(true, root.path()).unwrap());
}

#[test]
fn concurrent_changes_are_merged() {
    let root = tempfile::tempdir().unwrap();
    let mut first = UnionLock::load(root.path()).unwrap();
    first.set_base("gone", locked("gone"));
    first.set_packages([("app".to_owned(), learned(&["a"]))].into());
    assert!(save(&mut first, root.path()));
    let [mut one, mut two] = [(); 2].map(|()| UnionLock::load(root.path()).unwrap());
    one.set_base("one", locked("one"));
    one.retain_bases(|base| base != "gone");
    one.set_packages([("app".to_owned(), learned(&["a", "one"]))].into());
    two.set_base("two", locked("two"));
    two.bump("app", "gpu");
    two.set_packages([("app".to_owned(), learned(&["a", "two"]))].into());
    assert!(save(&mut one, root.path()) && save(&mut two, root.path()));
    let now = UnionLock::load(root.path()).unwrap();
    assert_eq!(
        now.bases().map(|(name, _)| name).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(
        (now.generation("app", "gpu"), now.packages()["app"].clone()),
        (1, learned(&["a", "one", "two"]))
    );
}

#[test]
fn file_format_is_readable() {
    let mut lock = UnionLock::load(Path::new("/nowhere")).unwrap();
    let helper = LearnedInputs {
        variables: ["CC".to_owned()].into(),
        revision: true,
        whole: true,
        ..learned(&["../b"])
    };
    lock.set_packages([("helper".to_owned(), helper)].into());
    lock.set_base(DEBIAN, locked("one"));
    lock.bump("app", "gpu");
    let expected = format!(
        "{HEADER}version = {FORMAT}\n\n[generations]\n\"app/gpu\" = 1\n\n[packages.helper]\ninputs = [\"../b\"]\nvariables = [\"CC\"]\nrevision = true\nwhole = true\n\n[bases.\"{DEBIAN}\"]\ndigest = \"{}\"\n\n[bases.\"{DEBIAN}\".platforms]\n\"linux/amd64\" = \"{}\"\n",
        Digest::of("one index"),
        Digest::of("one"),
    );
    assert_eq!(lock.current.to_text(), expected);
}

#[test]
fn locked_file_is_not_changed() {
    let root = tempfile::tempdir().unwrap();
    let mut lock = UnionLock::load(root.path()).unwrap();
    lock.set_base(DEBIAN, locked("one"));
    let error = lock.save(true, root.path()).unwrap_err();
    assert_eq!(error.code(), Code::UnionLockStale);
    assert!(error.to_string().contains(DEBIAN), "{error}");
    assert!(!root.path().join("Union.lock").exists());
}

#[test]
fn errors_name_line_and_cause() {
    let root = tempfile::tempdir().unwrap();
    for (text, line, why) in [
        (
            "version = 1\n[bases.a]\ndigest = 'sha256:12'\nplatforms = {}\n",
            3,
            "`sha256:12` is not a sha256 digest",
        ),
        ("version = 1\nother = 2\n", 2, "unknown field"),
        ("# hi\nversion = 99\n[new]\n", 2, "it has the format 99"),
        (
            "version = 1\n<<<<<<< HEAD\n[packages.a]\n=======\n>>>>>>> b\n",
            2,
            "conflict markers",
        ),
        ("", 1, "missing field"),
    ] {
        std::fs::write(root.path().join("Union.lock"), text).unwrap();
        let error = UnionLock::load(root.path()).unwrap_err();
        let chain = error.chain().join(": ");
        assert_eq!(error.code(), Code::UnionLockInvalid);
        assert!(
            chain.contains(&format!("Union.lock:{line}`")) && chain.contains(why),
            "{text:?}: {chain}"
        );
    }
}

#[test]
fn generation_after_the_largest_is_another() {
    let root = tempfile::tempdir().unwrap();
    let text = format!(
        "version = {FORMAT}\n[generations]\n\"app/gpu\" = {}\n",
        u32::MAX
    );
    std::fs::write(root.path().join("Union.lock"), text).unwrap();
    let mut lock = UnionLock::load(root.path()).unwrap();
    lock.bump("app", "gpu");
    assert_eq!(lock.generation("app", "gpu"), 0);
}

const VALID: &str = "# comment\nversion = 1\n\n[generations]\n\"app/gpu\" = 1\n\n[packages.helper]\n\
    inputs = [\"../b\"]\noutputs = [\"src/made.rs\"]\nvariables = [\"CC\"]\nrevision = true\nwhole = true\n\n\
    [bases.\"docker.io/library/debian:bookworm\"]\n\
    digest = \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\n\
    [bases.\"docker.io/library/debian:bookworm\".platforms]\n\
    \"linux/amd64\" = \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n";

/// A text is refused with a line of the file, or read, and then what is written reads as the same.
fn check_any(text: &str) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("Union.lock");
    std::fs::write(&path, text).unwrap();
    let mut lock = match UnionLock::load(root.path()) {
        Ok(lock) => lock,
        Err(error) => {
            assert_eq!(error.code(), Code::UnionLockInvalid);
            let message = error.to_string();
            let line = message.rsplit_once(':').unwrap().1.trim_end_matches('`');
            let line: usize = line.parse().unwrap();
            assert!(
                (1..=text.split('\n').count()).contains(&line),
                "{text:?}: {message}"
            );
            return;
        }
    };
    lock.bump("app", "gpu");
    lock.set_base(DEBIAN, locked("one"));
    assert!(save(&mut lock, root.path()));
    let reloaded = UnionLock::load(root.path()).unwrap();
    assert_eq!(reloaded.loaded, lock.current);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(HEADER));
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_is_refused_with_its_line_or_read(text in union_tests::arbitrary::text()) {
        check_any(&text);
    }

    #[test]
    fn spoiled_files_are_refused_with_their_line_or_read(text in union_tests::arbitrary::spoiled(VALID)) {
        check_any(&text);
    }
}

#[test]
fn valid_sample_of_the_property_tests_is_read() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("Union.lock"), VALID).unwrap();
    assert_eq!(UnionLock::load(root.path()).unwrap().bases().count(), 1);
    check_any(VALID);
}
