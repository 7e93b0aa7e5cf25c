//! Loading of a workspace with `cargo metadata`.

use cargo_union::workspace::{Selection, Workspace};
use union_build::diag::Code;

use crate::project::{Project, manifest};

fn two_members() -> Project {
    Project::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = ['app', 'helper']\nresolver = '3'\n[workspace.metadata.union]\nregistry = 'ghcr.io/acme'\n",
        ),
        (
            "app/Cargo.toml",
            &manifest(
                "app",
                "default-run = 'app'\n[features]\nextra = []\n[[bin]]\nname = 'tool'\nrequired-features = ['extra']\n[dependencies]\nassistant = { path = '../helper', package = 'helper' }\n[package.metadata.union]\n",
            ),
        ),
        ("app/src/main.rs", "fn main() {}"),
        ("app/src/bin/tool.rs", "fn main() {}"),
        ("helper/Cargo.toml", &manifest("helper", "")),
        ("helper/src/lib.rs", ""),
    ])
}

fn names(packages: &[&cargo_union::workspace::WorkspacePackage]) -> Vec<String> {
    packages
        .iter()
        .map(|package| package.name.clone())
        .collect()
}

#[tokio::test]
async fn workspace_equals_cargo_metadata() {
    let project = two_members();
    let workspace = Workspace::load(&project.cargo(), None).await.unwrap();
    assert_eq!(
        (&workspace.root, &workspace.target_directory),
        (&project.path(""), &project.path("target"))
    );
    let app = workspace.package("app").unwrap();
    let binaries: Vec<_> = app
        .binaries
        .iter()
        .map(|binary| (binary.name.as_str(), binary.required_features.len()))
        .collect();
    assert_eq!(
        (binaries, app.default_run.as_deref()),
        (vec![("app", 0), ("tool", 1)], Some("app"))
    );
    assert_eq!(
        (
            app.dependencies[0].name.as_str(),
            app.dependencies[0].rename.as_deref()
        ),
        ("helper", Some("assistant"))
    );
    assert!(app.manifest.text.contains("[package.metadata.union]"));
    assert!(
        app.declares_union
            && !workspace.package("helper").unwrap().declares_union
            && !app.depends_on_flyte()
    );
}

#[tokio::test]
async fn default_selection_equals_that_of_cargo() {
    let project = two_members();
    let chosen = |workspace: &Workspace, selection: Selection| {
        workspace
            .select(&selection)
            .map(|packages| names(&packages))
    };
    let whole = Workspace::load(&project.cargo(), None).await.unwrap();
    let manifest = project.path("helper/Cargo.toml");
    let helper = Workspace::load(&project.cargo(), Some(&manifest))
        .await
        .unwrap();
    let named = |name: &str| Selection {
        packages: vec![name.to_owned()],
        ..Selection::default()
    };
    let without = |name: &str| Selection {
        workspace: true,
        exclude: vec![name.to_owned()],
        ..Selection::default()
    };
    assert_eq!(
        chosen(&whole, Selection::default()).unwrap(),
        ["app", "helper"]
    );
    assert_eq!(chosen(&helper, Selection::default()).unwrap(), ["helper"]);
    assert_eq!(chosen(&helper, named("app")).unwrap(), ["app"]);
    assert_eq!(chosen(&helper, without("helper")).unwrap(), ["app"]);
    let error = chosen(&whole, named("halper")).unwrap_err();
    assert_eq!(
        (error.code(), error.advice()),
        (Code::UnknownPackage, "The workspace has `app`, `helper`.")
    );
}

#[tokio::test]
async fn missing_manifest_is_named() {
    let project = Project::new(&[("readme.md", "")]);
    let error = Workspace::load(&project.cargo(), None).await.unwrap_err();
    assert_eq!(error.code(), Code::NoManifest);
    let error = Workspace::load(&project.cargo(), Some("sub/Cargo.toml".as_ref()))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NoManifest);
    assert!(
        error
            .to_string()
            .contains(&project.path("sub/Cargo.toml").display().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn cargo_error_message_is_kept() {
    let project = Project::new(&[
        ("Cargo.toml", "[package]\nname = 'app'\nedition = '1999'\n"),
        ("src/main.rs", "fn main() {}"),
    ]);
    let error = Workspace::load(&project.cargo(), None).await.unwrap_err();
    assert_eq!(error.code(), Code::WorkspaceInvalid);
    assert!(
        error.chain().join("\n").contains("1999"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn missing_cargo_is_named() {
    let mut project = Project::app("fn main() {}");
    project.cargo_program = Some("no-such-cargo".into());
    let error = Workspace::load(&project.cargo(), None).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (Code::ToolMissing, "could not run `no-such-cargo`")
    );
}
