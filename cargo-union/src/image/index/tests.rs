//! Tests of merged layers and of paths through links.

use super::*;

fn index(layers: &[&[(&str, FsEntry)]]) -> FileIndex {
    let mut index = FileIndex::default();
    for layer in layers {
        let changes: Vec<_> = layer
            .iter()
            .map(|(path, node)| LayerChange::of(path, node.clone()))
            .collect();
        index.apply(&changes);
    }
    index
}

fn file() -> FsEntry {
    FsEntry::File(None)
}

fn link(target: &str) -> FsEntry {
    FsEntry::Link(target.to_owned())
}

#[test]
fn file_below_a_linked_directory_is_placed_in_the_target() {
    let index = index(&[&[("usr/bin/sh", file()), ("bin", link("usr/bin"))]]);
    assert_eq!(index.place_file("bin/x").unwrap(), "usr/bin/x");
}

#[test]
fn absolute_relative_and_chained_links_are_followed() {
    let index = index(&[&[
        ("real/deep/file", file()),
        ("a/absolute", link("/real")),
        ("a/relative", link("../real/deep")),
        ("chain", link("a/absolute/deep")),
        ("above", link("../../real")),
    ]]);
    for (path, resolved) in [
        ("a/absolute/x", "real/x"),
        ("a/relative/x", "real/deep/x"),
        ("chain/new/x", "real/deep/new/x"),
        ("above/x", "real/x"),
        ("nowhere/x", "nowhere/x"),
    ] {
        assert_eq!(index.place_file(path).unwrap(), resolved, "{path}");
    }
}

#[test]
fn link_to_a_missing_target_is_followed() {
    assert_eq!(
        index(&[&[("var/run", link("/run"))]])
            .place_directory("var/run/app")
            .unwrap(),
        "run/app"
    );
}

#[test]
fn loop_of_links_is_an_error() {
    let index = index(&[&[("a", link("b")), ("b", link("/a"))]]);
    assert_eq!(index.place_file("a/x"), Err(Conflict::Loop("a".to_owned())));
}

#[test]
fn files_and_directories_do_not_replace_each_other() {
    let index = index(&[&[
        ("etc/app/conf", file()),
        ("conf", link("etc/app")),
        ("one", link("etc/app/conf")),
    ]]);
    assert_eq!(
        index.place_file("etc/app"),
        Err(Conflict::IsADirectory("etc/app".to_owned()))
    );
    assert_eq!(
        index.place_file("conf"),
        Err(Conflict::IsADirectory("conf".to_owned()))
    );
    assert_eq!(
        index.place_directory("etc/app/conf"),
        Err(Conflict::NotADirectory("etc/app/conf".to_owned()))
    );
    assert_eq!(
        index.place_file("etc/app/conf/x"),
        Err(Conflict::NotADirectory("etc/app/conf".to_owned()))
    );
    assert_eq!(
        index.place_file("one").unwrap(),
        "one",
        "a link to a file is replaced, not written through"
    );
}

#[test]
fn whiteouts_only_remove_entries_of_lower_layers() {
    let lower: &[(&str, FsEntry)] = &[
        ("a/gone/x", file()),
        ("a/gone2", file()),
        ("b/old", file()),
        ("b0", file()),
    ];
    let upper: &[(&str, FsEntry)] = &[
        ("b/new", file()),
        ("a/.wh.gone", file()),
        ("b/.wh..wh..opq", file()),
        ("a/gone/again", file()),
    ];
    let index = index(&[lower, upper]);
    for (path, exists) in [
        ("a/gone/x", false),
        ("a/gone/again", true),
        ("a/gone2", true),
        ("b/old", false),
        ("b/new", true),
        ("b0", true),
    ] {
        assert_eq!(index.get(path).is_some(), exists, "{path}");
    }
}

#[test]
fn removed_link_is_not_followed() {
    let index = index(&[&[("bin", link("usr/bin"))], &[(".wh.bin", file())]]);
    assert_eq!(index.place_file("bin/x").unwrap(), "bin/x");
}

#[test]
fn text_is_that_of_the_topmost_layer_and_removed_with_its_file() {
    let passwd = |text: &str| FsEntry::File(Some(IndexedFile::Text(text.to_owned())));
    let layers: &[&[(&str, FsEntry)]] = &[
        &[("etc/passwd", passwd("old"))],
        &[("etc/passwd", passwd("new"))],
    ];
    assert_eq!(index(layers).text("etc/passwd"), Some("new"));
    assert_eq!(
        index(&[layers[0], &[("etc/.wh.passwd", file())]]).text("etc/passwd"),
        None
    );
}
