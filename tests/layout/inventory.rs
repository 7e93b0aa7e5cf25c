//! The packages of bases, compared with what other tools say.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cargo_union::build::{self, BaseImage};
use cargo_union::image::BaseSource;
use cargo_union::image::inventory::Inventory;
use cargo_union::image::packages::PackageKind;
use serde_json::json;
use union_tests::base::{TAG, debian, debian_layout, layout_of};

use crate::fixture::{Fixture, platform, run};

async fn inventory(fixture: &Fixture, downloads: bool) -> Option<Inventory> {
    let source: Arc<dyn BaseSource> = fixture.source.clone();
    let base = BaseImage::Locked(fixture.source.locked().unwrap());
    let platform = platform("linux/amd64");
    build::inventory(&fixture.cache, &source, &base, &platform, downloads)
        .await
        .unwrap()
}

/// Name, version and architecture of the packages of a kind.
fn lines(inventory: &Inventory, kind: PackageKind) -> Vec<String> {
    let packages = inventory.packages.iter().filter(|one| one.kind == kind);
    let line = packages.map(|one| {
        let architecture = one.architecture.as_deref().unwrap_or_default();
        format!("{} {} {architecture}", one.name, one.version)
    });
    line.collect()
}

#[tokio::test]
async fn debian_packages_are_those_of_dpkg_and_layers_are_read_once() {
    let fixture = Fixture::with_base(&debian_layout());
    assert_eq!(inventory(&fixture, false).await, None);
    assert_eq!(fixture.source.fetched(), 1, "the config");
    let found = inventory(&fixture, true).await.unwrap();
    assert_eq!(fixture.source.fetched(), 2, "the one layer");
    let directory = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .arg("-C")
        .arg(directory.path())
        .arg("-xf")
        .arg(debian("bookworm", &[]))
        .arg("./var/lib/dpkg"));
    let listed = run(Command::new("dpkg-query")
        .arg("--admindir")
        .arg(directory.path().join("var/lib/dpkg"))
        .args(["-W", "-f=${Package} ${Version} ${Architecture}\\n"]));
    let mut expected: Vec<String> = listed.lines().map(str::to_owned).collect();
    expected.sort();
    let mut packages = lines(&found, PackageKind::Debian);
    packages.sort();
    assert_eq!(packages, expected);
    assert!(packages.len() > 50 && found.is_complete);
    let release = found.release.clone().unwrap();
    assert_eq!(
        (release.id.as_str(), release.version.as_deref()),
        ("debian", Some("12"))
    );
    std::fs::remove_dir_all(fixture.cache.directory().join("blobs")).unwrap();
    assert_eq!(inventory(&fixture, false).await, Some(found));
    assert_eq!(fixture.source.fetched(), 3, "the config again");
}

/// A layout with one Python distribution, which two layers of umoci may remove or replace.
fn python_layout(directory: &Path) -> std::path::PathBuf {
    let root = directory.join("root");
    let site = root.join("usr/lib/python3/dist-packages");
    for (name, metadata) in [
        (
            "six-1.16.0.dist-info/METADATA",
            "Name: six\nVersion: 1.16.0\n",
        ),
        ("kept.egg-info/PKG-INFO", "Name: Kept_One\nVersion: 2\n"),
    ] {
        let file = site.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, metadata).unwrap();
    }
    let tar = directory.join("root.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&tar)
        .arg("."));
    let layout = directory.join("layout");
    layout_of(&[&tar], &json!({}), &layout);
    layout
}

#[tokio::test]
async fn whiteout_of_a_python_distribution_removes_it() {
    let directory = tempfile::tempdir().unwrap();
    let layout = python_layout(directory.path());
    let before = inventory(&Fixture::with_base(&layout), true).await.unwrap();
    assert_eq!(
        lines(&before, PackageKind::Python),
        ["kept-one 2 ", "six 1.16.0 "]
    );
    run(Command::new("umoci")
        .args(["insert", "--rootless", "--whiteout", "--image"])
        .arg(format!("{}:{TAG}", layout.display()))
        .arg("/usr/lib/python3/dist-packages/six-1.16.0.dist-info"));
    let after = inventory(&Fixture::with_base(&layout), true).await.unwrap();
    assert_eq!(lines(&after, PackageKind::Python), ["kept-one 2 "]);
    assert!(before.is_complete && after.is_complete);
}
