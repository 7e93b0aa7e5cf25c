#![allow(clippy::unwrap_used)]

use tempfile::TempDir;
use union_build::diag::Origin;
use union_build::spec::Sourced;

use super::*;

fn tree(files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        fs::replace(&directory.path().join(file), file.as_bytes()).unwrap();
    }
    directory
}

fn pattern(directory: &Path, glob: &str) -> Pattern {
    Pattern {
        glob: Sourced {
            value: glob.to_owned(),
            origin: Origin::Default,
        },
        directory: directory.to_owned(),
    }
}

fn names(root: &TempDir, files: &[PathBuf]) -> Vec<String> {
    files
        .iter()
        .map(|file| relative(root.path(), file).unwrap())
        .collect()
}

fn package(directory: &Path) -> WorkspacePackage {
    WorkspacePackage {
        id: "app".to_owned(),
        name: "app".to_owned(),
        version: "0.1.0".to_owned(),
        manifest: union_build::diag::SourceFile::new(directory.join("Cargo.toml"), ""),
        directory: directory.to_owned(),
        root: directory.to_owned(),
        binaries: Vec::new(),
        default_run: None,
        dependencies: Vec::new(),
        declares_union: false,
        sources: vec![directory.join("src/main.rs"), directory.join("build.rs")],
    }
}

fn package_files(root: &TempDir, whole: bool) -> Vec<String> {
    let files = SourceFiles::new(Vec::new())
        .package_files(&package(root.path()), whole)
        .unwrap();
    names(root, &files.into_iter().collect::<Vec<_>>())
}

#[test]
fn package_files_are_those_that_git_would_track() {
    let root = tree(&[
        "src/main.rs",
        "src/gen/table.rs",
        "assets/logo.svg",
        ".sqlx/query-1.json",
        "build.rs",
        ".gitignore",
        "x.log",
    ]);
    fs::replace(&root.path().join(".gitignore"), b"gen\n*.log\n").unwrap();
    assert_eq!(
        package_files(&root, false),
        [
            ".sqlx/query-1.json",
            "assets/logo.svg",
            "build.rs",
            "src/main.rs"
        ]
    );
}

#[test]
fn files_of_version_control_ci_and_editors_are_not_inputs() {
    let none = [
        ".git/HEAD",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".vscode/settings.json",
        ".idea/x",
        ".cargo/config.toml",
        "src/.main.rs.swp",
        "src/main.rs~",
        "src/.#main.rs",
        "src/#main.rs#",
        "src/4913",
        ".DS_Store",
        "src/main.rs.orig",
        "Cargo.toml",
        "Cargo.lock",
        "Union.lock",
    ];
    let root = tree(&[&["src/main.rs", ".env.default"], &none[..]].concat());
    assert_eq!(package_files(&root, true), [".env.default", "src/main.rs"]);
}

#[test]
fn tests_and_documents_are_included_only_for_whole_packages() {
    let code = ["src/main.rs", "src/examples/one.rs", "data/t.txt"];
    let rest = [
        "README.md",
        "LICENSE-MIT",
        "tests/a.rs",
        "benches/b.rs",
        "examples/c.rs",
        "docs/x.md",
    ];
    let other = [
        "crates/helper/Cargo.toml",
        "crates/helper/src/lib.rs",
        "out/CACHEDIR.TAG",
        "out/release/app",
    ];
    let root = tree(&[&code[..], &rest[..], &other[..]].concat());
    assert_eq!(
        package_files(&root, false),
        ["data/t.txt", "src/examples/one.rs", "src/main.rs"]
    );
    let mut all: Vec<&str> = code.into_iter().chain(rest).collect();
    all.sort_unstable();
    assert_eq!(package_files(&root, true), all);
}

#[test]
fn tracked_files_count_although_ignored() {
    let root = tree(&[
        "src/main.rs",
        "gen/a.rs",
        "gen/b.rs",
        "gen/deep/c.rs",
        ".gitignore",
    ]);
    fs::replace(&root.path().join(".gitignore"), b"gen\n").unwrap();
    for arguments in [
        &["init", "-q"][..],
        &["add", "-f", "gen/a.rs", "gen/deep/c.rs"],
    ] {
        assert!(
            std::process::Command::new("git")
                .args(arguments)
                .current_dir(root.path())
                .status()
                .unwrap()
                .success()
        );
    }
    assert_eq!(
        package_files(&root, false),
        ["gen/a.rs", "gen/deep/c.rs", "src/main.rs"]
    );
}

#[test]
fn package_in_an_ignored_directory_has_its_files() {
    let root = tree(&[".gitignore", "made/src/main.rs", "made/data.txt"]);
    fs::replace(&root.path().join(".gitignore"), b"made\n").unwrap();
    std::fs::create_dir(root.path().join(".git")).unwrap();
    fs::replace(&root.path().join(".git/HEAD"), b"ref: refs/heads/main\n").unwrap();
    let files = SourceFiles::new(Vec::new())
        .package_files(&package(&root.path().join("made")), false)
        .unwrap();
    assert_eq!(
        names(&root, &files.into_iter().collect::<Vec<_>>()),
        ["made/data.txt", "made/src/main.rs"]
    );
}

#[cfg(unix)]
#[test]
fn links_out_of_the_repository_and_special_files_are_skipped() {
    use std::os::unix::fs::symlink;
    let outside = tree(&["secret.txt"]);
    let root = tree(&["src/main.rs"]);
    symlink(outside.path(), root.path().join("elsewhere")).unwrap();
    symlink("nowhere", root.path().join("dangling")).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(root.path().join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(package_files(&root, false), ["src/main.rs"]);
}

#[test]
fn named_directory_includes_hidden_and_ignored_files() {
    let root = tree(&[
        "data/a.txt",
        "data/.hidden",
        "data/ignored.log",
        "data/.git/x",
        ".gitignore",
    ]);
    fs::replace(&root.path().join(".gitignore"), b"*.log\n").unwrap();
    let sources = SourceFiles::new(Vec::new());
    let files = sources.below(&root.path().join("data")).unwrap();
    assert_eq!(
        names(&root, &files),
        ["data/.hidden", "data/a.txt", "data/ignored.log"]
    );
    let repository = sources.repository(root.path(), root.path());
    let files = sources
        .watched(&root.path().join("data"), &repository)
        .unwrap();
    assert_eq!(names(&root, &files), ["data/.hidden", "data/a.txt"]);
}

#[cfg(unix)]
#[test]
fn link_cycles_are_followed_once() {
    use std::os::unix::fs::symlink;
    let root = tree(&["src/main.rs", "shared/a.rs", "b/c.rs"]);
    symlink("../shared", root.path().join("src/shared")).unwrap();
    symlink("../b", root.path().join("shared/b")).unwrap();
    symlink("../shared", root.path().join("b/shared")).unwrap();
    symlink("nowhere", root.path().join("src/dangling")).unwrap();
    let files = SourceFiles::new(Vec::new())
        .below(&root.path().join("src"))
        .unwrap();
    assert_eq!(
        names(&root, &files),
        ["src/main.rs", "src/shared/a.rs", "src/shared/b/c.rs"]
    );
}

#[test]
fn pattern_is_a_file_a_directory_or_a_glob() {
    let root = tree(&[
        "app/a.sql",
        "app/sql/b.sql",
        "app/sql/deep/c.sql",
        "app/target/d.sql",
        "config.txt",
        "app/od[d.txt",
    ]);
    let app = root.path().join("app");
    let sources = SourceFiles::new(vec![app.join("target").canonicalize().unwrap()]);
    let matching = |glob: &str| {
        sources
            .matching(&pattern(&app, glob))
            .map(|files| names(&root, &files))
    };
    assert_eq!(matching("../config.txt").unwrap(), ["config.txt"]);
    assert_eq!(
        matching("sql").unwrap(),
        ["app/sql/b.sql", "app/sql/deep/c.sql"]
    );
    assert_eq!(
        matching("*.sql").unwrap(),
        ["app/a.sql", "app/sql/b.sql", "app/sql/deep/c.sql"]
    );
    assert_eq!(matching("sql/*.sql").unwrap(), ["app/sql/b.sql"]);
    assert_eq!(
        matching("../*.txt").unwrap(),
        ["app/od[d.txt", "config.txt"][1..]
    );
    assert_eq!(matching("od[d.txt").unwrap(), ["app/od[d.txt"]);
    assert_eq!(matching("none/*.sql").unwrap(), [""; 0]);
    assert_eq!(
        matching("missing.txt").unwrap_err().code(),
        Code::InvalidValue
    );
    assert_eq!(matching("a{b").unwrap_err().code(), Code::InvalidValue);
}

#[test]
fn exclude_patterns_match_files_and_directories() {
    let root = Path::new("/ws/app");
    let excluded = ExcludePatterns::new(&[
        pattern(root, "src/fixtures"),
        pattern(root, "*.md"),
        pattern(root, "../docs/*.txt"),
    ])
    .unwrap();
    for (file, is_excluded) in [
        ("/ws/app/src/fixtures/deep/a.rs", true),
        ("/ws/app/src/readme.md", true),
        ("/ws/docs/a.txt", true),
        ("/ws/app/src/main.rs", false),
        ("/ws/app/docs/a.txt", false),
    ] {
        assert_eq!(excluded.has(Path::new(file)), is_excluded, "{file}");
    }
}

#[test]
fn names_are_relative_to_the_root() {
    assert_eq!(
        relative(Path::new("/a/ws"), Path::new("/a/ws/src/main.rs")).unwrap(),
        "src/main.rs"
    );
    assert_eq!(
        relative(Path::new("/a/ws"), Path::new("/a/shared/lib.rs")).unwrap(),
        "../shared/lib.rs"
    );
}
