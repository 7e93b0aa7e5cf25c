//! What a copy leaves out: git, outputs of cargo, and what ignore files and `exclude` name.

use super::*;

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
