//! Packages on disk and the cargo that builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use union_build::handover::{self, Reference, References};

/// A package with a build script, in a directory of its own.
pub(crate) struct Project {
    directory: PathBuf,
}

impl Project {
    /// A package `app` whose build script and program are given; `union` stands below
    /// `[package.metadata.union]`.
    pub(crate) fn new(directory: &Path, union: &str, script: &str, program: &str) -> Self {
        let manifest = format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
             [build-dependencies]\nunion-build = {{ path = {:?} }}\n\n\
             [profile.dev]\ndebug = false\nincremental = false\n\n[package.metadata.union]\n{union}\n",
            env!("CARGO_MANIFEST_DIR")
        );
        let project = Self {
            directory: directory.canonicalize().unwrap(),
        };
        project.write("Cargo.toml", &manifest);
        project.write("build.rs", script);
        project.write("src/main.rs", program);
        // The versions that this workspace was tested with, and that are there without a network.
        fs::copy(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"),
            project.directory.join("Cargo.lock"),
        )
        .unwrap();
        project
    }

    /// A package with the usual build script, whose program prints what was generated.
    pub(crate) fn printing(directory: &Path, union: &str) -> Self {
        let program = "mod images { include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\")); }\n\
                       fn main() {\n    for image in images::ALL {\n        let reference = image.reference().map(|reference| reference.to_string());\n        \
                       println!(\"{} {} {}\", image.name, reference.unwrap_or_else(|| \"unresolved\".to_owned()), image.is_current());\n    }\n}\n";
        Self::new(
            directory,
            union,
            "fn main() { union_build::emit(); }\n",
            program,
        )
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.join(path)).unwrap()
    }

    /// Runs cargo in the package's directory, as a user who has set nothing would.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Run {
        let mut command = clean_cargo();
        command
            .args(arguments)
            .args(["--offline", "--message-format", "json"])
            .current_dir(&self.directory);
        Run::of(command.output().unwrap())
    }

    /// Runs cargo, which must succeed.
    pub(crate) fn builds(&self, arguments: &[&str]) -> Run {
        let run = self.cargo(arguments);
        assert!(run.success, "cargo {arguments:?} failed:\n{}", run.talk);
        run
    }

    /// Where the hand-over file is when cargo has this target directory.
    pub(crate) fn handover(&self, target: &Path) -> PathBuf {
        handover::path(target, "app", &self.directory)
    }

    /// Resolves one image, as `cargo union` does before it compiles.
    pub(crate) fn resolve(&self, target: &Path, key: &str, tag: &str) {
        let image = Reference {
            key: key.to_owned(),
            name: format!("resolved-{key}"),
            repository: Some(format!("ghcr.io/acme/{key}")),
            tag: Some(tag.to_owned()),
            id: Some(format!("id-{tag}")),
        };
        let references = References {
            package: "app".to_owned(),
            images: vec![image],
            tasks: [("app".to_owned(), key.to_owned())].into(),
        };
        let path = self.handover(target);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, references.to_json()).unwrap();
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.directory.join("target")
    }
}

/// What a run of cargo has done.
pub(crate) struct Run {
    pub(crate) success: bool,
    /// Everything that is for people.
    pub(crate) talk: String,
    artifacts: Vec<Value>,
}

impl Run {
    fn of(output: Output) -> Self {
        let lines = String::from_utf8(output.stdout).unwrap();
        let messages = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Self {
            success: output.status.success(),
            talk: String::from_utf8(output.stderr).unwrap(),
            artifacts: messages
                .filter(|message| message["reason"] == "compiler-artifact")
                .collect(),
        }
    }

    /// The names of the targets that were compiled; a build script is called `build-script-build`.
    pub(crate) fn compiled(&self) -> Vec<&str> {
        self.artifacts
            .iter()
            .filter(|artifact| artifact["fresh"] == false)
            .map(|artifact| artifact["target"]["name"].as_str().unwrap())
            .collect()
    }

    /// What the built program prints.
    pub(crate) fn prints(&self, image_id: &str) -> String {
        let executable = self
            .artifacts
            .iter()
            .find_map(|artifact| artifact["executable"].as_str())
            .unwrap();
        let output = Command::new(executable)
            .env("UNION_IMAGE_ID", image_id)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The cargo that runs the tests, without the variables that it sets.
pub(crate) fn clean_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap());
    let told = |name: &str| {
        name.starts_with("CARGO_") && name != "CARGO_HOME"
            || name.starts_with("UNION_")
            || name == "OUT_DIR"
    };
    std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(told))
        .for_each(|(name, _)| {
            command.env_remove(name);
        });
    command
}
