#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn included_paths(text: &str) -> Vec<(String, IncludedFile)> {
    included(text)
        .into_iter()
        .map(|(span, file)| (text[span].to_owned(), file))
        .collect()
}

#[test]
fn included_local_files_are_found() {
    let list = |path: &str| IncludedFile::List(path.to_owned());
    let package = |path: &str| IncludedFile::Package(path.to_owned());
    let directory = |path: &str| IncludedFile::Directory(path.to_owned());
    for (line, path, expected) in [
        ("-r base.txt", "base.txt", list("base.txt")),
        ("-rbase.txt # why", "base.txt", list("base.txt")),
        (
            "  --requirement=sub/base.txt",
            "sub/base.txt",
            list("sub/base.txt"),
        ),
        (
            "-c constraints.txt \\",
            "constraints.txt",
            list("constraints.txt"),
        ),
        (
            "./wheels/x-1.whl --hash=sha256:00",
            "./wheels/x-1.whl",
            package("./wheels/x-1.whl"),
        ),
        (
            "wheels/x-1.whl[extra]",
            "wheels/x-1.whl",
            package("wheels/x-1.whl"),
        ),
        (
            "x @ file:./x.whl ; python_version > '3'",
            "file:./x.whl",
            package("./x.whl"),
        ),
        ("-e .", ".", directory(".")),
        ("--find-links ./wheels", "./wheels", directory("./wheels")),
    ] {
        assert_eq!(
            included_paths(&format!("numpy\n{line}\n")),
            [(path.to_owned(), expected)],
            "{line}"
        );
    }
    for line in [
        "numpy>=2",
        "# -r x",
        "--index-url https://a/b",
        "-r https://a/b.txt",
        "x @ https://a/x.whl",
        "",
        "-r ${X}/a.txt",
        "--requirements x",
    ] {
        assert_eq!(included_paths(line), [], "{line}");
    }
}

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, SourceRoots) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::replace(&directory.path().join(name), text.as_bytes()).unwrap();
    }
    let roots = SourceRoots {
        workspace: directory.path().to_owned(),
        ..SourceRoots::default()
    };
    (directory, roots)
}

#[test]
fn included_paths_are_rewritten_to_those_in_the_build() {
    let (directory, roots) = tree(&[
        (
            "py/requirements.txt",
            "-r sub/base.txt\n-c ../constraints.txt\nnumpy\n",
        ),
        (
            "py/sub/base.txt",
            "-r ../requirements.txt\n./wheels/x.whl\n",
        ),
        ("py/wheels/x.whl", "wheel"),
        ("constraints.txt", "numpy<3\n"),
    ]);
    let followed = follow(&directory.path().join("py/requirements.txt"), "/in", &roots).unwrap();
    let shown: Vec<(&str, Option<&str>)> = followed
        .iter()
        .map(|file| {
            (
                file.name.as_str(),
                file.list.as_ref().map(|list| list.text.as_str()),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "requirements.txt",
                Some("-r /in/requirements-2.txt\n-c /in/requirements-1.txt\nnumpy\n")
            ),
            ("requirements-1.txt", Some("numpy<3\n")),
            (
                "requirements-2.txt",
                Some("-r /in/requirements.txt\n/in/packages-3/x.whl\n")
            ),
            ("packages-3/x.whl", None),
        ]
    );
}

#[test]
fn directories_and_outside_paths_are_refused_at_their_line() {
    for (line, code, why) in [
        ("-e ./lib", Code::InvalidValue, "`./lib` is a directory"),
        ("./lib", Code::InvalidValue, "`./lib` is a directory"),
        (
            "-r absent.txt",
            Code::FileUnreadable,
            "`absent.txt` cannot be read",
        ),
        (
            "-r /etc/hosts",
            Code::CopyOutside,
            "outside of the workspace",
        ),
    ] {
        let (directory, roots) = tree(&[
            ("requirements.txt", &format!("numpy\n{line}\n")),
            ("lib/setup.py", ""),
        ]);
        let error = follow(&directory.path().join("requirements.txt"), "/in", &roots).unwrap_err();
        assert_eq!(error.code(), code, "{line}");
        let message = error.chain().join(": ");
        assert!(
            message.contains("requirements.txt:2:") && message.contains(why),
            "{message}"
        );
    }
}

#[test]
fn uv_lock_may_refer_only_to_its_own_project_on_disk() {
    let own = "[[package]]\nname = \"a\"\nsource = { virtual = \".\" }\n";
    let (directory, _) = tree(&[("uv.lock", own)]);
    assert!(check_uv_lock(&directory.path().join("uv.lock")).is_ok());
    for source in [
        "path = \"wheels/x.whl\"",
        "directory = \"../lib\"",
        "editable = \"lib\"",
    ] {
        let (directory, _) = tree(&[(
            "uv.lock",
            &format!("{own}\n[[package]]\nname = \"b\"\nsource = {{ {source} }}\n"),
        )]);
        let refused = check_uv_lock(&directory.path().join("uv.lock"))
            .err()
            .unwrap()
            .into_error();
        assert!(refused.to_string().contains("uv.lock:7:1"), "{refused}");
    }
}

proptest! {
    #[test]
    fn parsing_requirements_never_panics(text in "(-r|-c|-e|--find-links=|file:|file://|\\./|@ | #|\\\\|\n|;|\\[|[ a-zé./$\\{]){0,20}") {
        for (span, _) in included(&text) {
            prop_assert!(text.get(span).is_some());
        }
    }
}
