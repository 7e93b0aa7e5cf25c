//! Symbolic links that are followed, kept or refused.

use super::*;

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
