//! Invalid manifests: code, place and advice of each problem.

use super::*;

#[test]
fn refused_sdk_key_has_a_reason() {
    let project = table("images.a.runtime_packages = []");
    assert_problem(
        &project,
        Code::Refused,
        "app/Cargo.toml:2:10",
        "`runtime_packages` of the Python SDK",
        "nothing to install at start",
    );
}

/// All codes of manifests: code, text, place, message, help.
#[test]
fn each_manifest_problem_has_code_location_and_help() {
    let gpu = "[package.metadata.union.images.gpu]\n";
    let app = "app/Cargo.toml";
    for (code, lines, place, message, help) in [
        (Code::ManifestSyntax, "registry = ".to_owned(), "2:12", "not valid TOML", "Correct the syntax"),
        (Code::ManifestSyntax, "project = \"a\"\nproject = \"b\"".to_owned(), "3:1", "duplicate key", ""),
        (
            Code::UnknownKey,
            "registri = \"a\"".to_owned(),
            "2:1",
            "`registri` is not a key of `[package.metadata.union]`",
            "did you mean `registry`?",
        ),
        (Code::UnknownKey, "apt-packages = []".to_owned(), "2:1", "`apt-packages` is not a key", "belongs to `build` or `images.NAME`"),
        (
            Code::UnknownKey,
            format!("{gpu}registry-config = \"\""),
            "3:1",
            "of `images.gpu`",
            "belongs to `[package.metadata.union]` itself",
        ),
        (
            Code::UnknownKey,
            format!("{gpu}copy = [{{ from = \"Cargo.toml\", chmod = \"1\" }}]"),
            "3:32",
            "`chmod` is not a key of `images.gpu.copy`",
            "did you mean `mode`?",
        ),
        (Code::UnknownKey, "zzz = 1".to_owned(), "2:1", "`zzz`", "its keys are project, domain, registry"),
        (Code::WrongType, "project = 3".to_owned(), "2:11", "expected a string, found an integer", "write `\"3\"`"),
        (Code::WrongType, format!("{gpu}apt-packages = \"a\""), "3:16", "expected a list of strings, found a string", "write `[\"a\"]`"),
        (
            Code::WrongType,
            format!("{gpu}env = []"),
            "3:7",
            "`images.gpu.env` has the wrong type: expected a table of strings, found a list",
            "",
        ),
        (Code::WrongType, "images = 1".to_owned(), "2:10", "expected a table of tables, found an integer", ""),
        (
            Code::InvalidValue,
            "builder = \"nativ\"".to_owned(),
            "2:11",
            "`nativ` is not a value of `builder`",
            "did you mean `native`? the values are `auto`, `native`, `docker`, `remote`",
        ),
        (Code::InvalidValue, format!("{gpu}platforms = [\"linux/x86_64\"]"), "3:14", "is not a platform", "write `linux/amd64`"),
        (Code::InvalidValue, format!("{gpu}platforms = []"), "3:13", "at least one platform", "linux/amd64"),
        (Code::InvalidValue, format!("{gpu}platforms = [\"linux/arm64\", \"linux/arm64/v8\"]"), "3:29", "declared twice", "remove one"),
        (Code::InvalidValue, format!("{gpu}env = {{ \"1A\" = \"\" }}"), "3:9", "`1A` is not a name of an environment variable", "letter"),
        (Code::InvalidValue, format!("{gpu}user = \"a b\""), "3:8", "`a b` is not a user", "1000:1000"),
        (Code::InvalidValue, format!("{gpu}secrets = [{{ id = \"a\" }}]"), "3:12", "one place", "either `env"),
        (Code::InvalidValue, format!("{gpu}requirements = [\"poetry.lock\"]"), "3:17", "`poetry.lock` is not a lock file", "uv.lock"),
        (
            Code::InvalidValue,
            format!("{gpu}base-image = \"a\"\ndockerfile = \"Cargo.toml\""),
            "3:1",
            "already declares its base",
            "remove one",
        ),
        (Code::InvalidValue, "tasks.app.retries = -1".to_owned(), "2:21", "cannot be -1", "from 0 to 10"),
        (Code::InvalidValue, "tasks.app.resources = { memory = \"8GB\" }".to_owned(), "2:34", "is not a quantity", "write `8G`"),
        (Code::InvalidValue, "tasks.app.resources = { gpu = \"A100\" }".to_owned(), "2:31", "accelerators", "A100:1"),
        (Code::InvalidValue, "tasks.\"a b\" = {}".to_owned(), "2:7", "`a b` is not a name", "letter"),
        (
            Code::UnknownImage,
            format!("{gpu}[package.metadata.union.tasks.app]\nimage = \"gpo\""),
            "4:9",
            "no image `gpo`",
            "did you mean `gpu`?",
        ),
        (Code::UnknownImage, format!("{gpu}extends = \"base\""), "3:11", "no image `base`", "there is `gpu`"),
        (
            Code::UnknownImage,
            "[package.metadata.union.images.a]\n[package.metadata.union.images.b]\n[package.metadata.union.tasks.app]".to_owned(),
            "4:31",
            "does not say which image",
            "there is `a`, `b`",
        ),
        (Code::UnknownBinary, "tasks.app.bin = \"ap\"".to_owned(), "2:17", "no binary `ap`", "did you mean `app`?"),
        (
            Code::DuplicateTask,
            "tasks.a-b = {}\ntasks.a_b = {}".to_owned(),
            "3:7",
            "the tasks `a-b` and `a_b` have one name",
            "another name",
        ),
        (
            Code::ExtendsCircle,
            "images.a.extends = \"b\"\nimages.b.extends = \"a\"\ntasks.app.image = \"a\"".to_owned(),
            "2:20",
            "`a` → `b` → `a`",
            "`base-image`",
        ),
        (Code::ExtendsCircle, "images.a.extends = \"a\"".to_owned(), "2:20", "`a` → `a`", "`base-image`"),
        (Code::InvalidRegistry, "registry = \"https://ghcr.io/a\"".to_owned(), "2:12", "is not a registry", "write `ghcr.io/a`"),
        (Code::InvalidRegistry, "mirrors = { \"https://a.b\" = \"c.d\" }".to_owned(), "2:13", "is not a registry's host", "write `a.b`"),
        (Code::InvalidImageName, format!("{gpu}name = \"My_App\""), "3:8", "is not an image name", "write `my_app`"),
        (
            Code::InvalidImageName,
            "[package.metadata.union.images.\"a.b\"]".to_owned(),
            "2:32",
            "`a.b` is not a name of an image spec",
            "letter",
        ),
        (Code::InvalidTagFormat, format!("{gpu}tag-format = \"latest\""), "3:14", "is not a tag format", "It must contain `{spec-hash}`"),
        (Code::CopyMissing, format!("{gpu}copy = [\"gone\"]"), "3:9", "`gone` does not exist", "relative to the manifest"),
        (Code::CopyMissing, format!("{gpu}copy = [\"*.bin\"]"), "3:9", "`*.bin` does not exist", "patterns are not expanded"),
        (Code::CopyOutside, format!("{gpu}copy = [{{ from = \"../../x\", to = \"/x\" }}]"), "3:18", "outside of the workspace", "Move it"),
        (
            Code::CopyOutside,
            format!("{gpu}copy = [{{ from = \"/etc/passwd\", to = \"/x\" }}]"),
            "3:18",
            "outside of the workspace",
            "Move it",
        ),
        (
            Code::ConstantCollision,
            "images.my-gpu = {}\nimages.my_gpu = {}\ntasks.app.image = \"my-gpu\"".to_owned(),
            "3:8",
            "the same constant, `MY_GPU`",
            "Rename one",
        ),
        (Code::ConstantCollision, "images.all = {}".to_owned(), "2:8", "would be `ALL`", "rename"),
        (
            Code::BaseAndExtends,
            "images.a = {}\nimages.default = { base-image = \"x\", extends = \"a\" }".to_owned(),
            "3:38",
            "both `base-image` and `extends`",
            "Keep one",
        ),
        (
            Code::UnsupportedByBuilder,
            format!("{gpu}builder = \"native\"\napt-packages = [\"curl\"]"),
            "4:17",
            "does not support `apt-packages` of image `gpu`",
            "`builder = \"docker\"`",
        ),
        (
            Code::UnsupportedByBuilder,
            "images.a.commands = [\"true\"]\nimages.default = { builder = \"native\", extends = \"a\" }".to_owned(),
            "3:50",
            "the environment of `a`",
            "docker",
        ),
        (Code::InvalidReference, format!("{gpu}base-image = \"Debian\""), "3:14", "is not an image reference", "[registry/]name"),
        (Code::PathInvalid, format!("{gpu}workdir = \"app\""), "3:11", "`app` is not a path inside of the image", "absolute path"),
        (
            Code::PathInvalid,
            format!("{gpu}copy = [\"../Cargo.toml\"]"),
            "3:9",
            "cannot be placed below the working directory",
            "write `{ from = ",
        ),
        (
            Code::PathInvalid,
            format!("{gpu}copy = [{{ from = \"Cargo.toml\", to = \"/a/../b\" }}]"),
            "3:37",
            "is not a path inside",
            "without `..`",
        ),
        (
            Code::InvalidValue,
            format!("{gpu}copy = [{{ from = \"Cargo.toml\", to = \"/a\", mode = \"rw\" }}]"),
            "3:50",
            "`rw` is not a file mode",
            "octal",
        ),
        (Code::InvalidValue, format!("{gpu}copy = [{{ to = \"/a\" }}]"), "3:9", "has no `from`", "write `from"),
        (Code::KindUnfit, "tasks.app.kind = \"rust\"".to_owned(), "2:18", "does not depend on the `flyte` crate", "container"),
        (Code::FileUnreadable, format!("{gpu}ca-certificates = \"gone.pem\""), "3:19", "cannot be read", "relative to the manifest"),
    ] {
        let project = table(&lines).file("app/Cargo.toml").file("Cargo.toml");
        assert_problem(&project, code, &format!("{app}:{place}"), message, help);
    }
}

#[test]
fn several_binaries_without_a_task_are_ambiguous() {
    let project = table("").bins(&["train", "serve"]);
    assert_problem(
        &project,
        Code::TaskAmbiguous,
        "app/Cargo.toml:1:19",
        "several binaries: `train`, `serve`",
        "tasks.train]",
    );
    let project = table("tasks.job = {}").bins(&["train", "serve"]);
    assert_problem(
        &project,
        Code::TaskAmbiguous,
        "app/Cargo.toml:2:7",
        "does not say which binary",
        "there is `serve`, `train`",
    );
}

#[test]
fn package_with_nothing_to_build_is_an_error() {
    assert_problem(
        &table("").bins(&[]),
        Code::NothingToBuild,
        "app/Cargo.toml:1:19",
        "neither a binary nor an image",
        "Add a binary",
    );
    assert_problem(
        &table("tasks.a.kind = \"rust\"").bins(&[]).flyte(),
        Code::KindUnfit,
        "app/Cargo.toml:2:7",
        "has no binary",
        "add a binary",
    );
}

#[test]
fn native_builder_refuses_each_unsupported_key_at_its_place() {
    let project = table(
        "builder = \"native\"\nimages.default.apt-packages = [\"curl\"]\nimages.default.commands = [\"ldconfig\"]\nimages.default.cuda = \"12\"",
    );
    let problems = project.problems();
    assert!(
        problems
            .iter()
            .all(|problem| problem.code == Code::UnsupportedByBuilder),
        "{problems:#?}"
    );
    let places: Vec<String> = problems
        .iter()
        .map(|problem| problem.labels[0].origin.to_string())
        .collect();
    assert!(
        ["3:32", "4:28", "5:23"]
            .iter()
            .zip(&places)
            .all(|(line, place)| place.ends_with(line)),
        "{places:?}"
    );
    for builder in ["auto", "docker", "remote"] {
        table(&format!(
            "builder = \"{builder}\"\nimages.default.apt-packages = [\"curl\"]"
        ))
        .spec();
    }
}

#[test]
fn invalid_variable_or_flag_is_named() {
    assert_problem(
        &table("").env("UNION_BUILDER", "podman"),
        Code::InvalidValue,
        "UNION_BUILDER",
        "`podman` is not a value of `builder`",
        "the values are",
    );
    assert_problem(
        &table("").flag("--registry", "http://a.b"),
        Code::InvalidRegistry,
        "--registry",
        "is not a registry",
        "write `a.b`",
    );
    assert_problem(
        &table("").flag("--no-default-features", "no"),
        Code::InvalidValue,
        "--no-default-features",
        "`no`",
        "`true`, `false`",
    );
}

#[test]
fn broken_value_is_reported_once() {
    for lines in [
        "tasks.app.image = 1",
        "tasks.app.bin = []",
        "images.default.base-image = 1",
        "images.default.copy = [{ from = 1 }]",
        "tasks = []",
        "images.default = 1\ntasks.app.image = \"default\"",
    ] {
        let problems = table(lines).problems();
        assert_eq!(
            problems
                .iter()
                .map(|problem| problem.code)
                .collect::<Vec<_>>(),
            [Code::WrongType],
            "{lines}: {problems:#?}"
        );
    }
}

#[test]
fn workspace_problem_is_reported_once_for_all_images() {
    let project =
        table("[package.metadata.union.images.a]\n[package.metadata.union.images.default]")
            .workspace("[workspace.metadata.union]\nregistry = \"A\"\n");
    assert_problem(
        &project,
        Code::InvalidRegistry,
        "Cargo.toml:2:12",
        "`A` is not a registry",
        "",
    );
}
