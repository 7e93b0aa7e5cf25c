//! Generated pages in the repository are current.

use union_build::diag::Code;
use union_build::spec::pages;
use union_tests::{Project, file};

/// With SNAPSHOTS=overwrite the files are written instead.
fn is_current(text: String, file: snapbox::Data) {
    let assert = snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV);
    assert.eq(text, file.raw());
}

#[test]
fn manifest_reference_is_current() {
    is_current(pages::reference_markdown(), file!["../../docs/manifest.md"]);
}

#[test]
fn flyte_config_reference_is_current() {
    is_current(
        cargo_union::flyte::config::reference_markdown(),
        file!["../../docs/flyte-config.md"],
    );
}

#[test]
fn backend_comparison_is_current() {
    is_current(
        cargo_union::flyte::capability_page::reference_markdown(),
        file!["../../docs/backends.md"],
    );
}

#[test]
fn error_reference_is_current() {
    let mut page = "# Errors and warnings\n\nMade from the table in `union-build/src/diag/code.rs`.\n\n| code | what it means | what to do |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        page.push_str(&format!(
            "| {code} | {} | {} |\n",
            code.title(),
            code.help()
        ));
    }
    is_current(page, file!["../../docs/errors.md"]);
}

#[test]
fn json_schema_is_valid_and_has_the_keys() {
    let schema = Project::empty().run(["schema"]).succeeds().json();
    assert!(
        schema["$schema"]
            .as_str()
            .is_some_and(|name| name.contains("json-schema.org")),
        "{schema}"
    );
    assert!(
        schema["properties"]["registry"]["description"].is_string(),
        "{schema}"
    );
}

#[test]
fn completions_and_manual_have_all_commands() {
    let project = Project::empty();
    for shell in ["bash", "zsh", "fish"] {
        project
            .run(["completions", shell])
            .succeeds()
            .stdout_has("update");
    }
    project
        .run(["man"])
        .succeeds()
        .stdout_has("cargo\\-union")
        .stdout_has("rebuild");
}

#[test]
fn help_documents_the_exit_codes() {
    Project::empty()
        .run(["--help"])
        .succeeds()
        .stdout_has("101 cargo failed");
    Project::empty().run(["bild"]).exits(2).stderr_has("build");
}
