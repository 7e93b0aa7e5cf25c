//! A user's project in a temporary directory, whose environment has only the toolchain of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cargo_union::sys::cache::Cache;
use cargo_union::sys::error::Result;
use cargo_union::sys::process::Environment;
use cargo_union::workspace::coverage::CoverageFindings;
use cargo_union::workspace::{
    Cargo, CargoJob, CodeInputOptions, CodeInputs, CompileBackend, CompileMode, CompileSettings,
    CompiledUnits, Host, JobMember, LearnedPackages, Linkage, Reporter, Snapshot, Workspace,
    check_unchanged, compile,
};
use tempfile::TempDir;
use union_build::diag::Origin;
use union_build::spec::{Pattern, Sourced};

/// The target of this machine.
pub(crate) fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

pub(crate) struct Project {
    directory: TempDir,
    root: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) cargo_program: Option<PathBuf>,
    pub(crate) locked: bool,
    pub(crate) settings: CodeInputOptions,
    /// Binaries of another image of the package.
    pub(crate) compiled_too: BTreeSet<String>,
    pub(crate) notes: RecordedNotes,
    /// The inputs that compiles have reported.
    pub(crate) learned: Mutex<LearnedPackages>,
}

#[derive(Default)]
pub(crate) struct RecordedNotes(Mutex<Vec<String>>);

impl Reporter for RecordedNotes {
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

impl RecordedNotes {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Project {
    /// Files by their path below the workspace's root.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::at("ws", files)
    }

    /// The same, in a directory of another name.
    pub(crate) fn at(name: &str, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap().join(name);
        let mut environment: Environment = ["PATH", "RUSTUP_TOOLCHAIN"]
            .into_iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
        let rustup = rustup
            .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".rustup")))
            .unwrap();
        environment.set("RUSTUP_HOME", rustup);
        environment.set("HOME", directory.path().join("home"));
        let compile = CompileSettings {
            profile: "release".to_owned(),
            features: [].into(),
            default_features: true,
            linkage: Linkage::Dynamic,
            env: BTreeMap::new(),
            compile_mode: CompileMode::Host,
            rust_image: None,
            apt_packages: Vec::new(),
        };
        let settings = CodeInputOptions {
            compile,
            targets: vec![triple()],
            binaries: ["app".to_owned()].into(),
            inputs: Vec::new(),
            exclude: Vec::new(),
            toolchains: Vec::new(),
            compile_modes: vec![CompileMode::Host],
            tools: BTreeMap::new(),
        };
        let project = Self {
            directory,
            root,
            environment,
            cargo_program: None,
            locked: false,
            settings,
            compiled_too: BTreeSet::new(),
            notes: RecordedNotes::default(),
            learned: Mutex::default(),
        };
        files
            .iter()
            .for_each(|(path, text)| project.write(path, text));
        project
    }

    /// One package `app` with one binary.
    pub(crate) fn app(main: &str) -> Self {
        Self::new(&[("Cargo.toml", &manifest("app", "")), ("src/main.rs", main)])
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replacen(from, to, 1));
    }

    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.directory.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn pattern(&self, directory: &str, glob: &str) -> Pattern {
        Pattern {
            glob: Sourced {
                value: glob.to_owned(),
                origin: Origin::Default,
            },
            directory: self.path(directory),
        }
    }

    pub(crate) fn cargo(&self) -> Cargo {
        let mut cargo = Cargo::new(&self.root, self.environment.clone());
        cargo.offline = true;
        cargo.verbosity = -1;
        cargo.locked = self.locked;
        if let Some(program) = &self.cargo_program {
            cargo.program = program.into();
        }
        cargo
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.directory.path().join("cache"))
    }

    /// The inputs of `app`.
    pub(crate) async fn inputs(&self) -> Result<CodeInputs> {
        let (cargo, cache) = (self.cargo(), self.cache());
        let workspace = Workspace::load(&cargo, None).await?;
        let snapshot = Snapshot::take(&cargo, &workspace, &cache, &self.notes).await?;
        snapshot.inputs(
            workspace.package("app").unwrap(),
            &self.settings,
            &self.learned.lock().unwrap().clone(),
        )
    }

    /// Inputs by name, as a plan shows them.
    pub(crate) async fn named_inputs(&self) -> BTreeMap<String, String> {
        let found = self.inputs().await.unwrap();
        found
            .inputs
            .iter()
            .map(|(name, value)| (name.to_owned(), format!("{value:?}")))
            .collect()
    }

    /// This machine's processor, when the flags of `app` choose it.
    pub(crate) async fn processor(&self) -> Option<String> {
        let (cargo, cache) = (self.cargo(), self.cache());
        let workspace = Workspace::load(&cargo, None).await.unwrap();
        let snapshot = Snapshot::take(&cargo, &workspace, &cache, &self.notes)
            .await
            .unwrap();
        snapshot
            .processor(&self.settings.compile, &self.settings.targets)
            .await
            .unwrap()
    }

    /// The releases of zig and of cargo-zigbuild.
    pub(crate) async fn zig(&self) -> Result<String> {
        let (cargo, cache) = (self.cargo(), self.cache());
        let workspace = Workspace::load(&cargo, None).await?;
        Snapshot::take(&cargo, &workspace, &cache, &self.notes)
            .await?
            .zig()
            .await
    }

    /// Compiles `app` until nothing more is learned, as a build does.
    pub(crate) async fn build(&self) -> Result<(CompiledUnits, CoverageFindings)> {
        let (cargo, cache) = (self.cargo(), self.cache());
        let workspace = Workspace::load(&cargo, None).await?;
        let package = workspace.package("app").unwrap();
        let snapshot = Snapshot::take(&cargo, &workspace, &cache, &self.notes).await?;
        loop {
            let known = self.learned.lock().unwrap().clone();
            let before = snapshot.inputs(package, &self.settings, &known)?;
            let job = CargoJob {
                members: vec![JobMember {
                    package,
                    binaries: self
                        .settings
                        .binaries
                        .union(&self.compiled_too)
                        .cloned()
                        .collect(),
                    inputs: vec![&before],
                }],
                target: &self.settings.targets[0],
                settings: &self.settings.compile,
                method: &CompileBackend::Host,
                source_date_epoch: 0,
                declared: &self.settings.inputs,
            };
            let (compiled, found) = compile(&snapshot, &job, &Host, &self.notes).await?;
            let [findings] = found.try_into().unwrap();
            match findings.extend_learned(&known, Some("app")) {
                Some((all, _)) => *self.learned.lock().unwrap() = all,
                None => {
                    check_unchanged(&before.inputs, &self.inputs().await?.inputs)?;
                    return Ok((compiled, findings));
                }
            }
        }
    }

    /// The learned inputs of a package, as JSON.
    pub(crate) fn learned(&self, package: &str) -> String {
        let learned = self
            .learned
            .lock()
            .unwrap()
            .get(package)
            .cloned()
            .unwrap_or_default();
        serde_json::to_string(&learned).unwrap()
    }

    /// An executable of `app`.
    pub(crate) async fn executable(&self, compiled: &CompiledUnits, name: &str) -> PathBuf {
        let workspace = Workspace::load(&self.cargo(), None).await.unwrap();
        compiled.executables(workspace.package("app").unwrap())[name].clone()
    }

    /// What the build script of `app` generated from the references.
    pub(crate) async fn generated_file(&self) -> Option<PathBuf> {
        let workspace = Workspace::load(&self.cargo(), None).await.unwrap();
        self.build()
            .await
            .unwrap()
            .0
            .generated_file(workspace.package("app").unwrap())
    }

    /// What the compiled `app` prints.
    pub(crate) async fn run(&self) -> String {
        let (compiled, _) = self.build().await.unwrap();
        let output = std::process::Command::new(self.executable(&compiled, "app").await)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A manifest of a package with no dependencies, and more lines.
pub(crate) fn manifest(name: &str, more: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}")
}

/// Whether an executable has a `PT_INTERP` program header.
pub(crate) fn has_interpreter(executable: &[u8]) -> bool {
    const PT_INTERP: u16 = 3;
    let number = |at: usize| u16::from_le_bytes([executable[at], executable[at + 1]]);
    // 64 bits, little-endian: offset, size and number of the program headers.
    let (begin, length, count) = (number(32), number(54), number(56));
    (0..count).any(|index| number(usize::from(begin + index * length)) == PT_INTERP)
}
