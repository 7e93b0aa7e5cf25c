//! Manifests in, specs and problems out: what a user types and what the tool makes of it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::diag::Code;
use crate::spec::{Base, BuilderChoice, Kind, Link};

/// A package in a workspace of its own, on disk.
struct Project {
    /// The folder goes when the project does.
    _root: TempDir,
    workspace: Option<String>,
    union: String,
    overrides: Vec<(&'static str, &'static str)>,
    env: Vec<(&'static str, &'static str)>,
    facts: Facts,
}

impl Project {
    /// A package `app` in the folder `app` of a workspace, with a table that starts on the first line.
    fn new(union: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        fs::create_dir(path.join("app")).unwrap();
        let facts = Facts {
            package: "app".to_owned(),
            folder: path.join("app"),
            workspace_root: path,
            binaries: vec!["app".to_owned()],
            ..Facts::default()
        };
        Self { _root: root, workspace: None, union: union.to_owned(), overrides: Vec::new(), env: Vec::new(), facts }
    }

    fn workspace(mut self, union: &str) -> Self {
        self.workspace = Some(union.to_owned());
        self
    }

    fn bins(mut self, bins: &[&str]) -> Self {
        self.facts.binaries = bins.iter().map(|bin| (*bin).to_owned()).collect();
        self
    }

    fn default_run(mut self, bin: &str) -> Self {
        self.facts.default_run = Some(bin.to_owned());
        self
    }

    fn flyte(mut self) -> Self {
        self.facts.depends_on_flyte = true;
        self
    }

    fn flag(mut self, flag: &'static str, value: &'static str) -> Self {
        self.overrides.push((flag, value));
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// A file below the workspace's root.
    fn file(self, path: &str) -> Self {
        let path = self.facts.workspace_root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "content").unwrap();
        self
    }

    #[cfg(unix)]
    fn link(self, path: &str, target: impl AsRef<Path>) -> Self {
        let path = self.facts.workspace_root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    fn root(&self) -> &Path {
        &self.facts.workspace_root
    }

    fn load(&self) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
        let workspace = self.workspace.as_ref().map(|text| SourceFile::new(self.root().join("Cargo.toml"), text.clone()));
        let package = SourceFile::new(self.root().join("app/Cargo.toml"), self.union.clone());
        let lookup = |name: &str| self.env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let overrides = Overrides::new(self.root().join("elsewhere")).env(lookup);
        let overrides = self.overrides.iter().fold(overrides, |overrides, (flag, value)| overrides.flag(flag, *value));
        load(workspace.as_ref(), &package, &overrides, &self.facts)
    }

    /// The spec of a manifest without a problem.
    fn spec(&self) -> Spec {
        let (spec, problems, _) = self.load();
        assert_eq!(problems, [], "{}", self.union);
        spec.unwrap()
    }

    /// The problems of a manifest that has some.
    fn problems(&self) -> Vec<Diagnostic> {
        let (spec, problems, _) = self.load();
        assert!(!problems.is_empty(), "no problem in {}", self.union);
        assert_eq!(spec.is_none(), problems.iter().any(|problem| problem.severity == Severity::Error));
        problems
    }

    /// The value and the origin of one line of `cargo union config`; the origin without the folder.
    fn setting(&self, key: &str) -> (String, String) {
        let (_, _, settings) = self.load();
        let setting = settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("no {key} in {settings:#?}"));
        let root = format!("{}/", self.root().display());
        (setting.value.clone(), setting.origin.to_string().replace(&root, ""))
    }
}

/// The one problem that a table must have: its code, where it is and what it says.
fn one(project: &Project, code: Code, place: &str, message: &str, help: &str) {
    let problems = project.problems();
    let [problem] = &problems[..] else { panic!("{} problems for {}: {problems:#?}", problems.len(), project.union) };
    let root = format!("{}/", project.root().display());
    let found = problem.labels[0].origin.to_string().replace(&root, "");
    assert_eq!((problem.code, found.as_str()), (code, place), "{}: {}", project.union, problem.message);
    assert!(problem.message.contains(message), "`{}` lacks `{message}`", problem.message);
    let advice = problem.help.as_deref().unwrap_or_default();
    assert!(advice.contains(help), "`{advice}` lacks `{help}`");
}

/// A table below `[package.metadata.union]`, which is the first line.
fn table(lines: &str) -> Project {
    Project::new(&format!("[package.metadata.union]\n{lines}\n"))
}

#[test]
fn an_empty_table_gives_one_image_and_the_sole_binary_as_its_task() {
    let spec = table("").spec();
    assert_eq!(spec.images.keys().collect::<Vec<_>>(), ["default"]);
    let image = &spec.images["default"];
    assert_eq!(image.name.value, "app");
    assert_eq!(image.tag_format.value, "{spec-hash}");
    assert_eq!(image.platforms.iter().map(|platform| platform.value.as_str()).collect::<Vec<_>>(), ["linux/amd64"]);
    assert!(
        matches!(&image.base, Base::Reference(base) if base.value == "gcr.io/distroless/cc-debian13" && base.origin == Origin::Default)
    );
    assert_eq!((image.build.profile.as_str(), image.build.default_features.value), ("release", true));
    assert_eq!(
        (image.build.link.value, image.effective_link(true), image.effective_link(false)),
        (Link::Auto, Link::Static, Link::Dynamic)
    );
    let task = &spec.tasks["app"];
    assert_eq!((task.kind.value, task.image.as_str(), task.bin.as_deref().map(String::as_str)), (Kind::Container, "default", Some("app")));
    assert_eq!(task.retries.value, 0);
}

#[test]
fn an_environment_in_which_something_runs_has_a_base_with_a_shell() {
    for line in [
        "apt-packages = [\"curl\"]",
        "commands = [\"true\"]",
        "pip-packages = [\"numpy\"]",
        "env = { A = \"b\" }",
        "requirements = [\"Cargo.lock\"]",
    ] {
        let spec = table(&format!("images.default.{line}")).spec();
        let Base::Reference(base) = &spec.images["default"].base else { panic!("a reference") };
        let runs = !spec.images["default"].needs_to_run().is_empty();
        assert_eq!(base.value, if runs { "debian:trixie-slim" } else { "gcr.io/distroless/cc-debian13" }, "{line}");
        assert_eq!(runs, !line.starts_with("env") && !line.starts_with("requirements"), "{line}");
    }
}

/// The schema says which keys the native builder leaves to others; the type must say the same.
#[test]
fn what_the_schema_says_needs_a_container_is_what_the_image_says() {
    use crate::spec::schema::{Kind, keys};
    for key in keys::IMAGE.keys {
        let value = match key.kind {
            Kind::Texts | Kind::Paths => "[\"requirements.txt\"]",
            Kind::TextMap if key.name == "mirrors" => "{ \"a.b\" = \"c.d\" }",
            Kind::TextMap => "{ a = \"/b\" }",
            Kind::Entries(_) => "[{ id = \"a\", env = \"A\" }]",
            Kind::Path => "\"requirements.txt\"",
            Kind::Text if key.name == "python-exec" => "\"/usr/bin/python3\"",
            Kind::Text if key.runs => "\"12.6\"",
            _ => continue,
        };
        if ["platforms", "requirements", "runtime-libs", "inputs", "exclude"].contains(&key.name) {
            continue;
        }
        let project = table(&format!("images.default.{} = {value}", key.name)).file("app/requirements.txt");
        let needs: Vec<&str> = project.spec().images["default"].needs_to_run().iter().map(|(key, _)| *key).collect();
        assert_eq!(needs, if key.runs { vec![key.name] } else { vec![] });
    }
    let python = table("images.default.requirements = [\"requirements-dev.txt\"]").file("app/requirements-dev.txt").spec();
    assert_eq!(python.images["default"].needs_to_run()[0].0, "requirements");
}

#[test]
fn names_come_from_the_package_and_the_image() {
    let mut project = table(
        "[package.metadata.union.images.default]\n[package.metadata.union.images.my-gpu]\n[package.metadata.union.images.other]\nname = \"team/x\"",
    );
    project.facts.package = "My__App_".to_owned();
    let spec = project.spec();
    let names: Vec<&str> = spec.images.values().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["my-app", "my-app-my-gpu", "team/x"]);
}

#[test]
fn tasks_that_name_one_image_share_it() {
    let spec = table(
        "[package.metadata.union.images.gpu]\n[package.metadata.union.tasks.a]\nbin = \"one\"\n[package.metadata.union.tasks.two]\nresources = { cpu = 4, gpu = \"A100:1\" }\nretries = 3",
    )
    .bins(&["one", "two", "three"])
    .spec();
    assert_eq!(spec.binaries_of("gpu").into_iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(spec.tasks["two"].resources["cpu"].value, "4");
    assert_eq!(spec.tasks["two"].retries.value, 3);
}

#[test]
fn the_default_run_is_the_task_when_none_is_declared() {
    let spec = table("").bins(&["a", "b"]).default_run("b").spec();
    assert_eq!(spec.tasks.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_package_without_a_binary_may_declare_environments() {
    let spec = table("images.base.base-image = \"scratch\"").bins(&[]).spec();
    assert!(spec.tasks.is_empty() && matches!(spec.images["base"].base, Base::Scratch(_)));
    assert!(spec.binaries_of("base").is_empty());
}

#[test]
fn a_package_that_depends_on_flyte_has_rust_tasks() {
    assert_eq!(table("").flyte().spec().tasks["app"].kind.value, Kind::Rust);
    assert_eq!(table("tasks.app.kind = \"container\"").flyte().spec().tasks["app"].kind.value, Kind::Container);
}

#[test]
fn a_container_task_may_run_what_its_image_brings() {
    let spec = table("images.default.entrypoint = [\"/bin/sh\"]\n[package.metadata.union.tasks.shell]").bins(&["a", "b"]).spec();
    assert_eq!(spec.tasks["shell"].bin, None);
}

#[test]
fn tables_merge_key_by_key_and_lists_replace() {
    let project = table("images.gpu.env = { A = \"package\" }\nimages.gpu.apt-packages = [\"b\"]").workspace(
        "[workspace.metadata.union]\nregistry = \"ghcr.io/ws\"\n[workspace.metadata.union.images.gpu]\nenv = { A = \"workspace\", B = \"workspace\" }\napt-packages = [\"a\", \"c\"]\n",
    );
    let image = &project.spec().images["gpu"];
    assert_eq!(
        image.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(),
        [("A", "package"), ("B", "workspace")]
    );
    assert_eq!(image.apt_packages.iter().map(|package| package.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(image.registry.as_ref().unwrap().value, "ghcr.io/ws");
    assert_eq!(project.setting("images.gpu.env.A"), ("\"package\"".to_owned(), "app/Cargo.toml:2:24".to_owned()));
    assert_eq!(project.setting("images.gpu.env.B"), ("\"workspace\"".to_owned(), "Cargo.toml:4:30".to_owned()));
    assert_eq!(project.setting("images.gpu.compression"), ("\"gzip\"".to_owned(), "default".to_owned()));
    assert_eq!(project.setting("images.gpu.base-image").1, "default");
}

#[test]
fn a_root_package_has_both_tables_in_one_file() {
    let text = "[workspace.metadata.union]\nregistry = \"ghcr.io/a\"\nbuilder = \"oops\"\n[package.metadata.union]\nbuilder = \"native\"\n";
    let file = SourceFile::new("/ws/Cargo.toml", text);
    let facts = Facts {
        package: "app".into(),
        folder: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["app".into()],
        ..Facts::default()
    };
    let (_, problems, _) = load(Some(&file), &file, &Overrides::new("/ws"), &facts);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].labels[0].origin.to_string(), "/ws/Cargo.toml:3:11");
    let broken = SourceFile::new("/ws/Cargo.toml", "[package");
    let (spec, problems, settings) = load(Some(&broken), &broken, &Overrides::new("/ws"), &facts);
    assert_eq!((spec, problems.len(), settings.len()), (None, 1, 0));
}

#[test]
fn flags_win_over_variables_and_variables_over_manifests() {
    let both = "registry = \"a.b\"\nbuilder = \"docker\"\n[package.metadata.union.images.default]\n[package.metadata.union.images.own]\nregistry = \"own.b\"";
    let registry = |project: &Project, image: &str| project.setting(&format!("images.{image}.registry"));
    let project = table(both);
    assert_eq!(registry(&project, "default"), ("\"a.b\"".to_owned(), "app/Cargo.toml:2:12".to_owned()));
    assert_eq!(registry(&project, "own").0, "\"own.b\"");
    let project = project.env("UNION_REGISTRY", "env.b").env("UNION_BUILDER", "");
    assert_eq!(registry(&project, "default"), ("\"env.b\"".to_owned(), "UNION_REGISTRY".to_owned()));
    assert_eq!(registry(&project, "own"), ("\"env.b\"".to_owned(), "UNION_REGISTRY".to_owned()));
    let project = project.flag("--registry", "flag.b");
    assert_eq!(registry(&project, "own"), ("\"flag.b\"".to_owned(), "--registry".to_owned()));
    let spec = project.spec();
    assert_eq!(spec.images["own"].registry.as_ref().unwrap().value, "flag.b");
    assert_eq!(spec.images["own"].builder.value, BuilderChoice::Docker, "an empty variable says nothing");
}

#[test]
fn build_flags_win_over_what_an_image_says() {
    let project = table(
        "build.profile = \"a\"\nbuild.env = { A = \"1\", B = \"1\" }\nimages.default.build = { profile = \"b\", env = { B = \"2\" }, features = [\"x\"] }",
    );
    let build = &project.spec().images["default"].build;
    assert_eq!(build.profile.value, "b");
    assert_eq!(build.env.values().map(|value| value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    let project = project.flag("--profile", "dev").flag("--features", "y,z q").flag("--no-default-features", "false");
    let build = &project.spec().images["default"].build;
    assert_eq!((build.profile.as_str(), build.default_features.value), ("dev", false));
    assert_eq!(build.features.iter().map(|feature| feature.as_str()).collect::<Vec<_>>(), ["y", "z", "q"]);
}

#[test]
fn paths_belong_to_the_manifest_that_declares_them() {
    let project = table("images.default.ca-certificates = \"own.pem\"")
        .workspace("[workspace.metadata.union]\nimages.default.build-ca = \"ca.pem\"\nimages.default.inputs = [\"x/*\"]\n")
        .file("app/own.pem")
        .file("ca.pem");
    let image = &project.spec().images["default"];
    assert_eq!(image.ca_certificates.as_ref().unwrap().value, project.root().join("app/own.pem"));
    assert_eq!(image.build_ca.as_ref().unwrap().value, project.root().join("ca.pem"));
    assert_eq!(image.inputs[0].folder, project.root());
    let spec = table("").env("UNION_REGISTRY_CONFIG", "config.json").spec();
    assert!(spec.registry_config.unwrap().value.ends_with("elsewhere/config.json"));
}

#[test]
fn a_copied_path_keeps_its_place_below_the_working_folder() {
    let copy = |lines: &str| {
        let project = table(lines).file("app/conf/a.txt").file("shared/b.txt");
        let copy = &project.spec().images["default"].copy[0];
        (copy.from.value.strip_prefix(project.root()).unwrap().to_owned(), copy.to.value.clone(), copy.mode.as_ref().map(|mode| mode.value))
    };
    assert_eq!(copy("images.default.copy = [\"conf/a.txt\"]"), ("app/conf/a.txt".into(), "/conf/a.txt".into(), None));
    assert_eq!(copy("images.default = { copy = [\"./conf/\"], workdir = \"/srv/\" }"), ("app/conf".into(), "/srv/conf".into(), None));
    let table = "images.default.copy = [{ from = \"../shared/b.txt\", to = \"/etc/\", mode = \"0640\" }]";
    assert_eq!(copy(table), ("shared/b.txt".into(), "/etc/".into(), Some(0o640)));
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

#[test]
fn the_reason_for_a_refusal_is_given() {
    let project = table("images.a.runtime_packages = []");
    one(&project, Code::Refused, "app/Cargo.toml:2:10", "`runtime_packages` of the Python SDK", "nothing to install at start");
}

/// Every code that a manifest can have: the text, the place, what is said and what helps.
#[test]
fn each_problem_of_a_manifest_has_its_code_place_and_cure() {
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
            "did you mean `native`? the words are `auto`, `native`, `docker`, `remote`",
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
            "says itself what it starts from",
            "remove one",
        ),
        (Code::InvalidValue, "tasks.app.retries = -1".to_owned(), "2:21", "cannot be -1", "0 or a small number"),
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
            "cannot honour `apt-packages` of image `gpu`",
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
        (Code::PathInvalid, format!("{gpu}copy = [\"../Cargo.toml\"]"), "3:9", "has no place below the working folder", "write `{ from = "),
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
        one(&project, code, &format!("{app}:{place}"), message, help);
    }
}

#[test]
fn several_binaries_and_no_task_are_a_question() {
    let project = table("").bins(&["train", "serve"]);
    one(&project, Code::TaskAmbiguous, "app/Cargo.toml:1:19", "several binaries: `train`, `serve`", "tasks.train]");
    let project = table("tasks.job = {}").bins(&["train", "serve"]);
    one(&project, Code::TaskAmbiguous, "app/Cargo.toml:2:7", "does not say which binary", "there is `serve`, `train`");
}

#[test]
fn a_package_with_nothing_to_build_says_so() {
    one(&table("").bins(&[]), Code::NothingToBuild, "app/Cargo.toml:1:19", "neither a binary nor an image", "Add a binary");
    one(&table("tasks.a.kind = \"rust\"").bins(&[]).flyte(), Code::KindUnfit, "app/Cargo.toml:2:7", "has no binary", "add a binary");
}

#[test]
fn every_unsupported_parameter_is_named_at_its_place() {
    let project = table(
        "builder = \"native\"\nimages.default.apt-packages = [\"curl\"]\nimages.default.commands = [\"ldconfig\"]\nimages.default.cuda = \"12\"",
    );
    let problems = project.problems();
    assert!(problems.iter().all(|problem| problem.code == Code::UnsupportedByBuilder), "{problems:#?}");
    let places: Vec<String> = problems.iter().map(|problem| problem.labels[0].origin.to_string()).collect();
    assert!(["3:32", "4:28", "5:23"].iter().zip(&places).all(|(line, place)| place.ends_with(line)), "{places:?}");
    for builder in ["auto", "docker", "remote"] {
        table(&format!("builder = \"{builder}\"\nimages.default.apt-packages = [\"curl\"]")).spec();
    }
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    one(
        &table("").env("UNION_BUILDER", "podman"),
        Code::InvalidValue,
        "UNION_BUILDER",
        "`podman` is not a value of `builder`",
        "the words are",
    );
    one(&table("").flag("--registry", "http://a.b"), Code::InvalidRegistry, "--registry", "is not a registry", "write `a.b`");
    one(&table("").flag("--no-default-features", "no"), Code::InvalidValue, "--no-default-features", "`no`", "`true`, `false`");
}

#[test]
fn a_broken_value_is_reported_once_and_nothing_follows_from_it() {
    for lines in [
        "tasks.app.image = 1",
        "tasks.app.bin = []",
        "images.default.base-image = 1",
        "images.default.copy = [{ from = 1 }]",
        "tasks = []",
        "images.default = 1\ntasks.app.image = \"default\"",
    ] {
        let problems = table(lines).problems();
        assert_eq!(problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [Code::WrongType], "{lines}: {problems:#?}");
    }
}

#[test]
fn a_problem_of_the_workspace_is_shown_once_for_all_images() {
    let project = table("[package.metadata.union.images.a]\n[package.metadata.union.images.default]")
        .workspace("[workspace.metadata.union]\nregistry = \"A\"\n");
    one(&project, Code::InvalidRegistry, "Cargo.toml:2:12", "`A` is not a registry", "");
}

#[test]
fn the_starter_manifest_is_valid_for_any_package() {
    for bins in [&["app"][..], &["train", "serve-it"], &["a"]] {
        let text = crate::spec::schema::template("my_app", &bins.iter().map(|bin| (*bin).to_owned()).collect::<Vec<_>>());
        assert_eq!(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).take(4).count(), 4);
        let spec = Project::new(&text).bins(bins).spec();
        assert_eq!(spec.tasks.len(), bins.len());
        // What stands in comments is valid as well.
        let comments: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| !line.ends_with(':'))
            .map(|line| format!("{line}\n"))
            .collect();
        Project::new(&comments.replace("# ", "")).bins(&["a"]).file("app/conf/x").spec();
    }
}

/// `build.rs` reads names out of JSON without this schema; both must find the same ones.
#[test]
fn the_build_script_finds_the_same_images_and_tasks() {
    use crate::emit::declared::Declared;
    for (workspace, package, bins) in [
        ("", "", &["app"][..]),
        ("", "images.gpu.name = \"x\"\nimages.cpu = {}\ntasks.a = { image = \"gpu\", bin = \"app\" }", &["app"]),
        ("images.gpu.name = \"ws\"\ntasks.t.image = \"gpu\"", "images.gpu.user = \"1\"\nimages.default = {}", &["t", "u"]),
        ("", "images.only = {}", &["app"]),
        ("", "images.only = {}", &[]),
    ] {
        let project = table(package).workspace(&format!("[workspace.metadata.union]\n{workspace}\n")).bins(bins);
        let spec = project.spec();
        let json =
            |text: &str, section: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()[section]["metadata"].clone()).unwrap();
        let targets: Vec<_> = bins.iter().map(|bin| serde_json::json!({ "kind": ["bin"], "name": bin })).collect();
        let metadata = serde_json::json!({
            "metadata": json(project.workspace.as_deref().unwrap(), "workspace"),
            "packages": [{ "name": "app", "metadata": json(&project.union, "package"), "targets": targets }],
        });
        let declared = Declared::of(&metadata, "app");
        assert_eq!(declared.images, spec.images.iter().map(|(key, image)| (key.clone(), image.name.value.clone())).collect());
        assert_eq!(declared.tasks, spec.tasks.iter().map(|(key, task)| (key.clone(), task.image.value.clone())).collect());
    }
}
