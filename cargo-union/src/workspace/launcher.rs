//! The launcher, the program that starts the programs of tasks: its sources, and their compile by rustc alone.
//!
//! It needs only `core` for the target and the linker of the toolchain. One compile takes half a second; its result is
//! cached and used for all packages.

use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use union_build::diag::Code;
use union_build::key::{Inputs, Value};

use super::{Cargo, CargoInvocation, CargoRunner, Toolchain};
use crate::image::platform::Platform;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::ProcessFailure;

macro_rules! sources {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../launcher/", $name)))),*]
    };
}

/// The source files, by name.
pub const SOURCES: [(&str, &str); 17] = sources! {
    "aarch64.rs"
    "arguments.rs"
    "directory.rs"
    "launcher.ld"
    "main.rs"
    "memory.rs"
    "message.rs"
    "nearest.rs"
    "output_type.rs"
    "outputs.rs"
    "path.rs"
    "program.rs"
    "signal.rs"
    "supervisor.rs"
    "system.rs"
    "words.rs"
    "x86_64.rs"
};

/// A static executable at fixed addresses, without start files, libraries, unwinding and symbol names. The user's flags
/// and profiles are not used.
pub const OPTIONS: [&str; 17] = [
    "--crate-name=launcher",
    "--crate-type=bin",
    "--edition=2021",
    "--cap-lints=allow",
    "-Copt-level=z",
    // Removes the messages of panics.
    "-Clto=fat",
    "-Cpanic=abort",
    "-Ccodegen-units=1",
    "-Cstrip=symbols",
    "-Cdebuginfo=0",
    "-Coverflow-checks=off",
    "-Crelocation-model=static",
    "-Crelro-level=off",
    "-Cforce-unwind-tables=no",
    "-Cdefault-linker-libraries=no",
    "main.rs",
    "-olauncher",
];

/// The linker that comes with rustc.
pub const RUST_LLD: [&str; 8] = [
    "-Clinker=rust-lld",
    "-Clinker-flavor=ld.lld",
    "-Clink-arg=--gc-sections",
    "-Clink-arg=-static",
    "-Clink-arg=-znoexecstack",
    "-Clink-arg=--build-id=none",
    "-Clink-arg=--no-eh-frame-hdr",
    "-Clink-arg=--script=launcher.ld",
];

/// Leaves out the start files that rustc brings for musl. Other targets do not take the option before Rust 1.90.
const WITHOUT_START_FILES: &str = "-Clink-self-contained=no";

/// The target's usual linker, for a rustc of a distribution that has no linker of its own.
const C_COMPILER: [&str; 6] = [
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,--gc-sections,-z,noexecstack",
    "-Clink-arg=-Wl,--build-id=none",
];

/// The key input for the launcher: its sources and options. The bytes of the launcher are the same on every machine
/// with the same target and the same release of rustc with its own linker.
pub fn version() -> Value {
    // One computation for all images.
    static VERSION: LazyLock<Value> = LazyLock::new(|| {
        let mut inputs = Inputs::new();
        for (name, text) in SOURCES {
            inputs.insert(name, Value::hash_of(text));
        }
        inputs.insert("options", Value::texts(OPTIONS));
        inputs.insert("linker", Value::texts(RUST_LLD));
        Value::from(inputs.key("launcher"))
    });
    VERSION.clone()
}

/// The compiler and directories for the launcher.
pub struct LauncherCompiler<'a> {
    /// Runs rustc.
    pub runner: &'a dyn CargoRunner,
    /// Identifies that rustc: the launcher is compiled once for each.
    pub identity: String,
    /// The compiler of the host.
    pub toolchain: &'a Toolchain,
    /// Variables of the compile.
    pub cargo: &'a Cargo,
    /// Where the sources are written.
    pub target_directory: &'a Path,
    /// Where compiled launchers are cached.
    pub cache: &'a Cache,
}

/// The result of an earlier compile.
#[derive(Serialize, Deserialize)]
struct LauncherNote {
    program: Digest,
}

/// The target for an image that carries no binary of the package.
pub fn usual_target(platform: &Platform, toolchain: &Toolchain) -> String {
    let architecture = if platform.architecture == "arm64" {
        "aarch64"
    } else {
        "x86_64"
    };
    let triple = |library: &str| format!("{architecture}-unknown-linux-{library}");
    let installed = ["gnu", "musl"]
        .map(triple)
        .into_iter()
        .find(|triple| toolchain.has_target(triple));
    installed.unwrap_or_else(|| triple("gnu"))
}

impl LauncherCompiler<'_> {
    /// The launcher for a target: from the cache, or compiled.
    ///
    /// # Errors
    /// `LauncherFailed`; `ToolMissing`; when the sources or the cache cannot be written.
    pub async fn compile(&self, target: &str) -> Result<Bytes> {
        let mut inputs = Inputs::new();
        inputs.insert("version", version());
        inputs.insert("rustc", self.identity.as_str());
        inputs.insert("target", target);
        let name = inputs.key("launcher").to_string();
        if let Some(program) = self.cached_program(&name) {
            return Ok(program);
        }
        let directory = self
            .target_directory
            .join("union/launcher")
            .join(name.get(..12).unwrap_or(&name));
        fs::create_directory(&directory)?;
        for (file, text) in SOURCES {
            fs::replace_if_different(&directory.join(file), text.as_bytes())?;
        }
        let mut compiled = self.run_rustc(&directory, target, &RUST_LLD).await?;
        if compiled.as_ref().is_err_and(has_no_linker) {
            compiled = self.run_rustc(&directory, target, &C_COMPILER).await?;
        }
        compiled.map_err(|failure| {
            let tried = format!("could not compile the launcher of tasks for `{target}`");
            let error = Error::new(Code::LauncherFailed, tried).because(failure);
            if self.toolchain.has_target(target) {
                return error.help("The compiler's messages are above. `launcher = false` in the table of the image leaves it out.");
            }
            error.help(format!("Run `rustup target add {target}`, or leave it out by `launcher = false` in the table of the image."))
        })?;
        let program = Bytes::from(fs::read(&directory.join("launcher"))?);
        self.store_program(&name, &program)?;
        Ok(program)
    }

    async fn run_rustc(
        &self,
        directory: &Path,
        target: &str,
        linker: &[&str],
    ) -> Result<Result<(), ProcessFailure>> {
        let mut arguments: Vec<OsString> = vec!["--target".into(), target.into()];
        arguments.extend(OPTIONS.iter().chain(linker).map(OsString::from));
        if target.ends_with("-musl") {
            arguments.push(WITHOUT_START_FILES.into());
        }
        let call = CargoInvocation {
            program: self.toolchain.rustc().into(),
            directory: directory.to_owned(),
            environment: self.cargo.environment.clone(),
            arguments,
        };
        self.runner.rustc(&call).await
    }

    fn cached_program(&self, name: &str) -> Option<Bytes> {
        let note: LauncherNote = self.cache.note("launchers", name)?;
        let bytes = std::fs::read(self.cache.verified_blob(&note.program)?).ok()?;
        (Digest::of(&bytes) == note.program).then(|| bytes.into())
    }

    fn store_program(&self, name: &str, program: &[u8]) -> Result<()> {
        let digest = Digest::of(program);
        let mut draft = self.cache.draft()?;
        std::io::Write::write_all(&mut draft, program)
            .map_err(|cause| fs::unwritable(self.cache.directory(), cause))?;
        self.cache.keep(draft, &digest)?;
        self.cache
            .put_note("launchers", name, &LauncherNote { program: digest })
    }
}

fn has_no_linker(failure: &ProcessFailure) -> bool {
    failure.stderr.contains("linker `rust-lld` not found")
}
