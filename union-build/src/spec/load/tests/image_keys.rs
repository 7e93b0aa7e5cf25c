//! Keys of an image that need a container, have no effect, or have invalid values.

use super::*;

/// The schema marks the keys that the native builder does not support; `needs_to_run` must report the same keys.
#[test]
fn schema_and_image_agree_on_keys_that_need_a_container() {
    use crate::spec::schema::keys;
    // Each key has an effect only together with these others.
    let needs_packages = "pip-packages = [\"a\"]";
    for key in keys::IMAGE.keys.iter().filter(|key| key.runs) {
        let (value, beside) = match key.name {
            "dockerfile" | "build-ca" => ("\"requirements.txt\"", ""),
            "builder-options" => ("{ network = \"host\" }", ""),
            "builder-config" => ("{ uv-image = \"uv:1\" }", ""),
            "secrets" => ("[{ id = \"a\", env = \"A\" }]", "commands = [\"x\"]"),
            "pip-index" => ("\"https://host/simple\"", needs_packages),
            "pip-extra-index-url" => ("[\"https://host/simple\"]", needs_packages),
            "pip-extra-args" => ("\"--pre\"", needs_packages),
            "pip-secret-mounts" => (
                "{ a = \"/b\" }",
                "secrets = [{ id = \"a\", env = \"A\" }]\npip-packages = [\"a\"]",
            ),
            "python-version" => ("\"3.12\"", ""),
            "python-exec" => ("\"/usr/bin/python3\"", needs_packages),
            "conda-channels" => ("[\"a\"]", "python-version = \"3.12\""),
            _ => ("[\"a\"]", ""),
        };
        let project = table(&format!(
            "[package.metadata.union.images.default]\n{} = {value}\n{beside}",
            key.name
        ));
        let spec = project.file("app/requirements.txt").spec();
        let needs: Vec<&str> = spec.images["default"]
            .needs_to_run()
            .iter()
            .map(|(key, _)| *key)
            .collect();
        assert!(
            needs.contains(&key.name),
            "{} is not among {needs:?}",
            key.name
        );
    }
    for (key, value) in [
        ("copy", "[\"requirements.txt\"]"),
        ("env", "{ A = \"b\" }"),
        ("cuda", "\"12.6\""),
        ("runtime-libs", "[\"a\"]"),
    ] {
        let project = table(&format!(
            "[package.metadata.union.images.default]\nworkdir = \"/w\"\n{key} = {value}"
        ))
        .file("app/requirements.txt");
        assert_eq!(project.spec().images["default"].needs_to_run(), [], "{key}");
    }
    let python = table("images.default.requirements = [\"requirements-dev.txt\"]")
        .file("app/requirements-dev.txt")
        .spec();
    assert_eq!(python.images["default"].needs_to_run()[0].0, "requirements");
}

/// The first problem of an image with these lines: its message and its label.
fn of_image(lines: &str) -> (String, String) {
    let project =
        table(&format!("[package.metadata.union.images.default]\n{lines}")).file("app/Dockerfile");
    let problem = project.problems().remove(0);
    (problem.message.clone(), problem.labels[0].text.clone())
}

#[test]
fn keys_without_effect_are_errors() {
    for (lines, message) in [
        (
            "pip-index = \"https://host/simple\"",
            "`pip-index` has no effect without `pip-packages` or Python's `requirements`",
        ),
        (
            "conda-channels = [\"a\"]",
            "`conda-channels` has no effect without `conda-packages` or a `python-version`",
        ),
        (
            "builder-options = { target = \"a\" }",
            "`builder-options.target` has no effect without a `dockerfile`",
        ),
        (
            "secrets = [{ id = \"a\", env = \"A\" }]",
            "nothing can use the secret `a`",
        ),
        (
            "secrets = [{ id = \"a\", env = \"A\" }]\ncommands = [\"x\"]\npip-packages = [\"p\"]\npip-secret-mounts = { b = \"/c\" }",
            "`pip-secret-mounts` names the secret `b`, which is not declared",
        ),
        (
            "python-version = \"3.12\"\npython-exec = \"/usr/bin/python3\"\npip-packages = [\"p\"]",
            "`python-exec` names the base's own Python, and another one is to be installed",
        ),
    ] {
        assert_eq!(of_image(lines).0, message, "{lines}");
    }
}

#[test]
fn secret_ids_index_urls_and_python_versions_are_validated() {
    for (lines, label) in [
        (
            "commands = [\"x\"]\nsecrets = [{ id = \"a,b\", env = \"A\" }]",
            "not an id",
        ),
        (
            "commands = [\"x\"]\nsecrets = [{ id = \"union-a\", env = \"A\" }]",
            "`union-` is the tool's own",
        ),
        (
            "pip-packages = [\"p\"]\npip-index = \"https://me:pw@host/simple\"",
            "has a login in it, which would stay in the image's history",
        ),
        ("pip-packages = [\"p\"]\npip-index = \"host\"", "not a URL"),
        ("python-version = \"3\"", "not `MAJOR.MINOR`"),
    ] {
        assert_eq!(of_image(lines).1, label, "{lines}");
    }
}
