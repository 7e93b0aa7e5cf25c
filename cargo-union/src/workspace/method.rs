//! Compile backends: the host's cargo, cargo-zigbuild, or cargo in a container.

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

/// What compiles a package, with `auto` resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileBackend {
    /// The host's cargo.
    Host,
    /// cargo-zigbuild, for a minimum version of glibc.
    Zig(Option<Glibc>),
    /// cargo in a container; the name of the directory for its artifacts, below `target/union/container`.
    Container(String),
}

impl CompileBackend {
    /// The subcommand of cargo that compiles.
    pub(super) fn subcommand(&self) -> &'static str {
        if matches!(self, Self::Zig(_)) {
            "zigbuild"
        } else {
            "build"
        }
    }

    /// The value of `--target` for the subcommand.
    pub(super) fn target(&self, triple: &str) -> String {
        match self {
            Self::Zig(Some(glibc)) => format!("{triple}.{glibc}"),
            _ => triple.to_owned(),
        }
    }

    /// The directory for artifacts, below the target directory; `None` for the target directory itself. Backends cannot
    /// share artifacts.
    pub(super) fn directory(&self, target: &Path) -> Option<PathBuf> {
        match self {
            Self::Host => None,
            Self::Zig(_) => Some(target.join("union/zig")),
            Self::Container(name) => Some(target.join("union/container").join(name)),
        }
    }
}

/// Receives each line of cargo's stdout.
pub type LineHandler<'a> = dyn for<'l> FnMut(&'l str) + Send + 'a;

/// Runs cargo, and programs that it has compiled, on the host or in a container.
#[async_trait]
pub trait CargoRunner: Send + Sync {
    /// Runs cargo. Each line of its stdout goes to `line`, its stderr to the user.
    ///
    /// # Errors
    /// `ToolMissing` when the program cannot be started.
    async fn cargo(
        &self,
        call: &CargoInvocation,
        line: &mut LineHandler<'_>,
    ) -> Result<Result<(), ProcessFailure>>;

    /// Runs rustc. Its output is part of the failure.
    ///
    /// # Errors
    /// `ToolMissing` when the program cannot be started.
    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>>;

    /// Runs a program that was compiled here with the argument `word` and without stdin. On the host it gets only
    /// `environment`, in a container the container's own.
    ///
    /// # Errors
    /// `ToolMissing` when the program cannot be started.
    async fn ask(
        &self,
        program: &Path,
        word: &str,
        environment: &Environment,
    ) -> Result<ProbeOutput>;
}

/// The result of [`CargoRunner::ask`].
#[derive(Debug)]
pub enum ProbeOutput {
    /// It exited with 0; its stdout.
    Printed(Vec<u8>),
    /// It exited with another code, or by a signal.
    Failed(ProcessFailure),
    /// It did not exit within [`PROBE_TIMEOUT`].
    TooLate,
}

impl ProbeOutput {
    /// The result of a program; `None` for one that timed out.
    pub fn of(status: Option<Result<Vec<u8>, ProcessFailure>>) -> Self {
        match status {
            Some(Ok(printed)) => Self::Printed(printed),
            Some(Err(failed)) => Self::Failed(failed),
            None => Self::TooLate,
        }
    }
}

/// Timeout of [`CargoRunner::ask`]. A binary that supports the argument prints its output at once.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A call of cargo.
#[derive(Clone, Debug)]
pub struct CargoInvocation {
    /// The program, as found on the host.
    pub program: OsString,
    /// The working directory.
    pub directory: PathBuf,
    /// The environment variables, on the host.
    pub environment: Environment,
    /// The arguments, starting with the subcommand.
    pub arguments: Vec<OsString>,
}

/// The program that rustc starts to link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkerProgram {
    /// A name on the PATH, or a path.
    pub name: PathBuf,
    /// Whether it was found, on the PATH or among rustc's own tools.
    pub exists: bool,
}

/// Runs cargo on the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

#[async_trait]
impl CargoRunner for Host {
    async fn cargo(
        &self,
        call: &CargoInvocation,
        line: &mut LineHandler<'_>,
    ) -> Result<Result<(), ProcessFailure>> {
        let mut command = ProcessCommand::new(&call.program, &call.directory, &call.environment);
        command.args(&call.arguments);
        command.lines(line).await
    }

    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>> {
        let mut command = ProcessCommand::new(&call.program, &call.directory, &call.environment);
        command.args(&call.arguments);
        Ok(command.output().await?.success().map(drop))
    }

    async fn ask(
        &self,
        program: &Path,
        word: &str,
        environment: &Environment,
    ) -> Result<ProbeOutput> {
        let mut command =
            ProcessCommand::new(program, program.parent().unwrap_or(program), environment);
        command.arg(word);
        let output = tokio::time::timeout(PROBE_TIMEOUT, command.output())
            .await
            .ok()
            .transpose()?;
        Ok(ProbeOutput::of(output.map(ProcessOutput::success)))
    }
}

impl Snapshot<'_> {
    /// Whether the host's cargo can compile for a target: the standard library is installed and a linker is found.
    pub fn can_make(&self, triple: &str, compile: &CompileSettings) -> bool {
        let linker = || self.linker(&self.environment(compile), triple);
        self.toolchain.has_target(triple) && !matches!(linker(), Linker::Missing(_))
    }

    /// Checks that the host has a linker for a target.
    ///
    /// # Errors
    /// `TargetMissing`, with the linkers that were tried and the other ways to compile.
    pub fn check_linker(&self, triple: &str, compile: &CompileSettings) -> Result<()> {
        let Linker::Missing(candidates) = self.linker(&self.environment(compile), triple) else {
            return Ok(());
        };
        let candidates: Vec<String> = candidates.iter().map(|name| format!("`{name}`")).collect();
        let package = debian_package(triple)
            .map(|package| format!(" (on Debian, the package `{package}`)"))
            .unwrap_or_default();
        let error = format!(
            "this machine ({}) has no linker for `{triple}`: cargo's configuration names none, and {} is not on the PATH",
            self.toolchain.host,
            candidates.join(" or "),
        );
        Err(Error::new(Code::TargetMissing, error).help(format!(
            "Install the linker{package} or name it as `target.{triple}.linker` in cargo's configuration; or install zig and \
                 cargo-zigbuild; or start Docker or podman, and the crate is compiled in a container."
        )))
    }

    /// The program that links for a target on the host, for a target that [`check_linker`](Self::check_linker) accepts.
    pub fn linker_program(&self, triple: &str, compile: &CompileSettings) -> LinkerProgram {
        let environment = self.environment(compile);
        let flags = self.config.rustflags(&environment, triple, |_| false);
        let of_flags = flags.iter().rev().find_map(|flag| {
            let option = flag.trim_start_matches("-C").trim_start();
            option.strip_prefix("linker=").map(PathBuf::from)
        });
        let name = match self.linker(&environment, triple) {
            Linker::Cross { program, .. } => PathBuf::from(program),
            Linker::Own | Linker::Missing(_) => of_flags
                .or_else(|| self.config.linker(&environment, triple, false))
                .unwrap_or_else(|| PathBuf::from("cc")),
        };
        let of_rustc = |name: &Path| {
            let tools = self.toolchain.sysroot.join("lib/rustlib");
            tools
                .join(&self.toolchain.host)
                .join("bin")
                .join(name)
                .is_file()
        };
        let exists = environment.find_program(&name).is_some() || of_rustc(&name);
        LinkerProgram { name, exists }
    }

    /// The linker for a target on the host, with cargo in this environment.
    pub(super) fn linker(&self, environment: &Environment, triple: &str) -> Linker {
        let flags = self.config.rustflags(environment, triple, |_| false);
        let is_named = self.config.linker(environment, triple, false).is_some()
            || flags.iter().any(|flag| {
                flag.trim_start_matches("-C")
                    .trim_start()
                    .starts_with("linker=")
            });
        let variable = |name: &str| environment.get(name).map(str::to_owned);
        let has = |name: &str| environment.find_program(Path::new(name)).is_some();
        Linker::choose(
            triple,
            &LinkerContext {
                host: &self.toolchain.host,
                is_named,
                variable: &variable,
                has: &has,
            },
        )
    }

    /// Whether cargo-zigbuild can compile for a target: it links with zig, but requires the standard library.
    pub fn can_make_with_zig(&self, triple: &str) -> bool {
        self.toolchain.has_target(triple) && zigbuild(self.cargo).is_some()
    }

    /// The host's version of glibc, from `getconf`; a binary that is linked here may require it.
    pub async fn host_glibc(&self) -> Option<Glibc> {
        let printed = self
            .stdout_of(Path::new("getconf"), &["GNU_LIBC_VERSION"])
            .await?;
        printed.strip_prefix("glibc ")?.parse().ok()
    }

    /// The versions of cargo-zigbuild and of its zig, which is the Python package `ziglang` before the PATH's.
    ///
    /// # Errors
    /// `ToolMissing`.
    pub async fn zig(&self) -> Result<String> {
        check_zig(self.cargo)?;
        let program = |variable: &str, name: &str| {
            PathBuf::from(self.cargo.environment.get(variable).unwrap_or(name))
        };
        let python = program("CARGO_ZIGBUILD_PYTHON_PATH", "python3");
        let zig = match self.stdout_of(&python, &["-m", "ziglang", "version"]).await {
            Some(zig) => Some(zig),
            None => {
                self.stdout_of(&program("CARGO_ZIGBUILD_ZIG_PATH", "zig"), &["version"])
                    .await
            }
        };
        let missing =
            || Error::new(Code::ToolMissing, "could not get the version of zig").help(INSTALL_ZIG);
        let zig = zig.filter(|zig| !zig.is_empty()).ok_or_else(missing)?;
        let zigbuild = zigbuild(self.cargo).unwrap_or_else(|| PathBuf::from(ZIGBUILD));
        let zigbuild_version = self
            .stdout_of(&zigbuild, &["--version"])
            .await
            .unwrap_or_default();
        Ok(format!("{zig} {zigbuild_version}"))
    }

    /// The trimmed stdout of a program; `None` when it cannot be started or fails.
    async fn stdout_of(&self, program: &Path, arguments: &[&str]) -> Option<String> {
        let mut command =
            ProcessCommand::new(program, &self.workspace.root, &self.cargo.environment);
        command.args(arguments);
        let printed = command.output().await.ok()?.success().ok()?;
        Some(String::from_utf8_lossy(&printed).trim().to_owned())
    }
}

const ZIGBUILD: &str = "cargo-zigbuild";
const INSTALL_ZIG: &str =
    "Install it with `cargo install cargo-zigbuild`, and zig with `pip install ziglang`.";

/// The Debian package with the C cross compiler for a target.
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
    known
        .into_iter()
        .find(|(target, _)| *target == triple)
        .map(|(_, package)| package)
}

/// Checks that cargo-zigbuild is installed.
///
/// # Errors
/// `ToolMissing`.
fn check_zig(cargo: &Cargo) -> Result<()> {
    let missing = || {
        Error::new(
            Code::ToolMissing,
            "could not find `cargo-zigbuild` on the PATH",
        )
        .help(INSTALL_ZIG)
    };
    zigbuild(cargo).map(drop).ok_or_else(missing)
}

fn zigbuild(cargo: &Cargo) -> Option<PathBuf> {
    let name = Path::new(ZIGBUILD);
    let at_home = || {
        cargo
            .home()
            .map(|home| home.join("bin").join(name))
            .filter(|path| path.is_file())
    };
    cargo.environment.find_program(name).or_else(at_home)
}
