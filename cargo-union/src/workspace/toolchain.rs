//! The compiler: which release it is, where it lives, and what it can compile for.
//!
//! Asking it takes as long as a whole run that has nothing to do, so the answer is kept and taken
//! again while everything that chooses a compiler is as it was.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::UNIX_EPOCH;

use cargo_metadata::cargo_platform::{Cfg, Platform};
use serde::{Deserialize, Serialize};
use union_build::diag::Code;
use union_build::key::{Inputs, Value};

use super::Cargo;
use super::config::Config;
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::process::Command;

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
    /// The program that cargo calls, which may be rustup's.
    program: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Note {
    toolchain: Toolchain,
    /// When the compiler behind rustup's program was installed.
    installed: Option<u64>,
}

impl Toolchain {
    /// The compiler that cargo takes in a workspace.
    pub(super) async fn find(cargo: &Cargo, config: &Config, root: &Path, cache: &Cache) -> Result<Self> {
        let environment = &cargo.environment;
        let set = ["RUSTC", "CARGO_BUILD_RUSTC"].into_iter().find_map(|name| environment.get(name)).map(PathBuf::from);
        let named = set.or_else(|| config.program(&["build", "rustc"])).unwrap_or_else(|| PathBuf::from("rustc"));
        let program = environment.find_program(&from_root(root, &named));
        let program = program.ok_or_else(|| Error::new(Code::ToolMissing, format!("could not find `{}` on the PATH", named.display())))?;
        let name = chosen_by(cargo, root, &program).key("rustc").to_string();
        if let Some(note) = cache.note::<Note>("rustc", &name)
            && note.installed == modified(&note.toolchain.compiler())
        {
            return Ok(note.toolchain);
        }
        let toolchain = ask(cargo, root, program).await?;
        let installed = modified(&toolchain.compiler());
        // An answer that cannot be kept is asked for again; that is no reason to stop.
        let _ = cache.put_note("rustc", &name, &Note { toolchain: toolchain.clone(), installed });
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
        let mut command = Command::new(&self.program, root, &cargo.environment);
        command.args(["--print", "cfg", "--target", triple]);
        let printed = text(command).await?;
        let known: Vec<Cfg> = printed.lines().filter_map(|line| line.parse().ok()).collect();
        let triple = triple.to_owned();
        Ok(move |name: &str| Platform::from_str(name).is_ok_and(|platform| platform.matches(&triple, &known)))
    }

    /// A toolchain of a release that does not exist, in a folder.
    #[cfg(test)]
    pub(super) fn for_test(sysroot: &Path) -> Self {
        let word = |text: &str| text.to_owned();
        let (release, commit, llvm, host) = (word("1.0.0"), word("c0ffee"), word("1.0"), word("x86_64-unknown-linux-gnu"));
        Self { release, commit, llvm, host, sysroot: sysroot.to_owned(), program: PathBuf::from("rustc") }
    }

    fn compiler(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }
}

/// Everything that chooses a compiler, without asking it.
fn chosen_by(cargo: &Cargo, root: &Path, program: &Path) -> Inputs {
    let get = |name| cargo.environment.get(name);
    let rustup = get("RUSTUP_HOME").map(PathBuf::from).or_else(|| Some(Path::new(get("HOME")?).join(".rustup")));
    let stamp = |path: &Path| Value::from(modified(path).map(|time| time.to_string()).unwrap_or_default());
    let mut inputs = Inputs::new();
    inputs.insert("program", program.to_string_lossy().into_owned());
    inputs.insert("installed", stamp(program));
    inputs.insert("RUSTUP_TOOLCHAIN", get("RUSTUP_TOOLCHAIN").unwrap_or_default());
    inputs.insert("settings", rustup.map_or(Value::from(""), |folder| stamp(&folder.join("settings.toml"))));
    inputs.insert("rustup", get("RUSTUP_HOME").unwrap_or_default());
    for (depth, folder) in root.ancestors().enumerate() {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = std::fs::read(folder.join(name)) {
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
        let mut command = Command::new(&program, root, &cargo.environment);
        command.args(args);
        text(command)
    };
    let (verbose, sysroot) = tokio::try_join!(run(&["-vV"]), run(&["--print", "sysroot"]))?;
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
        program: program.clone(),
    })
}

async fn text(command: Command) -> Result<String> {
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

fn modified(path: &Path) -> Option<u64> {
    let since = std::fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}
