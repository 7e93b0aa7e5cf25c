//! cargo in a container: it sees the workspace, the target folder and cargo's home where they are.
//!
//! With equal paths everything that cargo says is true on the host as well, and what it has compiled
//! stays for the next time. The toolchain never leaves its image, and nothing of the image's files
//! reaches the result but what is linked.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use union_build::diag::Code;
use union_build::key::{Inputs, Value};
use union_build::spec;

use super::selector::CompileSelector;
use crate::build::LockedBase;
use crate::build::docker::DockerBuilder;
use crate::engine::{BindMount, ContainerOptions, Engine};
use crate::image::platform::Platform;
use crate::pipeline::Reporter;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::{Environment, OutputStream, ProcessFailure, user};
use crate::sys::secret::Secret;
use crate::workspace::{CargoInvocation, CargoRunner, CompileSettings, LineHandler, PATIENCE, ProbeOutput, SCOPE};

/// What runs in the container: cargo, with the toolchain that the image has, whatever a
/// `rust-toolchain.toml` says. The marker shows that its folders are this machine's. What its rustc
/// understands is asked there: it may be of another release than the host's.
const SCRIPT: &str = r#"
[ -e "$UNION_MARKER" ] || exit 97
toolchain=$(cd / && rustup default 2>/dev/null | cut -d' ' -f1)
[ -z "$toolchain" ] || export RUSTUP_TOOLCHAIN="$toolchain"
case $(rustc --help -v 2>/dev/null) in
*--remap-path-scope*) export CARGO_ENCODED_RUSTFLAGS="$CARGO_ENCODED_RUSTFLAGS$UNION_SCOPE" ;;
esac
unset UNION_SCOPE UNION_MARKER
exec "$0" "$@"
"#;

/// The exit code by which the script says that it does not see the marker.
const UNSEEN: i64 = 97;

/// What stands between flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Where the authority is that cargo and its children trust.
const AUTHORITY: &str = "/run/union/ca.crt";

/// A container with a toolchain.
pub(super) struct ContainerRunner {
    builder: Arc<DockerBuilder>,
    reporter: Arc<dyn Reporter>,
    image: spec::Image,
    platform: Platform,
    toolchain: LockedBase,
    apt_packages: Vec<String>,
    /// The variables of `build.env`.
    declared: BTreeSet<String>,
    /// What it may read, and the folders into which it may write.
    reads: Vec<PathBuf>,
    writes: Vec<PathBuf>,
    folder: String,
}

impl ContainerRunner {
    pub(super) fn new(
        choosing: &CompileSelector<'_>,
        settings: &CompileSettings,
        target: &str,
        image: &spec::Image,
        platform: &Platform,
        toolchain: &LockedBase,
    ) -> Self {
        let (workspace, cargo) = (&choosing.package.session.workspace, &choosing.package.work.scope.cargo);
        let mut reads = vec![workspace.root.clone()];
        reads.extend(choosing.package.snapshot.outside_paths());
        // Below cargo's home everything is there already.
        let configured = choosing.package.snapshot.configured_paths(settings, target).into_iter();
        reads.extend(configured.filter(|path| !cargo.home().is_some_and(|home| path.starts_with(home))));
        let mut writes = vec![workspace.target_directory.clone(), workspace.build_directory.clone()];
        writes.extend(cargo.target_dir.clone());
        writes.extend(cargo.home());
        let mut inputs = Inputs::new();
        inputs.insert("image", toolchain.digest.to_string());
        inputs.insert("apt-packages", Value::texts(&settings.apt_packages));
        Self {
            builder: choosing.builder.clone(),
            reporter: choosing.package.reporter.clone(),
            image: image.clone(),
            platform: platform.clone(),
            toolchain: toolchain.clone(),
            apt_packages: settings.apt_packages.clone(),
            declared: settings.env.keys().cloned().collect(),
            reads,
            writes,
            folder: inputs.key("toolchain").to_string()[..12].to_owned(),
        }
    }

    /// The name of the folder for what it compiles.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// The engine, and the image with the toolchain in it.
    async fn ready(&self) -> Result<(&Engine, String)> {
        let engine = self.builder.engines().engine().await?;
        let image = self.builder.toolchain(&self.image, &self.toolchain, &self.platform, &self.apt_packages).await?;
        Ok((engine, image))
    }

    fn unseen(&self, engine: &Engine) -> Error {
        Error::new(Code::EngineFailed, format!("the engine at {} does not see this machine's folders", engine.address()))
            .because(format!("`{}` is not there for its containers", self.reads[0].display()))
            .help("Compile with `compile = \"host\"` or `\"zig\"`, or use an engine on this machine.")
    }

    /// `tool` is `cargo` or `rustc`.
    fn run(&self, tool: &str, call: &CargoInvocation, image: String, marker: &Path, user: Option<String>) -> ContainerOptions {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        let mut env: std::collections::BTreeMap<String, Secret<String>> = call
            .environment
            .iter()
            .filter(|(name, _)| self.declared.contains(*name) || passes(name))
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect();
        let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), Secret::new(value)));
        set("UNION_MARKER", marker.display().to_string());
        let flags = call.environment.get("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        let flags: Vec<&str> = flags.split(SEPARATOR).filter(|flag| !flag.is_empty() && *flag != SCOPE).collect();
        set("UNION_SCOPE", format!("{}{SCOPE}", if flags.is_empty() { "" } else { SEPARATOR }));
        set("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR));
        set("HOME", "/tmp".to_owned());
        // There is no terminal in there.
        set("CARGO_TERM_PROGRESS_WHEN", "never".to_owned());
        if let Some(home) = self.writes.last() {
            set("CARGO_HOME", home.display().to_string());
        }
        let bind = |path: &PathBuf, writable| BindMount { from: path.clone(), to: path.display().to_string(), writable };
        let mut binds: Vec<BindMount> = self.reads.iter().map(|path| bind(path, false)).collect();
        binds.extend(self.writes.iter().collect::<BTreeSet<_>>().into_iter().map(|path| bind(path, true)));
        if let Some(authority) = authority(&call.environment) {
            binds.push(BindMount { from: authority, to: AUTHORITY.to_owned(), writable: false });
            ["SSL_CERT_FILE", "CARGO_HTTP_CAINFO", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"]
                .iter()
                .for_each(|name| set(name, AUTHORITY.to_owned()));
        }
        let words = ["/bin/sh", "-c", SCRIPT, tool].map(str::to_owned);
        ContainerOptions {
            name: "union-compile".to_owned(),
            image,
            entrypoint: Some(words.to_vec()),
            command: Some(call.arguments.iter().map(|argument| text(argument)).collect()),
            env,
            user,
            workdir: Some(call.folder.display().to_string()),
            network: self
                .image
                .builder_options
                .network
                .as_ref()
                .map(|network| network.value.clone())
                .filter(|network| network != "default"),
            binds,
        }
    }
}

impl ContainerRunner {
    /// Runs cargo or rustc, and gives its exit code.
    async fn run_tool(&self, tool: &str, call: &CargoInvocation, output: impl FnMut(OutputStream, &[u8]) + Send) -> Result<i64> {
        let (engine, image) = self.ready().await?;
        let folder = self.writes[0].join("union/container");
        self.writes.iter().chain([&folder]).try_for_each(|folder| fs::create_folder(folder))?;
        let marker = fs::AtomicFile::beside(&folder.join("marker"))?;
        let made = engine.container(&self.run(tool, call, image, marker.path(), owner(engine).await?)).await;
        // Engines look for the folders before they start anything, and some make them.
        let unseen = |words: &String| words.contains("bind source path does not exist") || words.contains("statfs ");
        let container = made.map_err(|error| if error.chain().iter().any(unseen) { self.unseen(engine) } else { error })?;
        if tool == "cargo" {
            self.reporter.status("Compiling", &format!("in {}", self.toolchain.repository));
        }
        let output = Mutex::new(output);
        let code = container.run(|stream, bytes| (output.lock().unwrap_or_else(PoisonError::into_inner))(stream, bytes)).await?;
        container.remove().await?;
        if code == UNSEEN { Err(self.unseen(engine)) } else { Ok(code) }
    }
}

#[async_trait]
impl CargoRunner for ContainerRunner {
    async fn cargo(&self, call: &CargoInvocation, line: &mut LineHandler<'_>) -> Result<Result<(), ProcessFailure>> {
        let mut buffer = Vec::new();
        let code = self
            .run_tool("cargo", call, |stream, bytes| match stream {
                OutputStream::Stderr => self.reporter.write_raw(bytes),
                OutputStream::Stdout => {
                    buffer.extend_from_slice(bytes);
                    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                        let taken: Vec<u8> = buffer.drain(..=end).collect();
                        line(String::from_utf8_lossy(&taken).trim_end());
                    }
                }
            })
            .await?;
        Ok(if code == 0 { Ok(()) } else { Err(ProcessFailure::ended("cargo", code)) })
    }

    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>> {
        let mut printed = Vec::new();
        let code = self.run_tool("rustc", call, |_, bytes| printed.extend_from_slice(bytes)).await?;
        if code == 0 {
            return Ok(Ok(()));
        }
        let mut failure = ProcessFailure::ended("rustc", code);
        failure.stderr = String::from_utf8_lossy(&printed).into_owned();
        Ok(Err(failure))
    }

    async fn ask(&self, program: &Path, word: &str, _: &Environment) -> Result<ProbeOutput> {
        let (engine, image) = self.ready().await?;
        let shown = program.display().to_string();
        let folder = program.parent().unwrap_or(program);
        let run = ContainerOptions {
            name: "union-ask".to_owned(),
            image,
            entrypoint: Some(vec![shown.clone()]),
            command: Some(vec![word.to_owned()]),
            user: owner(engine).await?,
            network: Some("none".to_owned()),
            binds: vec![BindMount { from: folder.to_owned(), to: folder.display().to_string(), writable: false }],
            ..ContainerOptions::default()
        };
        let container = engine.container(&run).await?;
        let (printed, complaints) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let hears = |stream: OutputStream, bytes: &[u8]| {
            let to = if stream == OutputStream::Stdout { &printed } else { &complaints };
            to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        };
        let code = tokio::time::timeout(PATIENCE, container.run(hears)).await.ok().transpose()?;
        container.remove().await?;
        let ended = |code| match code {
            0 => Ok(printed.into_inner().unwrap_or_else(PoisonError::into_inner)),
            code => {
                let stderr = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
                let mut failed = ProcessFailure::ended(&shown, code);
                failed.stderr = String::from_utf8_lossy(&stderr).trim_end().to_owned();
                Err(failed)
            }
        };
        Ok(ProbeOutput::of(code.map(ended)))
    }
}

/// Whose a container's files are: the user's. Where the engine runs as the user, its root is the user.
async fn owner(engine: &Engine) -> Result<Option<String>> {
    Ok(Some(if engine.is_rootless().await? { "0:0".to_owned() } else { user() }))
}

/// Whether a variable of the host means something in the container: what cargo and rustc are told, but
/// not where the host has its tools.
fn passes(name: &str) -> bool {
    const HOST_S_OWN: [&str; 5] =
        ["CARGO", "CARGO_HOME", "CARGO_BUILD_RUSTC", "CARGO_BUILD_RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER"];
    const OTHERS: [&str; 10] = [
        "SOURCE_DATE_EPOCH",
        "RUSTC_BOOTSTRAP",
        "RUST_BACKTRACE",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "TERM",
    ];
    let of_cargo = name.starts_with("CARGO_") && !HOST_S_OWN.contains(&name);
    (of_cargo && !name.ends_with("_LINKER") && !name.ends_with("_RUNNER")) || OTHERS.contains(&name)
}

/// The authority that the user's programs trust.
fn authority(environment: &Environment) -> Option<PathBuf> {
    let set = ["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"].into_iter().find_map(|name| environment.get(name).filter(|path| !path.is_empty()));
    set.map(PathBuf::from).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn what_cargo_is_told_goes_along_and_where_the_host_has_its_tools_does_not() {
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_REGISTRIES_MY_TOKEN",
            "SOURCE_DATE_EPOCH",
            "RUSTC_BOOTSTRAP",
        ] {
            assert!(passes(name), "{name}");
        }
        for name in
            ["CARGO", "CARGO_HOME", "PATH", "RUSTC_WRAPPER", "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "RUSTUP_HOME", "AWS_SECRET"]
        {
            assert!(!passes(name), "{name}");
        }
    }
}
