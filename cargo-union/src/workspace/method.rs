//! With what a package is compiled: the host's cargo, cargo-zigbuild, or cargo in a container.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use union_build::diag::Code;

use super::linker::{Linker, LinkerContext};
use super::{Cargo, CompileSettings, Snapshot};
use crate::image::glibc::Glibc;
use crate::sys::error::{Error, Result};
use crate::sys::process::{Environment, ProcessCommand, ProcessFailure, ProcessOutput};

/// With what a package is compiled, once `auto` has been decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileBackend {
    /// The host's cargo.
    Host,
    /// cargo-zigbuild, for a C library that is at least of this version.
    Zig(Option<Glibc>),
    /// Somewhere else, where things that were compiled before are kept in a folder of this name.
    Container(String),
}

impl CompileBackend {
    /// cargo's word for it.
    pub(super) fn subcommand(&self) -> &'static str {
        if matches!(self, Self::Zig(_)) { "zigbuild" } else { "build" }
    }

    /// The target as the subcommand takes it.
    pub(super) fn target(&self, triple: &str) -> String {
        match self {
            Self::Zig(Some(glibc)) => format!("{triple}.{glibc}"),
            _ => triple.to_owned(),
        }
    }

    /// The folder for what is made, below the target folder; what one method has made is nothing for another.
    pub(super) fn folder(&self, target: &Path) -> Option<PathBuf> {
        match self {
            Self::Host => None,
            Self::Zig(_) => Some(target.join("union/zig")),
            Self::Container(name) => Some(target.join("union/container").join(name)),
        }
    }
}

/// Who takes the lines that cargo writes to its stdout.
pub type LineHandler<'a> = dyn for<'l> FnMut(&'l str) + Send + 'a;

/// Where cargo runs.
#[async_trait]
pub trait CargoRunner: Send + Sync {
    /// Runs cargo in a folder; each line of its stdout goes to `line`, its stderr to the user.
    ///
    /// # Errors
    /// When it cannot be started.
    async fn cargo(&self, call: &CargoInvocation, line: &mut LineHandler<'_>) -> Result<Result<(), ProcessFailure>>;

    /// Runs the compiler by itself in a folder. Whatever it prints is in the error when it fails.
    ///
    /// # Errors
    /// When it cannot be started.
    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>>;

    /// Says a word to a program that was compiled here, which has nothing to read. On the host it sees this
    /// environment and no more; elsewhere it sees what is usual there.
    ///
    /// # Errors
    /// When it cannot be started.
    async fn ask(&self, program: &Path, word: &str, environment: &Environment) -> Result<ProbeOutput>;
}

/// What a program says to a word.
#[derive(Debug)]
pub enum ProbeOutput {
    /// It ended well, and printed this.
    Printed(Vec<u8>),
    /// It failed.
    Failed(ProcessFailure),
    /// It did not end within [`PATIENCE`].
    TooLate,
}

impl ProbeOutput {
    /// Of a program that ended, if it did.
    pub fn of(ended: Option<Result<Vec<u8>, ProcessFailure>>) -> Self {
        match ended {
            Some(Ok(printed)) => Self::Printed(printed),
            Some(Err(failed)) => Self::Failed(failed),
            None => Self::TooLate,
        }
    }
}

/// An answer is printed at once: whoever takes longer does something else.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A call of cargo.
#[derive(Clone, Debug)]
pub struct CargoInvocation {
    /// The program, on the host.
    pub program: OsString,
    /// The folder in which it runs.
    pub folder: PathBuf,
    /// What it sees, on the host.
    pub environment: Environment,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// The host itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

#[async_trait]
impl CargoRunner for Host {
    async fn cargo(&self, call: &CargoInvocation, line: &mut LineHandler<'_>) -> Result<Result<(), ProcessFailure>> {
        let mut command = ProcessCommand::new(&call.program, &call.folder, &call.environment);
        command.args(&call.arguments);
        command.lines(line).await
    }

    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>> {
        let mut command = ProcessCommand::new(&call.program, &call.folder, &call.environment);
        command.args(&call.arguments);
        Ok(command.output().await?.success().map(drop))
    }

    async fn ask(&self, program: &Path, word: &str, environment: &Environment) -> Result<ProbeOutput> {
        let mut command = ProcessCommand::new(program, program.parent().unwrap_or(program), environment);
        command.arg(word);
        let ended = tokio::time::timeout(PATIENCE, command.output()).await.ok().transpose()?;
        Ok(ProbeOutput::of(ended.map(ProcessOutput::success)))
    }
}

impl Snapshot<'_> {
    /// Whether the host's cargo can make a binary for a target: it has the standard library, and can link.
    pub fn can_make(&self, triple: &str, compile: &CompileSettings) -> bool {
        let linker = || self.linker(&self.environment(compile), triple);
        self.toolchain.has_target(triple) && !matches!(linker(), Linker::Missing(_))
    }

    /// Refuses to compile for a target on the host when that has no linker for it.
    ///
    /// # Errors
    /// `TargetMissing`, which says what is missing and what else compiles.
    pub fn check_linker(&self, triple: &str, compile: &CompileSettings) -> Result<()> {
        let Linker::Missing(tried) = self.linker(&self.environment(compile), triple) else { return Ok(()) };
        let tried: Vec<String> = tried.iter().map(|name| format!("`{name}`")).collect();
        let package = debian_package(triple).map(|package| format!(" (on Debian, the package `{package}`)")).unwrap_or_default();
        let what = format!(
            "this machine ({}) has no linker for `{triple}`: cargo's configuration names none, and {} is not on the PATH",
            self.toolchain.host,
            tried.join(" or "),
        );
        Err(Error::new(Code::TargetMissing, what).help(format!(
            "Install the linker{package} or name it as `target.{triple}.linker` in cargo's configuration; or install zig and \
                 cargo-zigbuild; or start Docker or podman, and the crate is compiled in a container."
        )))
    }

    /// The linker for a target on the host, where cargo sees these variables.
    pub(super) fn linker(&self, environment: &Environment, triple: &str) -> Linker {
        let flags = self.config.rustflags(environment, triple, |_| false);
        let is_named = self.config.linker(environment, triple, false).is_some()
            || flags.iter().any(|flag| flag.trim_start_matches("-C").trim_start().starts_with("linker="));
        let variable = |name: &str| environment.get(name).map(str::to_owned);
        let has = |name: &str| environment.find_program(Path::new(name)).is_some();
        Linker::choose(triple, &LinkerContext { host: &self.toolchain.host, is_named, variable: &variable, has: &has })
    }

    /// Whether cargo-zigbuild can make a binary for a target: it links with zig, but needs the standard library.
    pub fn can_make_with_zig(&self, triple: &str) -> bool {
        self.toolchain.has_target(triple) && zigbuild(self.cargo).is_some()
    }

    /// The C library of this machine, which what is linked here will ask for.
    pub async fn host_glibc(&self) -> Option<Glibc> {
        let printed = self.printed(Path::new("getconf"), &["GNU_LIBC_VERSION"]).await?;
        printed.strip_prefix("glibc ")?.parse().ok()
    }

    /// The releases of cargo-zigbuild and of the zig that it takes, which is that of Python before that of the PATH.
    ///
    /// # Errors
    /// `ToolMissing`.
    pub async fn zig(&self) -> Result<String> {
        check_zig(self.cargo)?;
        let program = |variable: &str, name: &str| PathBuf::from(self.cargo.environment.get(variable).unwrap_or(name));
        let python = program("CARGO_ZIGBUILD_PYTHON_PATH", "python3");
        let zig = match self.printed(&python, &["-m", "ziglang", "version"]).await {
            Some(zig) => Some(zig),
            None => self.printed(&program("CARGO_ZIGBUILD_ZIG_PATH", "zig"), &["version"]).await,
        };
        let missing = || Error::new(Code::ToolMissing, "could not ask zig for its version").help(INSTALL_ZIG);
        let zig = zig.filter(|zig| !zig.is_empty()).ok_or_else(missing)?;
        let zigbuild = zigbuild(self.cargo).unwrap_or_else(|| PathBuf::from(ZIGBUILD));
        let own = self.printed(&zigbuild, &["--version"]).await.unwrap_or_default();
        Ok(format!("{zig} {own}"))
    }

    /// What a program prints, when it can be started and ends well.
    async fn printed(&self, program: &Path, arguments: &[&str]) -> Option<String> {
        let mut command = ProcessCommand::new(program, &self.workspace.root, &self.cargo.environment);
        command.args(arguments);
        let printed = command.output().await.ok()?.success().ok()?;
        Some(String::from_utf8_lossy(&printed).trim().to_owned())
    }
}

const ZIGBUILD: &str = "cargo-zigbuild";
const INSTALL_ZIG: &str = "Install it with `cargo install cargo-zigbuild`, and zig with `pip install ziglang`.";

/// The package of Debian that has the C compiler for a target.
fn debian_package(triple: &str) -> Option<&'static str> {
    let known = [
        ("x86_64-unknown-linux-gnu", "gcc-x86-64-linux-gnu"),
        ("aarch64-unknown-linux-gnu", "gcc-aarch64-linux-gnu"),
        ("armv7-unknown-linux-gnueabihf", "gcc-arm-linux-gnueabihf"),
        ("i686-unknown-linux-gnu", "gcc-i686-linux-gnu"),
        ("powerpc64le-unknown-linux-gnu", "gcc-powerpc64le-linux-gnu"),
        ("riscv64gc-unknown-linux-gnu", "gcc-riscv64-linux-gnu"),
        ("s390x-unknown-linux-gnu", "gcc-s390x-linux-gnu"),
    ];
    known.into_iter().find(|(target, _)| *target == triple).map(|(_, package)| package)
}

/// Refuses cargo-zigbuild where it is not installed.
///
/// # Errors
/// `ToolMissing`.
fn check_zig(cargo: &Cargo) -> Result<()> {
    let missing = || Error::new(Code::ToolMissing, "could not find `cargo-zigbuild` on the PATH").help(INSTALL_ZIG);
    zigbuild(cargo).map(drop).ok_or_else(missing)
}

fn zigbuild(cargo: &Cargo) -> Option<PathBuf> {
    let name = Path::new(ZIGBUILD);
    let at_home = || cargo.home().map(|home| home.join("bin").join(name)).filter(|path| path.is_file());
    cargo.environment.find_program(name).or_else(at_home)
}
