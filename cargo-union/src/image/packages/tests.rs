#![allow(clippy::unwrap_used)]

use super::*;

fn package(kind: PackageKind, name: &str, version: &str) -> InstalledPackage {
    InstalledPackage {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: None,
        license: None,
    }
}

#[test]
fn files_with_packages_are_known_by_path() {
    for (path, kind) in [
        ("var/lib/dpkg/status", Some(PackageKind::Debian)),
        ("var/lib/dpkg/status.d/base", Some(PackageKind::Debian)),
        ("var/lib/dpkg/status.d/base.md5sums", None),
        ("var/lib/dpkg/status.d/a/b", None),
        ("var/lib/dpkg/status-old", None),
        ("srv/var/lib/dpkg/status", None),
        ("lib/apk/db/installed", Some(PackageKind::Alpine)),
        ("usr/lib/apk/db/installed", Some(PackageKind::Alpine)),
        (
            "opt/venv/lib/python3.11/site-packages/six-1.16.0.dist-info/METADATA",
            Some(PackageKind::Python),
        ),
        ("a/six-1.16.0.dist-info/RECORD", None),
        ("a/METADATA", None),
        ("a/six.egg-info/PKG-INFO", Some(PackageKind::Python)),
        ("a/six.egg-info", Some(PackageKind::Python)),
        ("a/PKG-INFO", None),
    ] {
        assert_eq!(PackageKind::of_path(path), kind, "{path}");
    }
}

#[test]
fn debian_packages_have_epochs_and_architectures_and_removed_ones_are_left_out() {
    let status = "Package: libc6\n\
                  Status: install ok installed\n\
                  Architecture: amd64\n\
                  Multi-Arch: same\n\
                  Version: 1:2.36-9+deb12u8\n\
                  Description: the library\n Version: 3\n .\n Package: other\n\
                  \n\
                  Package: gone\n\
                  Status: deinstall ok config-files\n\
                  Version: 1\n\
                  \n\n\
                  package: half\n\
                  status: install ok half-configured\n\
                  version: 2~rc1\n";
    let libc = InstalledPackage {
        architecture: Some("amd64".to_owned()),
        ..package(PackageKind::Debian, "libc6", "1:2.36-9+deb12u8")
    };
    let half = package(PackageKind::Debian, "half", "2~rc1");
    let expected = PackageFile {
        packages: vec![libc, half],
        is_complete: true,
    };
    assert_eq!(PackageKind::Debian.read(status), expected);
    let distroless = "Package: base-files\nVersion: 12.4\r\n\r\n";
    assert_eq!(
        PackageKind::Debian.read(distroless).packages,
        [package(PackageKind::Debian, "base-files", "12.4")]
    );
    assert!(PackageKind::Debian.read("").is_complete);
}

#[test]
fn alpine_packages_are_read_by_the_case_of_their_fields() {
    let installed = "C:Q1\np:so:libc.musl\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\nF:lib\nR:ld\n\nP:odd\nV:1\nL:custom/none\n\n";
    let musl = InstalledPackage {
        architecture: Some("x86_64".to_owned()),
        license: Some("MIT".to_owned()),
        ..package(PackageKind::Alpine, "musl", "1.2.5-r0")
    };
    assert_eq!(
        PackageKind::Alpine.read(installed).packages,
        [musl, package(PackageKind::Alpine, "odd", "1")]
    );
}

#[test]
fn python_distributions_have_normalized_names_and_only_the_header_counts() {
    let metadata = "Metadata-Version: 2.4\nName: Ruamel.YAML__clib\nVersion: 1.0+cpu\nLicense-Expression: MIT OR Apache-2.0\n\nName: other\nVersion: 2\n";
    let expected = InstalledPackage {
        license: Some("MIT OR Apache-2.0".to_owned()),
        ..package(PackageKind::Python, "ruamel-yaml-clib", "1.0+cpu")
    };
    assert_eq!(PackageKind::Python.read(metadata).packages, [expected]);
    let strange = "Name: a\nVersion: 1\nLicense-Expression: \"</b>\"\n";
    assert_eq!(
        PackageKind::Python.read(strange).packages,
        [package(PackageKind::Python, "a", "1")]
    );
}

#[test]
fn file_that_is_not_understood_is_incomplete() {
    let long = format!("Package: a\nVersion: {}\n", "1".repeat(LONGEST + 1));
    for (kind, text) in [
        (PackageKind::Debian, "Package: a\n"),
        (PackageKind::Debian, "Version: 1\n"),
        (PackageKind::Debian, "Package: a\nVersion: \u{1b}[0m\n"),
        (PackageKind::Debian, &long),
        (PackageKind::Alpine, "P:a\n"),
        (PackageKind::Python, ""),
        (PackageKind::Python, "Name: ---\nVersion: 1\n"),
        (PackageKind::Python, "Name: a\n\nVersion: 1\n"),
    ] {
        let file = kind.read(text);
        assert!(file.packages.is_empty() && !file.is_complete, "{text:?}");
    }
    let partly = PackageKind::Debian.read("Package: a\n\nPackage: b\nVersion: 1\n");
    assert!(partly.packages.len() == 1 && !partly.is_complete);
}

#[test]
fn sizes_and_numbers_are_limited() {
    assert_eq!(PackageKind::Debian.limit(DATABASE), Some(DATABASE));
    assert_eq!(PackageKind::Debian.limit(DATABASE + 1), None);
    assert_eq!(PackageKind::Alpine.limit(u64::MAX), None);
    assert_eq!(PackageKind::Python.limit(u64::MAX), Some(HEADER));
    let many = PackageKind::Debian.read(&"Package: a\nVersion: 1\n\n".repeat(MOST + 1));
    assert!(many.packages.len() == MOST && !many.is_complete);
    let most = PackageKind::Debian.read(&"Package: a\nVersion: 1\n\n".repeat(MOST));
    assert!(most.packages.len() == MOST && most.is_complete);
}

const PIECES: &[&str] = &[
    "Package",
    "Version",
    "Name",
    "P",
    "V",
    ":",
    ": ",
    "\n",
    "\n\n",
    " ",
    "\r",
    "\u{0}",
    "\u{e9}",
    "-",
    "Status: install ok installed\n",
    "License-Expression",
];

proptest::proptest! {
    #[test]
    fn reading_packages_never_panics(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        pieces in proptest::collection::vec(0..PIECES.len(), 0..30),
    ) {
        let words: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for text in [text, words] {
            for kind in [PackageKind::Alpine, PackageKind::Debian, PackageKind::Python] {
                for package in kind.read(&text).packages {
                    let texts = [&package.name, &package.version];
                    proptest::prop_assert!(texts.iter().all(|text| is_valid(text)));
                }
            }
        }
    }
}
