//! Sources and destinations of a copy, and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

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
