#![allow(clippy::unwrap_used)]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use union_build::diag::Origin;

use super::*;
use crate::sys::fs::measure;

/// A workspace of these files; a name that ends with `/` is a directory.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| tree.write(file, file));
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("workspace").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        if name.ends_with('/') {
            return std::fs::create_dir_all(path).unwrap();
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn link(&self, name: &str, target: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn roots(&self) -> SourceRoots {
        SourceRoots {
            workspace: self.path(""),
            package: self.path("app"),
            outputs: vec![self.path("out")],
        }
    }

    fn copy(&self, from: &str, exclude: &[&str]) -> spec::Copy {
        fn placed<T>(value: T) -> spec::Sourced<T> {
            spec::Sourced {
                value,
                origin: Origin::Default,
            }
        }
        let exclude = exclude
            .iter()
            .map(|pattern| placed((*pattern).to_owned()))
            .collect();
        let to = placed("/x".to_owned());
        spec::Copy {
            from: placed(self.path(from)),
            typed: from.to_owned(),
            to,
            mode: None,
            owner: None,
            exclude,
        }
    }

    fn excluding(&self, from: &str, exclude: &[&str]) -> Vec<String> {
        let shown = |item: &Item| {
            let place = item.to.strip_prefix("x/").unwrap_or(&item.to);
            match &item.kind {
                ItemKind::Directory => format!("{place}/"),
                ItemKind::File { mode: 0o644, .. } => place.to_owned(),
                ItemKind::File { mode, .. } => format!("{place} {mode:o}"),
                ItemKind::Link(target) => format!("{place} -> {target}"),
                ItemKind::Pipe | ItemKind::Device(_) => format!("{place} |"),
            }
        };
        let copy = self.copy(from, exclude);
        check(&copy, &self.roots()).unwrap();
        items(&copy, &self.roots(), &measure)
            .unwrap()
            .iter()
            .skip(1)
            .map(shown)
            .collect()
    }

    /// The items of a directory, relative to its destination.
    fn copied(&self, from: &str) -> Vec<String> {
        self.excluding(from, &[])
    }

    /// The error of a copy, which the check and the build must report alike.
    fn refused(&self, from: &str) -> (Code, String) {
        let copy = self.copy(from, &[]);
        let checked = check(&copy, &self.roots()).unwrap_err();
        let built = items(&copy, &self.roots(), &measure).unwrap_err();
        assert_eq!(
            (checked.code(), checked.chain()),
            (built.code(), built.chain()),
            "{from}"
        );
        (built.code(), built.chain().join(": "))
    }
}

#[test]
fn copy_of_a_directory_has_modes_independent_of_the_umask() {
    let tree = Tree::new(&["conf/run.sh", "conf/nested/.hidden"]);
    std::fs::set_permissions(
        tree.path("conf/run.sh"),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    tree.link("conf/nested/link", "../run.sh");
    assert_eq!(
        tree.copied("conf"),
        [
            "nested/",
            "nested/.hidden",
            "nested/link -> ../run.sh",
            "run.sh 755"
        ]
    );
}

#[test]
fn trailing_slash_copies_a_file_into_the_directory() {
    let tree = Tree::new(&["conf/run.sh"]);
    for (to, place) in [
        ("/opt/", "opt/run.sh"),
        ("/opt/other", "opt/other"),
        ("/", "run.sh"),
    ] {
        let mut copy = tree.copy("conf/run.sh", &[]);
        to.clone_into(&mut copy.to.value);
        assert_eq!(items(&copy, &tree.roots(), &measure).unwrap()[0].to, place);
    }
}

#[test]
fn copy_outside_of_the_workspace_is_refused() {
    let tree = Tree::new(&["a"]);
    std::fs::write(tree.0.path().join("secret"), "secret").unwrap();
    tree.link("through", "../secret");
    for (from, code) in [
        ("../secret", Code::CopyOutside),
        ("through", Code::CopyThroughSymlink),
        ("absent", Code::CopyMissing),
    ] {
        assert_eq!(tree.refused(from).0, code, "{from}");
    }
}

#[test]
fn outside_package_may_copy_its_own_files() {
    let tree = Tree::new(&["Cargo.toml", "../svc/conf/a", "../other/b"]);
    tree.link("../svc/conf/shared", "../../workspace/Cargo.toml");
    let roots = SourceRoots {
        package: tree.path("../svc"),
        ..tree.roots()
    };
    let names = |from: &str| {
        items(&tree.copy(from, &[]), &roots, &measure)
            .map(|items| items.into_iter().map(|item| item.to).collect::<Vec<_>>())
    };
    assert_eq!(names("../svc/conf").unwrap(), ["x", "x/a", "x/shared"]);
    assert_eq!(names("Cargo.toml").unwrap(), ["x"]);
    assert_eq!(names("../other/b").unwrap_err().code(), Code::CopyOutside);
}

#[test]
fn copy_of_the_workspace_excludes_git_cargo_outputs_and_union_lock() {
    let tree = Tree::new(&[
        "src/main.rs",
        "out/debug/app",
        "old/CACHEDIR.TAG",
        "cache/CACHEDIR.TAG",
        ".git/HEAD",
        "sub/.git",
        "Union.lock",
        "sub/Union.lock",
    ]);
    tree.write("old/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by cargo.\n");
    assert_eq!(
        tree.copied("."),
        [
            "cache/",
            "cache/CACHEDIR.TAG",
            "src/",
            "src/main.rs",
            "sub/",
            "sub/Union.lock"
        ]
    );
}

#[test]
fn copy_that_names_git_outputs_or_union_lock_is_refused() {
    let tree = Tree::new(&["out/site/index.html", ".git/HEAD", "Union.lock"]);
    for from in ["out", ".git", ".git/HEAD", "Union.lock"] {
        let (code, why) = tree.refused(from);
        assert_eq!(code, Code::CopyMissing, "{from}");
        assert!(why.contains("never copied"), "{why}");
    }
    assert_eq!(tree.copied("out/site"), ["index.html"]);
}

#[test]
fn gitignore_applies_to_the_roots_but_not_to_named_directories() {
    let tree = Tree::new(&[
        "app/conf/a.log",
        "app/conf/b",
        "app/src/main.rs",
        "app/gen/x",
        "app/deep/er/c.log",
        "secret",
    ]);
    tree.write(".gitignore", "*.log\n/secret\n");
    tree.write("app/.gitignore", "gen/\n!keep.log\n");
    tree.write("app/keep.log", "");
    assert_eq!(
        tree.copied("app"),
        [
            ".gitignore",
            "conf/",
            "conf/b",
            "deep/",
            "deep/er/",
            "keep.log",
            "src/",
            "src/main.rs"
        ]
    );
    assert!(!tree.copied(".").contains(&"secret".to_owned()));
    assert_eq!(tree.copied("app/conf"), ["a.log", "b"]);
    assert_eq!(tree.copied("app/gen"), ["x"]);
}

#[test]
fn nearest_dockerignore_applies_except_to_the_named_directory() {
    let tree = Tree::new(&[
        "app/conf/a.log",
        "app/conf/b",
        "app/web/node_modules/m",
        "app/web/page",
        "app/web/x.log",
    ]);
    tree.write("app/.dockerignore", "conf\n**/*.log\n");
    tree.write("app/web/.dockerignore", "node_modules\n.dockerignore\n");
    assert_eq!(
        tree.copied("app"),
        [
            ".dockerignore",
            "web/",
            "web/.dockerignore",
            "web/node_modules/",
            "web/node_modules/m",
            "web/page"
        ]
    );
    assert_eq!(tree.copied("app/conf"), ["b"]);
    assert_eq!(tree.copied("app/web"), ["page", "x.log"]);
    let copy = tree.copy("app/conf/a.log", &[]);
    assert_eq!(
        items(&copy, &tree.roots(), &measure).unwrap().len(),
        1,
        "a file that is named is copied"
    );
}

#[test]
fn exclude_follows_the_rules_of_dockerignore() {
    let tree = Tree::new(&["conf/a.log", "conf/b", "conf/deep/c.log", "conf/deep/d"]);
    assert_eq!(
        tree.excluding("conf", &["*.log"]),
        ["b", "deep/", "deep/c.log", "deep/d"]
    );
    assert_eq!(
        tree.excluding("conf", &["**/*.log", "!deep/c.log"]),
        ["b", "deep/", "deep/c.log", "deep/d"]
    );
    assert_eq!(tree.excluding("conf", &["deep"]), ["a.log", "b"]);
    for (from, exclude, why) in [
        ("conf", "*", "all its files are excluded"),
        ("conf", "[", "`[`"),
        ("conf/b", "x", "is a file"),
    ] {
        let error = check(&tree.copy(from, &[exclude]), &tree.roots()).unwrap_err();
        assert!(error.chain().join(": ").contains(why), "{error:?}");
    }
}

#[test]
fn links_are_followed_where_they_leave_the_copied_directory_and_stay_in_the_workspace() {
    let tree = Tree::new(&["hub/blobs/ab12", "hub/blobs/tree/y", "hub/refs/main"]);
    tree.link("hub/snapshots/r1/x", "../../blobs/ab12");
    tree.link("hub/snapshots/r1/own", "x");
    tree.link("hub/snapshots/r1/tree", "../../blobs/tree");
    tree.link("hub/blobs/tree/to-y", "y");
    tree.link("hub/blobs/tree/back", "../ab12");
    tree.link(
        "hub/snapshots/r1/absolute",
        tree.path("hub/refs/main").to_str().unwrap(),
    );
    tree.link("hub/snapshots/r1/gone", "nowhere");
    assert_eq!(
        tree.copied("hub/snapshots/r1"),
        [
            "absolute",
            "gone -> nowhere",
            "own -> x",
            "tree/",
            "tree/back",
            "tree/to-y -> y",
            "tree/y",
            "x"
        ]
    );
    // No link leaves the tree when all of it is copied.
    assert!(
        tree.copied("hub")
            .contains(&"snapshots/r1/x -> ../../blobs/ab12".to_owned())
    );
}

#[test]
fn links_that_cannot_be_followed_are_refused_by_check_and_build_alike() {
    let tree = Tree::new(&["conf/nested/a", "secret/b"]);
    std::fs::write(tree.0.path().join("outside"), "").unwrap();
    for (target, why) in [
        ("../../outside", "outside of the workspace"),
        ("/etc/passwd", "outside of the workspace"),
        ("../gone", "which does not exist"),
        ("..", "that contains the link"),
        ("../conf", "that contains the link"),
        ("../circle", "cannot be followed"),
    ] {
        let _ = std::fs::remove_file(tree.path("circle"));
        tree.link("circle", "conf/link");
        tree.link("conf/link", target);
        let (code, message) = tree.refused("conf");
        assert_eq!(code, Code::CopyThroughSymlink, "{target}");
        assert!(
            message.contains(why) && message.contains("conf/link"),
            "{message}"
        );
        std::fs::remove_file(tree.path("conf/link")).unwrap();
    }
}

#[test]
fn too_many_links_between_directories_are_an_error() {
    let tree = Tree::new(&["conf/", "d20/"]);
    for level in 0..20 {
        tree.write(&format!("d{level}/"), "");
        tree.link(&format!("d{level}/left"), &format!("../d{}", level + 1));
        tree.link(&format!("d{level}/right"), &format!("../d{}", level + 1));
    }
    tree.link("conf/start", "../d0");
    let (code, why) = tree.refused("conf");
    assert_eq!(code, Code::CopyThroughSymlink);
    assert!(why.contains("more than 10000 links"), "{why}");
}

#[test]
fn whiteout_names_are_refused() {
    for name in [".wh.passwd", "deep/.wh..wh..opq", "deep/.wh.d/x"] {
        let tree = Tree::new(&["conf/kept", &format!("conf/{name}")]);
        let (code, why) = tree.refused("conf");
        assert_eq!(code, Code::PathInvalid);
        assert!(why.contains("`.wh.`"), "{why}");
        assert!(
            tree.excluding("conf", &["**/.wh.*"])
                .iter()
                .all(|path| path == "kept" || path == "deep/")
        );
    }
    let tree = Tree::new(&["conf/a"]);
    tree.write("conf/.wh.a", "");
    let mut copy = tree.copy("conf/.wh.a", &[]);
    assert_eq!(items(&copy, &tree.roots(), &measure).unwrap()[0].to, "x");
    copy.to.value.push('/');
    assert_eq!(
        check(&copy, &tree.roots()).unwrap_err().code(),
        Code::PathInvalid
    );
}

#[test]
fn socket_is_refused_without_opening_it() {
    let tree = Tree::new(&["conf/a"]);
    let _listener = std::os::unix::net::UnixListener::bind(tree.path("conf/socket")).unwrap();
    let (code, why) = tree.refused("conf");
    assert_eq!(code, Code::FileUnreadable);
    assert!(why.contains("neither a file"), "{why}");
}
