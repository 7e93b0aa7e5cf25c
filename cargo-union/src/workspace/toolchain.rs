//! The Rust toolchain: its release, its sysroot, and its installed targets.
//!
//! Running `rustc` takes as long as a complete run that finds everything up to date. Its output is therefore cached
//! until something changes that selects a toolchain.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::UNIX_EPOCH;

use cargo_metadata::cargo_platform::{Cfg, Platform};
use serde::{Deserialize, Serialize};
use toml::Table;
use union_build::diag::Code;
use union_build::key::{Inputs, Value};

use super::Cargo;
use super::config::CargoConfig;
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::ProcessCommand;

/// A Rust toolchain, as `rustc -vV` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// The release, such as `1.95.0`.
    pub release: String,
    /// The commit hash of the compiler.
    pub commit: String,
    /// The LLVM version.
    pub llvm: String,
    /// The host triple; not an input of any key.
    pub host: String,
    /// The sysroot, as `rustc --print sysroot` prints it.
    pub sysroot: PathBuf,
    /// Whether it has `--remap-path-scope`, which leaves the paths in diagnostics alone.
    pub(super) remaps_by_scope: bool,
    /// The program that cargo runs, which may be rustup's proxy.
    program: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct ToolchainNote {
    toolchain: Toolchain,
    /// Stamps of the compiler's files, since the program may be rustup's proxy.
    installed: Vec<String>,
}

impl Toolchain {
    /// Finds the toolchain that cargo uses in a workspace.
    pub(super) async fn find(
        cargo: &Cargo,
        config: &CargoConfig,
        root: &Path,
        cache: &Cache,
    ) -> Result<Self> {
        let environment = &cargo.environment;
        let from_environment = ["RUSTC", "CARGO_BUILD_RUSTC"]
            .into_iter()
            .find_map(|name| environment.get(name))
            .map(PathBuf::from);
        let rustc = from_environment
            .or_else(|| config.program(&["build", "rustc"]))
            .unwrap_or_else(|| PathBuf::from("rustc"));
        let program = environment.find_program(&resolve_program(root, &rustc));
        let program = program.ok_or_else(|| {
            Error::new(
                Code::ToolMissing,
                format!("could not find `{}` on the PATH", rustc.display()),
            )
        })?;
        if is_script(&program) {
            // It cannot be determined which compiler a script starts, so the output is not cached.
            return query_rustc(cargo, root, program).await;
        }
        let name = selection_inputs(cargo, root, &program)
            .key("rustc")
            .to_string();
        if let Some(note) = cache.note::<ToolchainNote>("rustc", &name)
            && note.installed == note.toolchain.installed()
        {
            return Ok(note.toolchain);
        }
        let toolchain = query_rustc(cargo, root, program).await?;
        let installed = toolchain.installed();
        // If the output cannot be cached, the next run asks rustc again.
        let _ = cache.put_note(
            "rustc",
            &name,
            &ToolchainNote {
                toolchain: toolchain.clone(),
                installed,
            },
        );
        Ok(toolchain)
    }

    /// Finds the toolchain that cargo uses in a directory.
    ///
    /// # Errors
    /// `ToolMissing`; `WorkspaceInvalid` and `FileUnreadable` for cargo's configuration.
    pub async fn of_directory(cargo: &Cargo, directory: &Path, cache: &Cache) -> Result<Self> {
        let config = CargoConfig::load(cargo, directory)?;
        Self::find(cargo, &config, directory, cache).await
    }

    /// Whether the standard library for a target is installed.
    pub fn has_target(&self, triple: &str) -> bool {
        self.sysroot
            .join("lib/rustlib")
            .join(triple)
            .join("lib")
            .is_dir()
    }

    /// The path of rustc itself, not of rustup's proxy, which selects a toolchain by its working directory.
    pub(super) fn rustc(&self) -> PathBuf {
        let rustc = self
            .sysroot
            .join("bin")
            .join(format!("rustc{}", std::env::consts::EXE_SUFFIX));
        if rustc.is_file() {
            rustc
        } else {
            self.program.clone()
        }
    }

    /// What identifies the compiler in keys: its release, its commit and its LLVM.
    pub fn identity(&self) -> String {
        format!("{} {} LLVM {}", self.release, self.commit, self.llvm)
    }

    /// A predicate for the `cfg(…)` tables of cargo's configuration that apply to a target.
    pub(super) async fn cfg(
        &self,
        cargo: &Cargo,
        root: &Path,
        triple: &str,
    ) -> Result<impl Fn(&str) -> bool> {
        let mut command = ProcessCommand::new(&self.program, root, &cargo.environment);
        command.args(["--print", "cfg", "--target", triple]);
        let printed = run_for_text(command).await?;
        let known: Vec<Cfg> = printed
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        let triple = triple.to_owned();
        Ok(move |name: &str| {
            Platform::from_str(name).is_ok_and(|platform| platform.matches(&triple, &known))
        })
    }

    /// The host's processor as `target-cpu=native` resolves it: its name and features, one a line.
    pub(super) async fn processor(
        &self,
        cargo: &Cargo,
        root: &Path,
        triple: &str,
    ) -> Result<String> {
        let run = |args: &[&str]| {
            let mut command = ProcessCommand::new(&self.program, root, &cargo.environment);
            command.args(args).args(["--target", triple]);
            run_for_text(command)
        };
        let (cfg, names) = tokio::try_join!(
            run(&["--print", "cfg", "-Ctarget-cpu=native"]),
            run(&["--print", "target-cpus"])
        )?;
        let features = cfg
            .lines()
            .filter(|line| line.starts_with("target_feature"));
        let name = names
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("native"));
        Ok(name
            .into_iter()
            .chain(features)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// A made-up toolchain with a given sysroot.
    #[cfg(test)]
    pub(super) fn for_test(sysroot: &Path) -> Self {
        Self {
            release: "1.0.0".to_owned(),
            commit: "c0ffee".to_owned(),
            llvm: "1.0".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            sysroot: sysroot.to_owned(),
            remaps_by_scope: false,
            program: PathBuf::from("rustc"),
        }
    }

    /// Stamps of its files as they are now. A compiler that was rebuilt on this machine has a new driver library.
    fn installed(&self) -> Vec<String> {
        let library = self.sysroot.join("lib");
        let is_driver = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("librustc_driver"))
        };
        let mut files: Vec<PathBuf> = list_entries(&library)
            .into_iter()
            .filter(is_driver)
            .collect();
        files.push(self.sysroot.join("bin/rustc"));
        files.iter().map(|path| file_stamp(path)).collect()
    }
}

/// Everything that selects a toolchain, without running it.
fn selection_inputs(cargo: &Cargo, root: &Path, program: &Path) -> Inputs {
    let get = |name| cargo.environment.get(name);
    let rustup = get("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(get("HOME")?).join(".rustup")));
    let mut inputs = Inputs::new();
    inputs.insert("program", program.to_string_lossy().into_owned());
    inputs.insert("installed", file_stamp(program));
    inputs.insert(
        "RUSTUP_TOOLCHAIN",
        get("RUSTUP_TOOLCHAIN").unwrap_or_default(),
    );
    inputs.insert(
        "settings",
        rustup
            .as_ref()
            .map(|directory| file_stamp(&directory.join("settings.toml")))
            .unwrap_or_default(),
    );
    inputs.insert("rustup", get("RUSTUP_HOME").unwrap_or_default());
    // A toolchain may be a symbolic link, which `rustup toolchain link` can change.
    let linked = rustup
        .map(|directory| list_entries(&directory.join("toolchains")))
        .unwrap_or_default()
        .into_iter();
    let linked = linked.filter_map(|path| {
        Some(format!(
            "{} {}",
            path.display(),
            path.read_link().ok()?.display()
        ))
    });
    inputs.insert("linked", Value::texts(linked));
    for (depth, directory) in root.ancestors().enumerate() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = std::fs::read(directory.join(name)) {
                let table = String::from_utf8_lossy(&text).parse::<Table>().ok();
                let path = table
                    .as_ref()
                    .and_then(|table| table.get("toolchain")?.get("path")?.as_str());
                let path = path.and_then(|path| directory.join(path).canonicalize().ok());
                inputs.insert(
                    format!("{name} path {depth}"),
                    path.map(|path| path.display().to_string())
                        .unwrap_or_default(),
                );
                inputs.insert(format!("{name} {depth}"), Value::hash_of(text));
            }
        }
    }
    // rustup's overrides are per directory.
    inputs.insert("folder", root.to_string_lossy().into_owned());
    inputs
}

async fn query_rustc(cargo: &Cargo, root: &Path, program: PathBuf) -> Result<Toolchain> {
    let run = |args: &[&str]| {
        let mut command = ProcessCommand::new(&program, root, &cargo.environment);
        command.args(args);
        run_for_text(command)
    };
    let (verbose, sysroot, help) = tokio::try_join!(
        run(&["-vV"]),
        run(&["--print", "sysroot"]),
        run(&["--help", "-v"])
    )?;
    let field = |name: &str| {
        let line = verbose
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned).ok_or_else(|| {
            Error::new(
                Code::ToolMissing,
                format!("`{} -vV` did not print `{name}`", program.display()),
            )
        })
    };
    Ok(Toolchain {
        release: field("release")?,
        commit: field("commit-hash")?,
        llvm: field("LLVM version")?,
        host: field("host")?,
        sysroot: PathBuf::from(sysroot.trim()),
        remaps_by_scope: help.contains("--remap-path-scope"),
        program: program.clone(),
    })
}

async fn run_for_text(command: ProcessCommand) -> Result<String> {
    let stdout = command.output().await?.success().map_err(|failed| {
        Error::new(
            Code::ToolMissing,
            "could not get the version of the compiler",
        )
        .because(failed)
    })?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Resolves a program that is given as a path from the directory in which cargo runs.
fn resolve_program(root: &Path, program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        fs::absolute(root, program)
    } else {
        program.to_owned()
    }
}

/// Whether a program is a script, which starts with `#!`.
fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && start == *b"#!"
}

fn list_entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = directory
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries
}

/// A text that changes when the file is replaced or modified; empty when it does not exist.
fn file_stamp(path: &Path) -> String {
    let Ok(file) = std::fs::metadata(path) else {
        return String::new();
    };
    let modified = file
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    format!("{} {} {}", file.len(), modified.as_nanos(), inode(&file))
}

#[cfg(unix)]
fn inode(file: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!(
        "{} {} {} {}",
        file.dev(),
        file.ino(),
        file.ctime(),
        file.ctime_nsec()
    )
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> String {
    String::new()
}
