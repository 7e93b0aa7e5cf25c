//! The compiler: which release it is, where it lives, and what it can compile for.
//!
//! Asking it takes as long as a whole run that has nothing to do, so the answer is kept and taken
//! again while everything that chooses a compiler is as it was.

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

/// A compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// `1.95.0`.
    pub release: String,
    /// The commit it was made from.
    pub commit: String,
    /// Its LLVM.
    pub llvm: String,
    /// The triple it runs on; no input of any key.
    pub host: String,
    /// Its folder.
    pub sysroot: PathBuf,
    /// Whether paths in its messages can stay while those in what it makes are replaced.
    pub(super) remaps_by_scope: bool,
    /// The program that cargo calls, which may be rustup's.
    program: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct ToolchainNote {
    toolchain: Toolchain,
    /// What the files of the compiler behind rustup's program were.
    installed: Vec<String>,
}

impl Toolchain {
    /// The compiler that cargo takes in a workspace.
    pub(super) async fn find(cargo: &Cargo, config: &CargoConfig, root: &Path, cache: &Cache) -> Result<Self> {
        let environment = &cargo.environment;
        let set = ["RUSTC", "CARGO_BUILD_RUSTC"].into_iter().find_map(|name| environment.get(name)).map(PathBuf::from);
        let named = set.or_else(|| config.program(&["build", "rustc"])).unwrap_or_else(|| PathBuf::from("rustc"));
        let program = environment.find_program(&from_root(root, &named));
        let program = program.ok_or_else(|| Error::new(Code::ToolMissing, format!("could not find `{}` on the PATH", named.display())))?;
        if is_script(&program) {
            // What a script starts, it alone knows.
            return ask(cargo, root, program).await;
        }
        let name = chosen_by(cargo, root, &program).key("rustc").to_string();
        if let Some(note) = cache.note::<ToolchainNote>("rustc", &name)
            && note.installed == note.toolchain.installed()
        {
            return Ok(note.toolchain);
        }
        let toolchain = ask(cargo, root, program).await?;
        let installed = toolchain.installed();
        // An answer that cannot be kept is asked for again; that is no reason to stop.
        let _ = cache.put_note("rustc", &name, &ToolchainNote { toolchain: toolchain.clone(), installed });
        Ok(toolchain)
    }

    /// Whether the standard library for a target is installed.
    pub fn has_target(&self, triple: &str) -> bool {
        self.sysroot.join("lib/rustlib").join(triple).join("lib").is_dir()
    }

    /// What of it feeds a key.
    pub(super) fn value(&self) -> Value {
        Value::from(format!("{} {} LLVM {}", self.release, self.commit, self.llvm))
    }

    /// Which `cfg(…)` tables of cargo's configuration apply to a target.
    pub(super) async fn cfg(&self, cargo: &Cargo, root: &Path, triple: &str) -> Result<impl Fn(&str) -> bool> {
        let mut command = ProcessCommand::new(&self.program, root, &cargo.environment);
        command.args(["--print", "cfg", "--target", triple]);
        let printed = text(command).await?;
        let known: Vec<Cfg> = printed.lines().filter_map(|line| line.parse().ok()).collect();
        let triple = triple.to_owned();
        Ok(move |name: &str| Platform::from_str(name).is_ok_and(|platform| platform.matches(&triple, &known)))
    }

    /// This machine's processor: its name, and what it can do.
    pub(super) async fn processor(&self, cargo: &Cargo, root: &Path, triple: &str) -> Result<String> {
        let run = |args: &[&str]| {
            let mut command = ProcessCommand::new(&self.program, root, &cargo.environment);
            command.args(args).args(["--target", triple]);
            text(command)
        };
        let (cfg, names) = tokio::try_join!(run(&["--print", "cfg", "-Ctarget-cpu=native"]), run(&["--print", "target-cpus"]))?;
        let features = cfg.lines().filter(|line| line.starts_with("target_feature"));
        let name = names.lines().map(str::trim).find(|line| line.starts_with("native"));
        Ok(name.into_iter().chain(features).collect::<Vec<_>>().join("\n"))
    }

    /// A toolchain of a release that does not exist, in a folder.
    #[cfg(test)]
    pub(super) fn for_test(sysroot: &Path) -> Self {
        let word = |text: &str| text.to_owned();
        let (release, commit, llvm, host) = (word("1.0.0"), word("c0ffee"), word("1.0"), word("x86_64-unknown-linux-gnu"));
        let program = PathBuf::from("rustc");
        Self { release, commit, llvm, host, sysroot: sysroot.to_owned(), remaps_by_scope: false, program }
    }

    /// What its files are now. A compiler that is built again on this machine has a new driver beside the same program.
    fn installed(&self) -> Vec<String> {
        let library = self.sysroot.join("lib");
        let is_driver = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("librustc_driver"));
        let mut files: Vec<PathBuf> = entries(&library).into_iter().filter(is_driver).collect();
        files.push(self.sysroot.join("bin/rustc"));
        files.iter().map(|path| stamp(path)).collect()
    }
}

/// Everything that chooses a compiler, without asking it.
fn chosen_by(cargo: &Cargo, root: &Path, program: &Path) -> Inputs {
    let get = |name| cargo.environment.get(name);
    let rustup = get("RUSTUP_HOME").map(PathBuf::from).or_else(|| Some(Path::new(get("HOME")?).join(".rustup")));
    let mut inputs = Inputs::new();
    inputs.insert("program", program.to_string_lossy().into_owned());
    inputs.insert("installed", stamp(program));
    inputs.insert("RUSTUP_TOOLCHAIN", get("RUSTUP_TOOLCHAIN").unwrap_or_default());
    inputs.insert("settings", rustup.as_ref().map(|folder| stamp(&folder.join("settings.toml"))).unwrap_or_default());
    inputs.insert("rustup", get("RUSTUP_HOME").unwrap_or_default());
    // A toolchain's name may be a link, which `rustup toolchain link` turns elsewhere.
    let linked = rustup.map(|folder| entries(&folder.join("toolchains"))).unwrap_or_default().into_iter();
    let linked = linked.filter_map(|path| Some(format!("{} {}", path.display(), path.read_link().ok()?.display())));
    inputs.insert("linked", Value::texts(linked));
    for (depth, folder) in root.ancestors().enumerate() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = std::fs::read(folder.join(name)) {
                let named = String::from_utf8_lossy(&text).parse::<Table>().ok();
                let named = named.as_ref().and_then(|table| table.get("toolchain")?.get("path")?.as_str());
                let named = named.and_then(|path| folder.join(path).canonicalize().ok());
                inputs.insert(format!("{name} path {depth}"), named.map(|path| path.display().to_string()).unwrap_or_default());
                inputs.insert(format!("{name} {depth}"), Value::hash_of(text));
            }
        }
    }
    // rustup's overrides are by folder.
    inputs.insert("folder", root.to_string_lossy().into_owned());
    inputs
}

async fn ask(cargo: &Cargo, root: &Path, program: PathBuf) -> Result<Toolchain> {
    let run = |args: &[&str]| {
        let mut command = ProcessCommand::new(&program, root, &cargo.environment);
        command.args(args);
        text(command)
    };
    let (verbose, sysroot, help) = tokio::try_join!(run(&["-vV"]), run(&["--print", "sysroot"]), run(&["--help", "-v"]))?;
    let field = |name: &str| {
        let line = verbose.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned).ok_or_else(|| Error::new(Code::ToolMissing, format!("`{} -vV` did not say its {name}", program.display())))
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

async fn text(command: ProcessCommand) -> Result<String> {
    let stdout = command
        .output()
        .await?
        .success()
        .map_err(|failed| Error::new(Code::ToolMissing, "could not ask the compiler about itself").because(failed))?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// A program that is named by a path is looked for from the folder in which cargo runs.
fn from_root(root: &Path, program: &Path) -> PathBuf {
    if program.components().count() > 1 { fs::absolute(root, program) } else { program.to_owned() }
}

/// Whether a program is text for another one.
fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    entries
}

/// What differs when a file is another one than it was.
fn stamp(path: &Path) -> String {
    let Ok(file) = std::fs::metadata(path) else { return String::new() };
    let modified = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{} {} {}", file.len(), modified.as_nanos(), place(&file))
}

#[cfg(unix)]
fn place(file: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!("{} {} {} {}", file.dev(), file.ino(), file.ctime(), file.ctime_nsec())
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> String {
    String::new()
}
