#![allow(clippy::unwrap_used)]

use std::process::Command;

use tempfile::TempDir;

use super::*;

fn git(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .env_remove("GIT_DIR")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn repository() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap().join("repository");
    std::fs::create_dir(&root).unwrap();
    git(&root, &["init", "-q"]);
    (directory, root)
}

#[test]
fn nested_gitignore_rules_match_those_of_git() {
    let (_directory, root) = repository();
    write(
        &root,
        &[
            (".gitignore", "*.log\n/gen/\n!keep.log\n"),
            ("app/.gitignore", "*.tmp\n!b.log\n"),
            ("app/src/a", ""),
        ],
    );
    write(
        &root,
        &[
            ("a.log", ""),
            ("keep.log", ""),
            ("app/b.log", ""),
            ("app/c.log", ""),
            ("app/x.tmp", ""),
            ("gen/x", ""),
            ("x.tmp", ""),
        ],
    );
    let repository = GitRepository::discover(&root.join("app"));
    assert_eq!(repository.root, root);
    for name in [
        "a.log",
        "keep.log",
        "app/b.log",
        "app/c.log",
        "app/x.tmp",
        "gen/x",
        "x.tmp",
        "app/src/a",
    ] {
        let by_git = Command::new("git")
            .args(["check-ignore", "-q", name])
            .current_dir(&root)
            .status()
            .unwrap()
            .success();
        assert_eq!(
            repository.ignores(&root.join(name), false),
            by_git,
            "{name}"
        );
    }
}

#[test]
fn info_exclude_is_not_read() {
    let (_directory, root) = repository();
    write(&root, &[(".git/info/exclude", "*.rs\n"), ("a.rs", "")]);
    assert!(!GitRepository::discover(&root).ignores(&root.join("a.rs"), false));
}

#[test]
fn without_git_the_directory_itself_is_the_repository() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    write(
        &root,
        &[
            (".gitignore", "a\n"),
            ("ws/.gitignore", "b\n"),
            ("ws/a", ""),
            ("ws/b", ""),
        ],
    );
    let repository = GitRepository::discover(&root.join("ws"));
    assert_eq!(
        (repository.root.clone(), repository.revision()),
        (root.join("ws"), None)
    );
    assert!(
        !repository.ignores(&root.join("ws/a"), false)
            && repository.ignores(&root.join("ws/b"), false)
    );
    assert!(!repository.tracks(&root.join("ws/a")));
}

#[test]
fn tracked_files_are_read_from_index_versions_2_to_4() {
    for version in ["2", "3", "4"] {
        let (_directory, root) = repository();
        write(
            &root,
            &[
                (".gitignore", "gen/\n"),
                ("gen/a.rs", "1"),
                ("gen/deep/bb.rs", "2"),
                ("gen/c.rs", "3"),
                ("long/directory/name.rs", "4"),
            ],
        );
        git(&root, &["config", "index.version", version]);
        git(&root, &["add", "-f", "gen/a.rs", "gen/deep", "long"]);
        git(&root, &["update-index", "--index-version", version]);
        if version == "3" {
            git(&root, &["add", "-N", "-f", "gen/c.rs"]);
        }
        let repository = GitRepository::discover(&root);
        let tracks = |name: &str| repository.tracks(&root.join(name));
        assert!(
            tracks("gen/a.rs")
                && tracks("gen/deep/bb.rs")
                && tracks("gen")
                && tracks("gen/deep")
                && tracks("long/directory/name.rs")
        );
        assert_eq!(tracks("gen/c.rs"), version == "3", "version {version}");
        assert!(!tracks("ge") && !tracks("gen/de") && !tracks("other"));
    }
}

#[test]
fn tracked_files_are_read_from_split_and_sha256_indexes() {
    let (_directory, root) = repository();
    write(&root, &[("a", "1"), ("b", "2")]);
    git(&root, &["add", "a"]);
    git(&root, &["update-index", "--split-index"]);
    git(&root, &["add", "b"]);
    let split = GitRepository::discover(&root);
    assert!(
        split.tracks(&root.join("a"))
            && split.tracks(&root.join("b"))
            && !split.tracks(&root.join("c"))
    );

    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    git(&root, &["init", "-q", "--object-format=sha256"]);
    write(&root, &[("a", "1")]);
    git(&root, &["add", "a"]);
    git(&root, &["commit", "-qm", "x"]);
    let repository = GitRepository::discover(&root);
    assert!(repository.tracks(&root.join("a")));
    assert_eq!(
        repository.revision().unwrap(),
        git(&root, &["rev-parse", "HEAD"])
    );
}

#[test]
fn revision_is_read_from_branches_packed_refs_worktrees_and_detached_heads() {
    let (_directory, root) = repository();
    assert_eq!(GitRepository::discover(&root).revision(), None);
    git(&root, &["commit", "--allow-empty", "-qm", "one"]);
    let first = git(&root, &["rev-parse", "HEAD"]);
    assert_eq!(
        GitRepository::discover(&root).revision().as_ref(),
        Some(&first)
    );
    git(&root, &["pack-refs", "--all"]);
    assert!(!root.join(".git/refs/heads/main").exists());
    assert_eq!(
        GitRepository::discover(&root).revision().as_ref(),
        Some(&first)
    );
    git(&root, &["commit", "--allow-empty", "-qm", "two"]);
    let second = git(&root, &["rev-parse", "HEAD"]);
    git(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "../linked-work-tree",
            "-b",
            "other",
        ],
    );
    let linked = root.parent().unwrap().join("linked-work-tree");
    let other = GitRepository::discover(&linked);
    assert_eq!(
        (other.root.clone(), other.revision().as_ref()),
        (linked.clone(), Some(&second))
    );
    assert!(
        other.is_git_file(&root.join(".git/refs/heads/other"))
            && other.is_git_file(&linked.join(".git"))
    );
    std::fs::remove_dir_all(&linked).unwrap();
    git(&root, &["checkout", "-q", "--detach", &first]);
    let detached = GitRepository::discover(&root);
    assert_eq!(detached.revision().as_ref(), Some(&first));
    assert!(
        detached.is_git_file(&root.join(".git/HEAD"))
            && !detached.is_git_file(&root.join(".gitignore"))
    );
}
