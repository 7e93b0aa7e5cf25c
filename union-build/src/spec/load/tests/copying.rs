//! `copy`: sources and destinations.

use super::*;

#[test]
fn copy_destination_defaults_to_the_path_below_the_workdir() {
    let copy = |lines: &str| {
        let project = table(lines).file("app/conf/a.txt").file("shared/b.txt");
        let copy = &project.spec().images["default"].copy[0];
        (
            copy.from
                .value
                .strip_prefix(project.root())
                .unwrap()
                .to_owned(),
            copy.to.value.clone(),
            copy.mode.as_ref().map(|mode| mode.value),
        )
    };
    assert_eq!(
        copy("images.default.copy = [\"conf/a.txt\"]"),
        ("app/conf/a.txt".into(), "conf/a.txt".into(), None)
    );
    assert_eq!(
        copy("images.default = { copy = [\"./conf/\"], workdir = \"/srv/\" }"),
        ("app/conf".into(), "/srv/conf".into(), None)
    );
    let table =
        "images.default.copy = [{ from = \"../shared/b.txt\", to = \"/etc/\", mode = \"0640\" }]";
    assert_eq!(
        copy(table),
        ("shared/b.txt".into(), "/etc/".into(), Some(0o640))
    );
}

#[test]
fn copy_relative_destination_starts_at_the_workdir() {
    let to = |lines: &str| {
        table(lines).file("app/conf/a.txt").spec().images["default"].copy[0]
            .to
            .value
            .clone()
    };
    for (typed, with_workdir, without) in [
        ("etc/a", "/srv/etc/a", "etc/a"),
        ("./etc/", "/srv/etc/", "etc/"),
        (".", "/srv/", "./"),
        ("./", "/srv/", "./"),
        ("/etc", "/etc", "/etc"),
    ] {
        let copy = format!("copy = [{{ from = \"conf/a.txt\", to = {typed:?} }}]");
        assert_eq!(
            to(&format!(
                "images.default = {{ {copy}, workdir = \"/srv\" }}"
            )),
            with_workdir,
            "{typed}"
        );
        assert_eq!(
            to(&format!("images.default = {{ {copy} }}")),
            without,
            "{typed}"
        );
    }
    assert_eq!(to("images.default.copy = [\".\"]"), "./");
    let refused = |to: &str, message: &str| {
        let project = table(&format!(
            "images.default.copy = [{{ from = \"conf/a.txt\", to = {to:?} }}]"
        ))
        .file("app/conf/a.txt");
        assert_problem(
            &project,
            Code::PathInvalid,
            "app/Cargo.toml:2:52",
            message,
            "without `..`",
        );
    };
    refused("", "`` is not a path inside");
    refused("a/../../b", "`a/../../b` is not a path inside");
}

#[test]
#[cfg(unix)]
fn copy_source_may_be_behind_links_inside_of_the_workspace() {
    let project = table("images.default.copy = [\"conf\", \"link\", \"to/b.txt\"]")
        .file("app/conf/a.txt")
        .file("shared/b.txt");
    project
        .link("app/to", "../shared")
        .link("app/link", "../shared/b.txt")
        .spec();
}

#[test]
fn copy_from_package_outside_of_the_workspace_root() {
    let entries = "images.default.copy = [\"conf\", { from = \"../ws/shared\", to = \"/s\" }, { from = \"../else\", to = \"/e\" }]";
    let project = table(entries)
        .beside()
        .file("../app/conf/a.txt")
        .file("shared/b.txt")
        .file("../else/c.txt");
    let problems = project.problems();
    let [problem] = &problems[..] else {
        panic!("{problems:#?}")
    };
    assert_eq!(problem.code, Code::CopyOutside);
    assert!(
        problem
            .message
            .contains("`../else` is outside of the workspace"),
        "{}",
        problem.message
    );
}

#[test]
fn copy_has_owner_and_exclude() {
    let table = |entry: &str| {
        table(&format!(
            "images.default.copy = [{{ from = \"conf\", {entry} }}]"
        ))
        .file("app/conf/a.txt")
    };
    let project = table("owner = \"nonroot:1000\", exclude = [\"**/*.log\"]");
    let copy = &project.spec().images["default"].copy[0];
    let exclude: Vec<&str> = copy
        .exclude
        .iter()
        .map(|pattern| pattern.value.as_str())
        .collect();
    assert_eq!(
        (
            copy.owner.as_ref().map(|owner| owner.value.as_str()),
            exclude
        ),
        (Some("nonroot:1000"), vec!["**/*.log"])
    );
    assert_problem(
        &table("owner = \"a b\""),
        Code::InvalidValue,
        "app/Cargo.toml:2:49",
        "is not a user",
        "write names or numbers",
    );
}

#[test]
fn copy_destination_with_a_whiteout_name_is_refused() {
    for to in ["/etc/.wh.passwd", "/etc/.wh.d/x", "/.wh..wh..opq"] {
        let project = table(&format!(
            "images.default.copy = [{{ from = \"a\", to = \"{to}\" }}]"
        ))
        .file("app/a");
        assert_problem(
            &project,
            Code::PathInvalid,
            "app/Cargo.toml:2:43",
            "would remove another file",
            "`.wh.`",
        );
    }
}

#[test]
#[cfg(unix)]
fn copy_source_outside_of_the_workspace_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "").unwrap();
    let entry = |source: &str| table(&format!("images.default.copy = [\"{source}\"]"));
    let place = "app/Cargo.toml:2:24";
    let code = Code::CopyThroughSymlink;
    let message = "leaves the workspace through the symbolic link";
    assert_problem(
        &entry("link").link("app/link", outside.path().join("secret")),
        code,
        place,
        message,
        "Copy the file itself",
    );
    assert_problem(
        &entry("up/secret").link("app/up", outside.path()),
        code,
        place,
        message,
        "Copy the file itself",
    );
    assert_problem(
        &entry("a").link("app/a", "b").link("app/b", outside.path()),
        code,
        place,
        message,
        "Copy the file itself",
    );
}
