//! Python packages, installed by a real `uv` from the Python index.

use union_tests::base::push;
use union_tests::tools::uv;
use union_tests::{Outcome, Project};

use crate::setup::{Setup, shell};

struct Python {
    setup: Setup,
}

impl Python {
    fn new() -> Self {
        let setup = Setup::new();
        push(&uv(), &format!("{}/tools/uv:1", setup.registry.host()));
        Self { setup }
    }

    fn project(&self, lines: &str) -> Project {
        let image = format!(
            "builder-config = {{ uv-image = \"{}/tools/uv:1\" }}\n",
            self.setup.registry.host()
        );
        let project = self
            .setup
            .project(&format!("apt-packages = [\"python3\"]\n{image}{lines}"));
        // With a TLS proxy before the index, its certificate authority is needed in the container as well.
        match std::env::var("SSL_CERT_FILE") {
            Ok(file) => project.env("SSL_CERT_FILE", file),
            Err(_) => project,
        }
    }
}

#[track_caller]
fn version_of(built: &Outcome, package: &str) -> String {
    shell(
        built,
        &format!("python3 -c 'import {package}; print({package}.__version__)'"),
    )
}

/// The packages below the base and the environment in the bill of materials of an unchanged image, without their distribution.
#[track_caller]
fn packages_of(project: &Project) -> (Vec<String>, Vec<String>) {
    project
        .run(["build", "--sbom", "sbom.json"])
        .succeeds()
        .stderr_has("Unchanged")
        .stderr_lacks("note:");
    let bill: serde_json::Value = serde_json::from_str(&project.read("sbom.json")).unwrap();
    assert_eq!(bill["compositions"][0]["aggregate"], "complete");
    let below = |reference: &str| {
        let entries = bill["dependencies"].as_array().unwrap();
        let entry = entries.iter().find(|one| one["ref"] == reference).unwrap();
        let references = entry["dependsOn"].as_array().unwrap().iter();
        let urls = references.filter_map(|one| one.as_str()?.strip_prefix("pkg:"));
        let plain = |url: &str| {
            let url = url.split("&distro=").next().unwrap();
            url.replace("%2B", "+")
        };
        urls.map(plain).collect()
    };
    (below("base"), below("environment"))
}

#[test]
fn packages_and_lock_files_are_installed_into_the_base_python() {
    let python = Python::new();
    let project = python
        .project("pip-packages = [\"six==1.16.0\"]\nrequirements = [\"Cargo.lock\", \"requirements-prod.txt\"]")
        .file("requirements-prod.txt", "-r py/base.txt\n-c py/constraints.txt\n")
        .file("py/base.txt", "toolz\n")
        .file("py/constraints.txt", "toolz==0.12.1\n");
    let built = project.run(["build"]).succeeds();
    assert_eq!(
        (version_of(&built, "six"), version_of(&built, "toolz")),
        ("1.16.0".to_owned(), "0.12.1".to_owned())
    );
    assert_eq!(
        shell(&built, "command -v uv pip || true"),
        "",
        "what installed them is not in the image"
    );
    assert!(project.read("Union.lock").contains("tools/uv:1"));
    let listed = "dpkg-query -W -f='deb/debian/${Package}@${Version}?arch=${Architecture}\\n'";
    let mut expected: Vec<String> = shell(&built, listed).lines().map(str::to_owned).collect();
    expected.extend(["pypi/six@1.16.0".to_owned(), "pypi/toolz@0.12.1".to_owned()]);
    expected.sort();
    let (base, environment) = packages_of(&project);
    let mut packages = [base.clone(), environment.clone()].concat();
    packages.sort();
    assert_eq!(packages, expected);
    let is_in = |list: &[String], start: &str| list.iter().any(|one| one.starts_with(start));
    assert!(is_in(&base, "deb/debian/libc6@") && !is_in(&base, "pypi/"));
    assert!(is_in(&environment, "deb/debian/python3@") && is_in(&environment, "pypi/six@"));
    project.edit("py/constraints.txt", "0.12.1", "1.0.0");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("requirements py/constraints.txt");
    assert_eq!(
        version_of(&project.run(["build"]).succeeds(), "toolz"),
        "1.0.0"
    );
}

/// Writes a wheel of one module that has a version.
fn write_wheel(project: &Project, version: &str) {
    let script = format!(
        "python3 - <<'END'\n\
         import os, zipfile\n\
         os.makedirs('py/wheels', exist_ok=True)\n\
         info = 'local-1.0.dist-info'\n\
         with zipfile.ZipFile('py/wheels/local-1.0-py3-none-any.whl', 'w') as wheel:\n\
         \x20   wheel.writestr('local.py', '__version__ = \"{version}\"\\n')\n\
         \x20   wheel.writestr(info + '/METADATA', 'Metadata-Version: 2.1\\nName: local\\nVersion: 1.0\\n')\n\
         \x20   wheel.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
         \x20   wheel.writestr(info + '/RECORD', 'local.py,,\\n' + info + '/METADATA,,\\n' + info + '/WHEEL,,\\n' + info + '/RECORD,,\\n')\n\
         END\n"
    );
    project.shell(&script).succeeds();
}

#[test]
fn project_wheel_is_installed_and_part_of_the_key() {
    let python = Python::new();
    let project = python
        .project("requirements = [\"py/requirements.txt\"]")
        .file(
            "py/requirements.txt",
            "./wheels/local-1.0-py3-none-any.whl\n",
        );
    write_wheel(&project, "one");
    let built = project.run(["build"]).succeeds();
    assert_eq!(version_of(&built, "local"), "one");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    write_wheel(&project, "two");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("requirements py/wheels/local-1.0-py3-none-any.whl");
    let built = project.run(["build"]).succeeds();
    assert_eq!(version_of(&built, "local"), "two");
}

#[test]
fn uv_lock_is_installed_with_its_versions() {
    let python = Python::new();
    let project = python.project("requirements = [\"py/uv.lock\"]").file(
        "py/pyproject.toml",
        "[project]\nname = \"locked\"\nversion = \"0.1.0\"\nrequires-python = \">=3.9\"\ndependencies = [\"six>=1\"]\n",
    );
    let made = project.shell(&format!(
        "layer=$(ls -S {0}/blobs/sha256/* | head -1) && mkdir bin && tar -xzf $layer -C bin && cd py && SSL_CERT_FILE={1} ../bin/uv lock --quiet --python $(command -v python3)",
        uv().display(),
        std::env::var("SSL_CERT_FILE").unwrap_or_default(),
    ));
    made.succeeds();
    let locked = project.read("py/uv.lock");
    let version = locked
        .split("name = \"six\"\nversion = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let built = project.run(["build"]).succeeds();
    assert_eq!(version_of(&built, "six"), version);
}

#[test]
fn unknown_python_package_shows_the_message_of_the_installer() {
    let python = Python::new();
    let project = python.project("pip-packages = [\"six==0.0.0.1\"]");
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("six==0.0.0.1")
        .stderr_has("uv pip install");
    assert_eq!(python.setup.tags("team/hello"), [""; 0]);
}
