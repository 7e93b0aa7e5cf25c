#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

const LOCK: &str = r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
[[package]]
name = "both"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "aa"
[[package]]
name = "cc"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "bb"
[[package]]
name = "derive"
version = "2.0.0"
source = "registry+https://example.com/index"
checksum = "cc"
[[package]]
name = "fork"
version = "1.0.0"
source = "git+https://user:secret@example.com/fork?branch=x#0123456789abcdef"
[[package]]
name = "syn"
version = "3.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "dd"
[[package]]
name = "twin"
version = "1.0.0"
[[package]]
name = "twin"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "ee"
"#;

const TREE: &str = "\
app v0.1.0 (/ws/app)\tApache-2.0
|-- both v1.0.0\tMIT
|   `-- twin v1.0.0\tMIT
|-- derive v2.0.0 (proc-macro) (registry `private`)\t
|   `-- syn v3.0.0\tMIT OR Apache-2.0
|-- fork v1.0.0 (https://user:secret@example.com/fork?branch=x#01234567)\tMIT
|   `-- both v1.0.0\tMIT (*)
|   [build-dependencies]
|   `-- cc v1.0.0\tMIT
`-- twin v1.0.0 (/ws/twin)\t
[build-dependencies]
|-- both v1.0.0\tMIT
`-- cc v1.0.0\tMIT (*)
";

fn graph(tree: &str) -> Result<CrateGraph, String> {
    let lock = Lockfile::parse(Path::new("/ws/Cargo.lock"), LOCK).unwrap();
    Tree::parse(tree).into_graph(&lock)
}

#[test]
fn tree_becomes_a_graph_of_linked_and_build_crates() {
    let graph = graph(TREE).unwrap();
    let rows: Vec<String> = graph
        .crates
        .iter()
        .map(|one| {
            format!(
                "{} {:?} {:?} {:?}",
                one.name, one.source, one.kind, one.dependencies
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "app Local Runtime [1, 2, 3, 4, 7]",
            "both CratesIo Runtime [6]",
            "cc CratesIo Build []",
            "derive Registry(\"https://example.com/index\") Build [5]",
            "fork Git(\"https://example.com/fork?branch=x#0123456789abcdef\") Runtime [1, 2]",
            "syn CratesIo Build []",
            "twin CratesIo Runtime []",
            "twin Local Runtime []",
        ]
    );
    assert_eq!(graph.root, 0);
    assert_eq!(
        graph.crates[5].license.as_deref(),
        Some("MIT OR Apache-2.0")
    );
    assert_eq!(graph.crates[1].license.as_deref(), Some("MIT"));
    assert_eq!(graph.crates[3].license, None);
    assert_eq!(graph.crates[6].checksum.as_deref(), Some("ee"));
}

#[test]
fn what_cargo_prints_is_not_trusted() {
    assert_eq!(graph("").unwrap_err(), "cargo printed no packages");
    assert_eq!(
        graph("app v0.1.0\t\n`-- absent v1.0.0\t\n").unwrap_err(),
        "Cargo.lock has no `absent 1.0.0`"
    );
    for text in [
        "\t",
        "v\t",
        "[build-dependencies]",
        "||||    a v1\t",
        "-- -- é v1.0.0\t",
    ] {
        let _ = graph(text);
    }
}
