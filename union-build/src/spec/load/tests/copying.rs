//! `copy`: what may be copied, and where it goes.

use super::*;

#[test]
fn a_copied_path_keeps_its_place_below_the_working_directory() {
    let copy = |lines: &str| {
        let project = table(lines).file("app/conf/a.txt").file("shared/b.txt");
        let copy = &project.spec().images["default"].copy[0];
        (copy.from.value.strip_prefix(project.root()).unwrap().to_owned(), copy.to.value.clone(), copy.mode.as_ref().map(|mode| mode.value))
    };
    assert_eq!(copy("images.default.copy = [\"conf/a.txt\"]"), ("app/conf/a.txt".into(), "conf/a.txt".into(), None));
    assert_eq!(copy("images.default = { copy = [\"./conf/\"], workdir = \"/srv/\" }"), ("app/conf".into(), "/srv/conf".into(), None));
    let table = "images.default.copy = [{ from = \"../shared/b.txt\", to = \"/etc/\", mode = \"0640\" }]";
    assert_eq!(copy(table), ("shared/b.txt".into(), "/etc/".into(), Some(0o640)));
}

#[test]
fn a_relative_destination_starts_at_the_working_directory() {
    let to = |lines: &str| table(lines).file("app/conf/a.txt").spec().images["default"].copy[0].to.value.clone();
    for (typed, with_workdir, without) in [
        ("etc/a", "/srv/etc/a", "etc/a"),
        ("./etc/", "/srv/etc/", "etc/"),
        (".", "/srv/", "./"),
        ("./", "/srv/", "./"),
        ("/etc", "/etc", "/etc"),
    ] {
        let copy = format!("copy = [{{ from = \"conf/a.txt\", to = {typed:?} }}]");
        assert_eq!(to(&format!("images.default = {{ {copy}, workdir = \"/srv\" }}")), with_workdir, "{typed}");
        assert_eq!(to(&format!("images.default = {{ {copy} }}")), without, "{typed}");
    }
    assert_eq!(to("images.default.copy = [\".\"]"), "./");
    let refused = |to: &str, message: &str| {
        let project = table(&format!("images.default.copy = [{{ from = \"conf/a.txt\", to = {to:?} }}]")).file("app/conf/a.txt");
        one(&project, Code::PathInvalid, "app/Cargo.toml:2:52", message, "without `..`");
    };
    refused("", "`` is not a path inside");
    refused("a/../../b", "`a/../../b` is not a path inside");
}

#[test]
#[cfg(unix)]
fn links_that_stay_inside_of_the_workspace_are_fine() {
    let project = table("images.default.copy = [\"conf\", \"link\"]").file("app/conf/a.txt").file("shared/b.txt");
    // A folder that holds itself must not be walked for ever.
    project.link("app/conf/loop", ".").link("app/conf/to", "../../shared").link("app/link", "../shared/b.txt").spec();
}

#[test]
#[cfg(unix)]
fn whatever_leaves_the_workspace_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "").unwrap();
    fs::create_dir(outside.path().join("folder")).unwrap();
    let entry = |source: &str| table(&format!("images.default.copy = [\"{source}\"]"));
    let place = "app/Cargo.toml:2:24";
    let (code, message) = (Code::CopyThroughSymlink, "leaves the workspace through the symbolic link");
    one(&entry("link").link("app/link", outside.path().join("secret")), code, place, message, "Copy the file itself");
    one(&entry("up/secret").link("app/up", outside.path()), code, place, message, "Copy the file itself");
    one(&entry("conf").link("app/conf/deep/link", outside.path().join("folder")), code, place, message, "Copy the file itself");
    one(&entry("conf").link("app/conf/gone", "/nowhere/at/all"), code, place, message, "Copy the file itself");
    one(&entry("a").link("app/a", "b").link("app/b", outside.path()), code, place, message, "Copy the file itself");
    let behind = entry("conf").link("app/conf/in", "../../shared").link("shared/out", outside.path());
    one(&behind, code, place, message, "Copy the file itself");
}
