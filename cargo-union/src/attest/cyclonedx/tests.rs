#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn crate_of(name: &str, source: CrateSource, dependencies: &[usize]) -> Crate {
    Crate {
        name: name.to_owned(),
        version: "1.0.0+a".to_owned(),
        source,
        checksum: None,
        license: None,
        kind: CrateKind::Runtime,
        dependencies: dependencies.to_vec(),
    }
}

fn document(graph: &CrateGraph) -> Value {
    let subject = SbomSubject {
        name: "team/app",
        tag: "abc",
        digest: Some(Digest::of("image")),
        platform: &"linux/amd64".parse().unwrap(),
        base: None,
        crates: Some(graph),
    };
    let document = sbom(&subject);
    assert_eq!(document.bytes, sbom(&subject).bytes);
    serde_json::from_slice(&document.bytes).unwrap()
}

#[test]
fn crates_have_sources_checksums_licenses_and_edges() {
    let mut graph = CrateGraph {
        crates: vec![
            crate_of("app", CrateSource::Local, &[1, 2, 3, 9]),
            crate_of("cc", CrateSource::CratesIo, &[]),
            crate_of(
                "fork",
                CrateSource::Git("https://a.example/f?branch=x#12".to_owned()),
                &[1],
            ),
            crate_of(
                "own",
                CrateSource::Registry("https://b.example".to_owned()),
                &[],
            ),
        ],
        root: 0,
    };
    graph.crates[1].checksum = Some("AB".repeat(32));
    graph.crates[1].license = Some("MIT/Apache-2.0".to_owned());
    graph.crates[1].kind = CrateKind::Build;
    graph.crates[3].checksum = Some("short".to_owned());
    let document = document(&graph);
    assert_eq!(
        document["components"],
        json!([
            {"type": "application", "bom-ref": "crate-0:app@1.0.0+a", "name": "app", "version": "1.0.0+a", "scope": "required"},
            {"type": "library", "bom-ref": "crate-1:cc@1.0.0+a", "name": "cc", "version": "1.0.0+a", "scope": "excluded",
             "hashes": [{"alg": "SHA-256", "content": "ab".repeat(32)}], "licenses": [{"expression": "MIT OR Apache-2.0"}],
             "purl": "pkg:cargo/cc@1.0.0%2Ba"},
            {"type": "library", "bom-ref": "crate-2:fork@1.0.0+a", "name": "fork", "version": "1.0.0+a", "scope": "required",
             "purl": "pkg:cargo/fork@1.0.0%2Ba?vcs_url=git%2Bhttps:%2F%2Fa.example%2Ff%3Fbranch%3Dx%4012"},
            {"type": "library", "bom-ref": "crate-3:own@1.0.0+a", "name": "own", "version": "1.0.0+a", "scope": "required",
             "purl": "pkg:cargo/own@1.0.0%2Ba?repository_url=https:%2F%2Fb.example"},
        ])
    );
    assert_eq!(
        document["dependencies"],
        json!([
            {"ref": "image", "dependsOn": ["crate-0:app@1.0.0+a"]},
            {"ref": "crate-0:app@1.0.0+a", "dependsOn": ["crate-1:cc@1.0.0+a", "crate-2:fork@1.0.0+a", "crate-3:own@1.0.0+a"]},
            {"ref": "crate-1:cc@1.0.0+a", "dependsOn": []},
            {"ref": "crate-2:fork@1.0.0+a", "dependsOn": ["crate-1:cc@1.0.0+a"]},
            {"ref": "crate-3:own@1.0.0+a", "dependsOn": []},
        ])
    );
    assert_eq!(document["metadata"]["component"]["name"], "team/app");
}

#[test]
fn document_has_no_time_and_no_serial_number() {
    let document = document(&CrateGraph::default());
    assert_eq!(document.get("serialNumber"), None);
    assert_eq!(document["metadata"].get("timestamp"), None);
    assert_eq!(document["components"], json!([]));
}
