//! The content of the section `.dep-v0`: the crates of a program in the format of cargo-auditable, zlib-compressed JSON.
//!
//! The format is described in `PARSING.md` and in the crate `auditable-serde` of cargo-auditable.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;

use super::crate_graph::{Crate, CrateGraph, CrateKind, CrateSource};

/// The name of the section.
pub const SECTION: &str = ".dep-v0";

/// What the content of the section depends on besides the crates. It is part of the key of an image.
pub const VERSION: &str = "dep-v0 format 1";

/// Revision 1 of the format: procedural macros and what they need are of the kind `build`.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct VersionInfo<'a> {
    packages: Vec<AuditedPackage<'a>>,
    format: u32,
}

#[derive(Serialize)]
struct AuditedPackage<'a> {
    name: &'a str,
    version: &'a str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    dependencies: &'a [usize],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    root: bool,
}

/// The content of the section. It depends on nothing but the crates.
pub fn encode(graph: &CrateGraph) -> Vec<u8> {
    let packages = graph.crates.iter().enumerate();
    let info = VersionInfo {
        packages: packages
            .map(|(position, one)| package(one, position == graph.root))
            .collect(),
        format: FORMAT,
    };
    let json = serde_json::to_vec(&info).expect("texts and numbers are valid JSON");
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&json)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn package(one: &Crate, root: bool) -> AuditedPackage<'_> {
    AuditedPackage {
        name: &one.name,
        version: &one.version,
        source: match one.source {
            CrateSource::CratesIo => "crates.io",
            CrateSource::Registry(_) => "registry",
            CrateSource::Git(_) => "git",
            CrateSource::Local => "local",
        },
        // The default is `runtime`.
        kind: (one.kind == CrateKind::Build).then_some("build"),
        dependencies: &one.dependencies,
        root,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn crate_of(name: &str, kind: CrateKind, dependencies: &[usize]) -> Crate {
        Crate {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            source: CrateSource::CratesIo,
            checksum: Some("00".repeat(32)),
            license: Some("MIT".to_owned()),
            kind,
            dependencies: dependencies.to_vec(),
        }
    }

    fn decompressed(content: &[u8]) -> serde_json::Value {
        let decoder = flate2::read::ZlibDecoder::new(content);
        serde_json::from_reader(decoder).unwrap()
    }

    #[test]
    fn crates_are_encoded_as_cargo_auditable_does() {
        let mut graph = CrateGraph {
            crates: vec![
                crate_of("app", CrateKind::Runtime, &[1, 2, 3]),
                crate_of("cc", CrateKind::Build, &[]),
                crate_of("fork", CrateKind::Runtime, &[]),
                crate_of("private", CrateKind::Runtime, &[2]),
            ],
            root: 0,
        };
        graph.crates[0].source = CrateSource::Local;
        graph.crates[2].source = CrateSource::Git("https://example.com/fork#aa".to_owned());
        graph.crates[3].source = CrateSource::Registry("https://example.com".to_owned());
        assert_eq!(
            decompressed(&encode(&graph)),
            serde_json::json!({
                "packages": [
                    {"name": "app", "version": "1.2.3", "source": "local", "dependencies": [1, 2, 3], "root": true},
                    {"name": "cc", "version": "1.2.3", "source": "crates.io", "kind": "build"},
                    {"name": "fork", "version": "1.2.3", "source": "git"},
                    {"name": "private", "version": "1.2.3", "source": "registry", "dependencies": [2]},
                ],
                "format": 1,
            })
        );
    }

    #[test]
    fn three_hundred_crates_take_about_4_kb() {
        let text = include_str!("../../../Cargo.lock");
        let lock: toml::Table = text.parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let name = |package: &toml::Value| package["name"].as_str().unwrap().to_owned();
        let position = |text: &str| {
            let wanted = text.split(' ').next().unwrap();
            packages
                .iter()
                .take(300)
                .position(|package| name(package) == wanted)
        };
        let crates = packages.iter().take(300).map(|package| {
            let needed = package.get("dependencies").and_then(toml::Value::as_array);
            let mut dependencies: Vec<usize> = needed
                .into_iter()
                .flatten()
                .filter_map(|text| position(text.as_str()?))
                .collect();
            dependencies.sort_unstable();
            Crate {
                version: package["version"].as_str().unwrap().to_owned(),
                ..crate_of(&name(package), CrateKind::Runtime, &dependencies)
            }
        });
        let graph = CrateGraph {
            crates: crates.collect(),
            root: 0,
        };
        assert_eq!(graph.crates.len(), 300);
        let size = encode(&graph).len();
        assert!(size < 4500, "{size} bytes");
    }
}
