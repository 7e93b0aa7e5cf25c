#![allow(clippy::unwrap_used)]

use std::str::FromStr as _;

use serde_json::{Value, json};

use super::*;
use crate::image::index::{FileIndex, FsEntry, IndexedFile};
use crate::image::reference::BaseRef;

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
        environment: None,
        packages: None,
        base_packages: None,
        crates: Some(graph),
    };
    parsed(&subject)
}

fn parsed(subject: &SbomSubject<'_>) -> Value {
    let document = sbom(subject);
    assert_eq!(document.bytes, sbom(subject).bytes);
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

fn package(
    kind: PackageKind,
    name: &str,
    version: &str,
    license: Option<&str>,
) -> InstalledPackage {
    let architecture = (kind != PackageKind::Python).then(|| "amd64".to_owned());
    InstalledPackage {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture,
        license: license.map(str::to_owned),
    }
}

fn inventory(os_release: &str, packages: &[InstalledPackage]) -> Inventory {
    let mut files = FileIndex::default();
    let release = IndexedFile::Text(os_release.to_owned());
    files.put("etc/os-release", FsEntry::File(Some(release)));
    Inventory {
        packages: packages.to_vec(),
        ..Inventory::of(&files)
    }
}

const BOOKWORM: &str = "ID=debian\nNAME=Debian\nVERSION_ID=12\n";

#[test]
fn packages_are_below_the_base_or_the_environment_that_they_are_from() {
    let libc = package(PackageKind::Debian, "libstdc++6", "1:2.36-9+deb12u8", None);
    let old = package(PackageKind::Debian, "tzdata", "1", None);
    let new = package(PackageKind::Debian, "tzdata", "2~a", None);
    let six = package(PackageKind::Python, "six", "1.16.0", Some("MIT"));
    let base = inventory(BOOKWORM, &[libc.clone(), old.clone()]);
    let both = inventory(BOOKWORM, &[libc, new, six]);
    let repository = BaseRef::from_str("a.example/debian:12").unwrap().repository;
    let subject = SbomSubject {
        name: "app",
        tag: "abc",
        digest: None,
        platform: &"linux/amd64".parse().unwrap(),
        base: Some(repository.pinned(Digest::of("base"))),
        environment: Some("env-1"),
        packages: Some(&both),
        base_packages: Some(&base),
        crates: None,
    };
    let document = parsed(&subject);
    let libc = "pkg:deb/debian/libstdc%2B%2B6@1:2.36-9%2Bdeb12u8?arch=amd64&distro=debian-12";
    let new = "pkg:deb/debian/tzdata@2~a?arch=amd64&distro=debian-12";
    let six = "pkg:pypi/six@1.16.0";
    let components = document["components"].as_array().unwrap();
    assert_eq!(
        [&components[1], &components[2], &components[4]],
        [
            &json!({"type": "library", "bom-ref": libc, "name": "libstdc++6", "version": "1:2.36-9+deb12u8", "purl": libc}),
            &json!({"type": "container", "bom-ref": "environment", "name": "app", "version": "env-1"}),
            &json!({"type": "library", "bom-ref": six, "name": "six", "version": "1.16.0", "licenses": [{"expression": "MIT"}], "purl": six}),
        ]
    );
    assert_eq!(
        document["dependencies"],
        json!([
            {"ref": "image", "dependsOn": ["environment"]},
            {"ref": "base", "dependsOn": [libc]},
            {"ref": "environment", "dependsOn": ["base", new, six]},
        ])
    );
    assert_eq!(
        document["compositions"],
        json!([{"aggregate": "complete", "dependencies": ["base", "environment"]}])
    );

    let without_environment = SbomSubject {
        environment: None,
        packages: Some(&base),
        base_packages: None,
        ..subject.clone()
    };
    let old = "pkg:deb/debian/tzdata@1?arch=amd64&distro=debian-12";
    assert_eq!(
        parsed(&without_environment)["dependencies"],
        json!([{"ref": "image", "dependsOn": ["base"]}, {"ref": "base", "dependsOn": [libc, old]}])
    );
    let without_base = SbomSubject {
        base: None,
        base_packages: None,
        ..subject
    };
    assert_eq!(
        parsed(&without_base)["dependencies"][1],
        json!({"ref": "environment", "dependsOn": [libc, new, six]})
    );
}

#[test]
fn unknown_packages_are_an_incomplete_composition() {
    let known = Inventory {
        is_complete: true,
        ..inventory(BOOKWORM, &[])
    };
    let partly = Inventory {
        is_complete: false,
        ..known.clone()
    };
    let repository = BaseRef::from_str("a.example/debian:12").unwrap().repository;
    for (packages, aggregate) in [
        (None, "incomplete"),
        (Some(&partly), "incomplete"),
        (Some(&known), "complete"),
    ] {
        let subject = SbomSubject {
            name: "app",
            tag: "abc",
            digest: None,
            platform: &"linux/amd64".parse().unwrap(),
            base: Some(repository.pinned(Digest::of("base"))),
            environment: None,
            packages,
            base_packages: None,
            crates: None,
        };
        assert_eq!(
            parsed(&subject)["compositions"],
            json!([{"aggregate": aggregate, "dependencies": ["base"]}])
        );
    }
    assert_eq!(document(&CrateGraph::default()).get("compositions"), None);
}

#[test]
fn package_urls_name_vendor_and_release_as_far_as_they_are_known() {
    let url = |package: &InstalledPackage, os_release: &str| {
        package_url(package, inventory(os_release, &[]).release.as_ref())
    };
    let mut package = package(PackageKind::Debian, "a", "1", None);
    for (os_release, expected) in [
        (
            "ID=ubuntu\nNAME=Ubuntu\nVERSION_ID=24.04\n",
            "pkg:deb/ubuntu/a@1?arch=amd64&distro=ubuntu-24.04",
        ),
        (
            "ID=debian\nNAME=Debian\nVERSION_CODENAME=sid\n",
            "pkg:deb/debian/a@1?arch=amd64&distro=debian-sid",
        ),
        ("ID=my/own\nNAME=Own\n", "pkg:deb/my%2Fown/a@1?arch=amd64"),
        ("", "pkg:deb/debian/a@1?arch=amd64"),
    ] {
        assert_eq!(url(&package, os_release), expected);
    }
    package.architecture = None;
    package.kind = PackageKind::Alpine;
    assert_eq!(url(&package, ""), "pkg:apk/alpine/a@1");
}
