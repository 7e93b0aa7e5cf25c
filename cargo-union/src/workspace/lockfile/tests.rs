#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use union_build::diag::SourceFile;

use super::*;

const LOCK: &str = r#"
version = 4
[[package]]
name = "app"
version = "0.1.0"
dependencies = ["helper", "itoa 1.0.1", "itoa 0.4.8", "proptest"]
[[package]]
name = "helper"
version = "0.2.0"
dependencies = ["ryu"]
[[package]]
name = "itoa"
version = "0.4.8"
source = "registry+https://example.com"
checksum = "aa"
[[package]]
name = "itoa"
version = "1.0.1"
source = "registry+https://example.com"
checksum = "bb"
[[package]]
name = "other"
version = "0.1.0"
[[package]]
name = "proptest"
version = "1.0.0"
source = "registry+https://example.com"
checksum = "cc"
[[package]]
name = "ryu"
version = "1.0.0"
source = "registry+https://example.com"
checksum = "dd"
"#;

fn package(
    name: &str,
    version: &str,
    dependencies: &[(&str, &str, DependencyKind)],
) -> WorkspacePackage {
    let dependency = |(name, requirement, kind): &(&str, &str, DependencyKind)| Dependency {
        name: (*name).to_owned(),
        rename: None,
        kind: *kind,
        path: None,
        requirement: requirement.parse().unwrap(),
    };
    WorkspacePackage {
        id: name.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        manifest: SourceFile::new("/ws/Cargo.toml", ""),
        directory: PathBuf::from("/ws"),
        root: PathBuf::from("/ws"),
        binaries: Vec::new(),
        default_run: None,
        dependencies: dependencies.iter().map(dependency).collect(),
        declares_union: false,
        sources: Vec::new(),
    }
}

fn app() -> WorkspacePackage {
    use DependencyKind::{Build, Dev, Normal};
    let needs = [
        ("helper", "*", Normal),
        ("itoa", "1", Build),
        ("itoa", "0.4", Dev),
        ("proptest", "1", Dev),
    ];
    package("app", "0.1.0", &needs)
}

fn lock(text: &str) -> Lockfile {
    Lockfile::parse(Path::new("/ws/Cargo.lock"), text).unwrap()
}

#[test]
fn closure_leaves_out_dev_dependencies() {
    let lock = lock(LOCK);
    let app = app();
    let closure = lock
        .closure(&app, |entry| (entry.name == "app").then_some(&app))
        .unwrap();
    let versions: Vec<_> = closure
        .versions()
        .into_iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    assert_eq!(
        versions,
        ["app 0.1.0", "helper 0.2.0", "itoa 1.0.1", "ryu 1.0.0"]
    );
    assert_eq!(
        closure
            .local()
            .map(|entry| entry.name.as_str())
            .collect::<Vec<_>>(),
        ["app", "helper"]
    );
}

#[test]
fn closure_value_ignores_other_entries() {
    let app = app();
    let value = |text: &str| {
        lock(text)
            .closure(&app, |entry| (entry.name == "app").then_some(&app))
            .unwrap()
            .value()
    };
    let before = value(LOCK);
    for (from, to, moves) in [
        ("\"dd\"", "\"ee\"", true),
        ("\"cc\"", "\"ee\"", false),
        ("\"aa\"", "\"ee\"", false),
    ] {
        assert_eq!(value(&LOCK.replace(from, to)) != before, moves, "{from}");
    }
    let unrelated = format!("{LOCK}\n[[package]]\nname = \"zzz\"\nversion = \"1.0.0\"\n");
    assert_eq!(value(&unrelated), before);
}

#[test]
fn edges_distinguish_sources_of_one_version() {
    let entry = |source: &str| {
        format!("[[package]]\nname = 'twin'\nversion = '1.0.0'\nsource = '{source}'\n")
    };
    let needs = "dependencies = ['twin 1.0.0 (git+https://b.example/twin)']";
    let text = format!(
        "[[package]]\nname = 'app'\nversion = '0.1.0'\n{needs}\n{}{}",
        entry("git+https://a.example/twin#aa"),
        entry("git+https://b.example/twin#bb")
    );
    let lock = lock(&text);
    let sources: Vec<_> = lock
        .edges(&lock.packages[0])
        .map(|edge| edge.source.as_deref())
        .collect();
    assert_eq!(sources, [Some("git+https://b.example/twin#bb")]);
}

#[test]
fn mismatch_with_a_manifest_is_described() {
    let lock = lock(LOCK);
    let mut app = app();
    assert_eq!(lock.mismatch(&app), None);
    app.dependencies[1].requirement = "2".parse().unwrap();
    assert_eq!(
        lock.mismatch(&app).as_deref(),
        Some("`app` needs `itoa ^2`")
    );
    app.dependencies.remove(1);
    assert_eq!(
        lock.mismatch(&app).as_deref(),
        Some("`app` no longer needs `itoa 1.0.1`")
    );
    app.version = "0.2.0".to_owned();
    assert_eq!(
        lock.mismatch(&app).as_deref(),
        Some("it has no `app 0.2.0`")
    );
}
