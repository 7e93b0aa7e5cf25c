//! Loading manifests: valid specs and reported problems.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::diag::Code;
use crate::spec::{Base, BuilderChoice, Link, Sourced, TaskKind};

mod copying;
mod inheriting;
mod layers;
mod problems;
mod remote;
mod starter;
mod tasks;

/// A package in a workspace of its own, on disk.
struct Project {
    /// Deleted when the project is dropped.
    _root: TempDir,
    workspace: Option<String>,
    union: String,
    fallbacks: Vec<(&'static str, Sourced<String>)>,
    overrides: Vec<(&'static str, &'static str)>,
    env: Vec<(&'static str, &'static str)>,
    facts: PackageInfo,
}

impl Project {
    /// A package `app` in the directory `app` of a workspace; its manifest is `union`.
    fn new(union: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        fs::create_dir(path.join("app")).unwrap();
        let facts = PackageInfo {
            package: "app".to_owned(),
            directory: path.join("app"),
            workspace_root: path,
            binaries: vec!["app".to_owned()],
            ..PackageInfo::default()
        };
        Self {
            _root: root,
            workspace: None,
            union: union.to_owned(),
            fallbacks: Vec::new(),
            overrides: Vec::new(),
            env: Vec::new(),
            facts,
        }
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

    fn fallback(mut self, key: &'static str, value: &str, origin: Origin) -> Self {
        self.fallbacks.push((
            key,
            Sourced {
                value: value.to_owned(),
                origin,
            },
        ));
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Moves the workspace's root to `ws`, beside the package.
    fn beside(mut self) -> Self {
        self.facts.workspace_root.push("ws");
        fs::create_dir(&self.facts.workspace_root).unwrap();
        self
    }

    /// Creates a file below the workspace's root.
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
        let workspace = self
            .workspace
            .as_ref()
            .map(|text| SourceFile::new(self.root().join("Cargo.toml"), text.clone()));
        let package = SourceFile::new(self.facts.directory.join("Cargo.toml"), self.union.clone());
        let lookup = |name: &str| {
            self.env
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let overrides = Overrides::new(self.root().join("elsewhere")).env(lookup);
        let overrides = self
            .fallbacks
            .iter()
            .fold(overrides, |overrides, (key, value)| {
                overrides.fallback(key, value.clone())
            });
        let overrides = self
            .overrides
            .iter()
            .fold(overrides, |overrides, (flag, value)| {
                overrides.flag(flag, *value)
            });
        load(workspace.as_ref(), &package, &overrides, &self.facts)
    }

    /// The spec of a manifest without problems.
    fn spec(&self) -> Spec {
        let (spec, problems, _) = self.load();
        assert_eq!(problems, [], "{}", self.union);
        spec.unwrap()
    }

    /// The problems of a manifest with at least one.
    fn problems(&self) -> Vec<Diagnostic> {
        let (spec, problems, _) = self.load();
        assert!(!problems.is_empty(), "no problem in {}", self.union);
        assert_eq!(
            spec.is_none(),
            problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
        );
        problems
    }

    /// The value and the origin of one line of `cargo union config`; the origin relative to the workspace.
    fn setting(&self, key: &str) -> (String, String) {
        let (_, _, settings) = self.load();
        let setting = settings
            .iter()
            .find(|setting| setting.key == key)
            .unwrap_or_else(|| panic!("no {key} in {settings:#?}"));
        let root = format!("{}/", self.root().display());
        (
            setting.value.clone(),
            setting.origin.to_string().replace(&root, ""),
        )
    }
}

/// Asserts that a project has exactly one problem, with this code and place, containing this message and help.
fn assert_problem(project: &Project, code: Code, place: &str, message: &str, help: &str) {
    let problems = project.problems();
    let [problem] = &problems[..] else {
        panic!(
            "{} problems for {}: {problems:#?}",
            problems.len(),
            project.union
        )
    };
    let root = format!("{}/", project.root().display());
    let origin = problem.labels[0].origin.to_string().replace(&root, "");
    assert_eq!(
        (problem.code, origin.as_str()),
        (code, place),
        "{}: {}",
        project.union,
        problem.message
    );
    assert!(
        problem.message.contains(message),
        "`{}` lacks `{message}`",
        problem.message
    );
    let advice = problem.help.as_deref().unwrap_or_default();
    assert!(advice.contains(help), "`{advice}` lacks `{help}`");
}

/// A table below `[package.metadata.union]`, which is the first line.
fn table(lines: &str) -> Project {
    Project::new(&format!("[package.metadata.union]\n{lines}\n"))
}

#[test]
fn empty_table_gives_one_image_and_the_sole_binary_as_its_task() {
    let spec = table("").spec();
    assert_eq!(spec.images.keys().collect::<Vec<_>>(), ["default"]);
    let image = &spec.images["default"];
    assert_eq!(image.name.value, "app");
    assert_eq!(image.tag_format.value, "{spec-hash}");
    assert_eq!(
        image
            .platforms
            .iter()
            .map(|platform| platform.value.as_str())
            .collect::<Vec<_>>(),
        ["linux/amd64"]
    );
    assert!(
        matches!(&image.base, Base::Reference(base) if base.value == "gcr.io/distroless/cc-debian13" && base.origin == Origin::Default)
    );
    assert_eq!(
        (
            image.build.profile.as_str(),
            image.build.default_features.value
        ),
        ("release", true)
    );
    assert_eq!(
        (
            image.build.link.value,
            image.effective_link(true),
            image.effective_link(false)
        ),
        (Link::Auto, Link::Static, Link::Dynamic)
    );
    let task = &spec.tasks["app"];
    assert_eq!(
        (
            task.kind.value,
            task.image.as_str(),
            task.bin.as_deref().map(String::as_str)
        ),
        (TaskKind::Container, "default", Some("app"))
    );
    assert_eq!(task.retries.count, 0);
}

#[test]
fn default_base_has_a_shell_when_something_runs() {
    for line in [
        "apt-packages = [\"curl\"]",
        "commands = [\"true\"]",
        "pip-packages = [\"numpy\"]",
        "env = { A = \"b\" }",
        "requirements = [\"Cargo.lock\"]",
    ] {
        let spec = table(&format!("images.default.{line}")).spec();
        let Base::Reference(base) = &spec.images["default"].base else {
            panic!("a reference")
        };
        let runs = !spec.images["default"].needs_to_run().is_empty();
        assert_eq!(
            base.value,
            if runs {
                "debian:trixie-slim"
            } else {
                "gcr.io/distroless/cc-debian13"
            },
            "{line}"
        );
        assert_eq!(
            runs,
            !line.starts_with("env") && !line.starts_with("requirements"),
            "{line}"
        );
    }
}

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

#[test]
fn image_name_defaults_to_package_and_image_key() {
    let mut project = table(
        "[package.metadata.union.images.default]\n[package.metadata.union.images.my-gpu]\n[package.metadata.union.images.other]\nname = \"team/x\"",
    );
    project.facts.package = "My__App_".to_owned();
    let spec = project.spec();
    let names: Vec<&str> = spec
        .images
        .values()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names, ["my-app", "my-app-my-gpu", "team/x"]);
}

#[test]
fn image_carries_the_binaries_of_all_its_tasks() {
    let spec =
        table("[package.metadata.union.images.gpu]\n[package.metadata.union.tasks.a]\nbin = \"one\"\n[package.metadata.union.tasks.two]\n")
            .bins(&["one", "two", "three"])
            .spec();
    assert_eq!(
        spec.binaries_of("gpu").into_iter().collect::<Vec<_>>(),
        ["one", "two"]
    );
}

#[test]
fn default_run_is_the_task_when_none_is_declared() {
    let spec = table("").bins(&["a", "b"]).default_run("b").spec();
    assert_eq!(spec.tasks.keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn package_without_a_binary_may_declare_environments() {
    let spec = table("images.base.base-image = \"scratch\"")
        .bins(&[])
        .spec();
    assert!(spec.tasks.is_empty() && matches!(spec.images["base"].base, Base::Scratch(_)));
    assert!(spec.binaries_of("base").is_empty());
}

#[test]
fn task_kind_defaults_to_rust_when_the_package_depends_on_flyte() {
    assert_eq!(
        table("").flyte().spec().tasks["app"].kind.value,
        TaskKind::Rust
    );
    assert_eq!(
        table("tasks.app.kind = \"container\"").flyte().spec().tasks["app"]
            .kind
            .value,
        TaskKind::Container
    );
}

#[test]
fn container_task_may_run_the_entrypoint_of_its_image() {
    let spec =
        table("images.default.entrypoint = [\"/bin/sh\"]\n[package.metadata.union.tasks.shell]")
            .bins(&["a", "b"])
            .spec();
    assert_eq!(spec.tasks["shell"].bin, None);
}

/// `build.rs` reads names from the JSON of `cargo metadata`, without the schema.
#[test]
fn build_script_finds_the_same_images_and_tasks() {
    use crate::emit::declarations::DeclaredImages;
    for (workspace, package, bins) in [
        ("", "", &["app"][..]),
        (
            "",
            "images.gpu.name = \"x\"\nimages.cpu = {}\ntasks.a = { image = \"gpu\", bin = \"app\" }",
            &["app"],
        ),
        (
            "images.gpu.name = \"ws\"\ntasks.t.image = \"gpu\"",
            "images.gpu.user = \"1\"\nimages.default = {}",
            &["t", "u"],
        ),
        ("", "images.only = {}", &["app"]),
        ("", "images.only = {}", &[]),
    ] {
        let project = table(package)
            .workspace(&format!("[workspace.metadata.union]\n{workspace}\n"))
            .bins(bins);
        let spec = project.spec();
        let json = |text: &str, section: &str| {
            serde_json::to_value(text.parse::<toml::Table>().unwrap()[section]["metadata"].clone())
                .unwrap()
        };
        let targets: Vec<_> = bins
            .iter()
            .map(|bin| serde_json::json!({ "kind": ["bin"], "name": bin }))
            .collect();
        let metadata = serde_json::json!({
            "metadata": json(project.workspace.as_deref().unwrap(), "workspace"),
            "packages": [{ "name": "app", "metadata": json(&project.union, "package"), "targets": targets }],
        });
        let declared = DeclaredImages::of(&metadata, "app");
        assert_eq!(
            declared.images,
            spec.images
                .iter()
                .map(|(key, image)| (key.clone(), image.name.value.clone()))
                .collect()
        );
        assert_eq!(
            declared.tasks,
            spec.tasks
                .iter()
                .map(|(key, task)| (key.clone(), task.image.value.clone()))
                .collect()
        );
    }
}
