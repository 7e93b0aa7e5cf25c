//! Layers upon one another, and paths through their links.

use super::*;

fn index(layers: &[&[(&str, FsEntry)]]) -> FileIndex {
    let mut index = FileIndex::default();
    for layer in layers {
        let changes: Vec<_> = layer.iter().map(|(path, node)| LayerChange::of(path, node.clone())).collect();
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
fn a_file_for_bin_goes_where_the_link_leads() {
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
    for (path, place) in [
        ("a/absolute/x", "real/x"),
        ("a/relative/x", "real/deep/x"),
        ("chain/new/x", "real/deep/new/x"),
        ("above/x", "real/x"),
        ("nowhere/x", "nowhere/x"),
    ] {
        assert_eq!(index.place_file(path).unwrap(), place, "{path}");
    }
}

#[test]
fn a_link_to_something_absent_still_leads_there() {
    assert_eq!(index(&[&[("var/run", link("/run"))]]).place_folder("var/run/app").unwrap(), "run/app");
}

#[test]
fn links_in_a_circle_end_in_an_error() {
    let index = index(&[&[("a", link("b")), ("b", link("/a"))]]);
    assert_eq!(index.place_file("a/x"), Err(Conflict::Circle("a".to_owned())));
}

#[test]
fn files_and_folders_do_not_take_each_others_place() {
    let index = index(&[&[("etc/app/conf", file()), ("conf", link("etc/app")), ("one", link("etc/app/conf"))]]);
    assert_eq!(index.place_file("etc/app"), Err(Conflict::IsAFolder("etc/app".to_owned())));
    assert_eq!(index.place_file("conf"), Err(Conflict::IsAFolder("conf".to_owned())));
    assert_eq!(index.place_folder("etc/app/conf"), Err(Conflict::NotAFolder("etc/app/conf".to_owned())));
    assert_eq!(index.place_file("etc/app/conf/x"), Err(Conflict::NotAFolder("etc/app/conf".to_owned())));
    assert_eq!(index.place_file("one").unwrap(), "one", "a link to a file is replaced, not written through");
}

#[test]
fn whiteouts_remove_what_is_below_them_and_nothing_else() {
    let lower: &[(&str, FsEntry)] = &[("a/gone/x", file()), ("a/gone2", file()), ("b/old", file()), ("b0", file())];
    let upper: &[(&str, FsEntry)] = &[("b/new", file()), ("a/.wh.gone", file()), ("b/.wh..wh..opq", file()), ("a/gone/again", file())];
    let index = index(&[lower, upper]);
    for (path, there) in [("a/gone/x", false), ("a/gone/again", true), ("a/gone2", true), ("b/old", false), ("b/new", true), ("b0", true)] {
        assert_eq!(index.get(path).is_some(), there, "{path}");
    }
}

#[test]
fn a_removed_link_is_not_followed() {
    let index = index(&[&[("bin", link("usr/bin"))], &[(".wh.bin", file())]]);
    assert_eq!(index.place_file("bin/x").unwrap(), "bin/x");
}

#[test]
fn the_topmost_text_counts_and_goes_with_its_file() {
    let passwd = |text: &str| FsEntry::File(Some(IndexedFile::Text(text.to_owned())));
    let layers: &[&[(&str, FsEntry)]] = &[&[("etc/passwd", passwd("old"))], &[("etc/passwd", passwd("new"))]];
    assert_eq!(index(layers).text("etc/passwd"), Some("new"));
    assert_eq!(index(&[layers[0], &[("etc/.wh.passwd", file())]]).text("etc/passwd"), None);
}
