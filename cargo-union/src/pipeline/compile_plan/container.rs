//! Runs cargo in a container, with the workspace, the target directory and cargo's home mounted at their own paths.
//!
//! With equal paths, everything that cargo prints is valid on the host as well, and its artifacts can be used again by
//! the next compile. The toolchain stays in its image; of the image's files, only linked ones get into the result.

use std::collections::BTreeSet;
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
use crate::pipeline::context::PackageContext;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::{Environment, OutputStream, ProcessFailure, user};
use crate::sys::secret::Secret;
use crate::workspace::{
    CargoInvocation, CargoRunner, CompileSettings, LineHandler, PROBE_TIMEOUT, ProbeOutput, SCOPE,
};

/// Runs cargo in the container, with the toolchain of the image instead of that of a `rust-toolchain.toml`. The marker file
/// exists only if the mounted directories are this machine's. Whether rustc supports `--remap-path-scope` is checked in the
/// container, since its release may differ from that of the host.
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

/// The exit code of the script if the marker file does not exist.
const MARKER_NOT_FOUND: i64 = 97;

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// The path of the CA certificate in the container.
const AUTHORITY: &str = "/run/union/ca.crt";

/// Runs cargo in containers of a toolchain image.
pub(super) struct ContainerRunner {
    builder: Arc<DockerBuilder>,
    reporter: Arc<dyn Reporter>,
    image: spec::ImageSpec,
    platform: Platform,
    toolchain: LockedBase,
    apt_packages: Vec<String>,
    /// The names of the variables that are part of the key: of `build.env`, and learned ones.
    keyed_variables: BTreeSet<String>,
    /// Paths that are mounted read-only. The first one is the workspace.
    read_only: Vec<PathBuf>,
    /// Directories that are mounted writable. The first one is the target directory, the last one cargo's home, if it is
    /// known.
    writable: Vec<PathBuf>,
    directory_name: String,
}

impl ContainerRunner {
    /// `learned` are the names of the learned variables of all images of the compile.
    pub(super) fn new<'a>(
        selector: &CompileSelector<'_>,
        settings: &'a CompileSettings,
        target: &str,
        (image, platform, toolchain): (&spec::ImageSpec, &Platform, &LockedBase),
        learned: impl Iterator<Item = &'a String>,
    ) -> Self {
        let PackageContext {
            options,
            loaded,
            snapshot,
            reporter,
            ..
        } = selector.context;
        let workspace = &loaded.workspace;
        let cargo = &options.scope.cargo;
        let mut read_only = vec![workspace.root.clone()];
        read_only.extend(snapshot.outside_paths());
        // cargo's home is mounted as a whole.
        let configured = snapshot.configured_paths(settings, target).into_iter();
        read_only.extend(
            configured.filter(|path| !cargo.home().is_some_and(|home| path.starts_with(home))),
        );
        let mut writable = vec![
            workspace.target_directory.clone(),
            workspace.build_directory.clone(),
        ];
        writable.extend(cargo.target_dir.clone());
        writable.extend(cargo.home());
        let mut inputs = Inputs::new();
        inputs.insert("image", toolchain.digest.to_string());
        inputs.insert("apt-packages", Value::texts(&settings.apt_packages));
        Self {
            builder: selector.builder.clone(),
            reporter: (*reporter).clone(),
            image: image.clone(),
            platform: platform.clone(),
            toolchain: toolchain.clone(),
            apt_packages: settings.apt_packages.clone(),
            keyed_variables: settings.env.keys().chain(learned).cloned().collect(),
            read_only,
            writable,
            directory_name: inputs.key("toolchain").to_string()[..12].to_owned(),
        }
    }

    /// The name of the directory for its artifacts, from the toolchain image and the packages that are installed in it.
    pub(super) fn directory_name(&self) -> &str {
        &self.directory_name
    }

    /// Returns the engine and the toolchain image, which is built if `build.apt-packages` are installed in it.
    async fn prepare_toolchain(&self) -> Result<(&Engine, String)> {
        let engine = self.builder.engines().engine().await?;
        let image = self
            .builder
            .toolchain(
                &self.image,
                &self.toolchain,
                &self.platform,
                &self.apt_packages,
            )
            .await?;
        Ok((engine, image))
    }

    /// The error for an engine on another machine, such as a VM that does not share directories.
    fn no_access_error(&self, engine: &Engine) -> Error {
        Error::new(
            Code::EngineFailed,
            format!(
                "the engine at {} cannot access this machine's directories",
                engine.address()
            ),
        )
        .because(format!(
            "`{}` does not exist in its containers",
            self.read_only[0].display()
        ))
        .help("Compile with `compile = \"host\"` or `\"zig\"`, or use an engine on this machine.")
    }

    /// `tool` is `cargo` or `rustc`.
    fn container_options(
        &self,
        tool: &str,
        call: &CargoInvocation,
        image: String,
        marker: &Path,
        user: Option<String>,
    ) -> ContainerOptions {
        let mut env: std::collections::BTreeMap<String, Secret<String>> = call
            .environment
            .iter()
            .filter(|(name, _)| self.keyed_variables.contains(*name) || is_passed_on(name))
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect();
        let mut set =
            |name: &str, value: String| drop(env.insert(name.to_owned(), Secret::new(value)));
        set("UNION_MARKER", marker.display().to_string());
        let flags = call
            .environment
            .get("CARGO_ENCODED_RUSTFLAGS")
            .unwrap_or_default();
        let flags: Vec<&str> = flags
            .split(SEPARATOR)
            .filter(|flag| !flag.is_empty() && *flag != SCOPE)
            .collect();
        set(
            "UNION_SCOPE",
            format!("{}{SCOPE}", if flags.is_empty() { "" } else { SEPARATOR }),
        );
        set("CARGO_ENCODED_RUSTFLAGS", flags.join(SEPARATOR));
        set("HOME", "/tmp".to_owned());
        // The container has no terminal.
        set("CARGO_TERM_PROGRESS_WHEN", "never".to_owned());
        if let Some(home) = self.writable.last() {
            set("CARGO_HOME", home.display().to_string());
        }
        let bind = |path: &PathBuf, writable| BindMount {
            from: path.clone(),
            to: path.display().to_string(),
            writable,
        };
        let mut binds: Vec<BindMount> = self
            .read_only
            .iter()
            .map(|path| bind(path, false))
            .collect();
        binds.extend(
            self.writable
                .iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|path| bind(path, true)),
        );
        if let Some(authority) = find_authority(&call.environment) {
            binds.push(BindMount {
                from: authority,
                to: AUTHORITY.to_owned(),
                writable: false,
            });
            [
                "SSL_CERT_FILE",
                "CARGO_HTTP_CAINFO",
                "CURL_CA_BUNDLE",
                "GIT_SSL_CAINFO",
            ]
            .iter()
            .for_each(|name| set(name, AUTHORITY.to_owned()));
        }
        let entrypoint = ["/bin/sh", "-c", SCRIPT, tool].map(str::to_owned);
        ContainerOptions {
            name: "union-compile".to_owned(),
            image,
            entrypoint: Some(entrypoint.to_vec()),
            command: Some(
                call.arguments
                    .iter()
                    .map(|argument| argument.to_string_lossy().into_owned())
                    .collect(),
            ),
            env,
            user,
            workdir: Some(call.directory.display().to_string()),
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
    /// Runs cargo or rustc in a container, and returns its exit code.
    async fn run_tool(
        &self,
        tool: &str,
        call: &CargoInvocation,
        output: impl FnMut(OutputStream, &[u8]) + Send,
    ) -> Result<i64> {
        let (engine, image) = self.prepare_toolchain().await?;
        let directory = self.writable[0].join("union/container");
        self.writable
            .iter()
            .chain([&directory])
            .try_for_each(|directory| fs::create_directory(directory))?;
        let marker = fs::AtomicFile::create_beside(&directory.join("marker"))?;
        let options = self.container_options(
            tool,
            call,
            image,
            marker.path(),
            container_user(engine).await?,
        );
        // Some engines check mounted directories before they start a container; others create missing ones, for which there
        // is the marker file.
        let is_missing_mount = |cause: &String| {
            cause.contains("bind source path does not exist") || cause.contains("statfs ")
        };
        let container = engine.container(&options).await.map_err(|error| {
            if error.chain().iter().any(is_missing_mount) {
                self.no_access_error(engine)
            } else {
                error
            }
        })?;
        if tool == "cargo" {
            self.reporter
                .status("Compiling", &format!("in {}", self.toolchain.repository));
        }
        let output = Mutex::new(output);
        let code = container
            .run(|stream, bytes| {
                (output.lock().unwrap_or_else(PoisonError::into_inner))(stream, bytes)
            })
            .await?;
        container.remove().await?;
        if code == MARKER_NOT_FOUND {
            Err(self.no_access_error(engine))
        } else {
            Ok(code)
        }
    }
}

#[async_trait]
impl CargoRunner for ContainerRunner {
    async fn cargo(
        &self,
        call: &CargoInvocation,
        line: &mut LineHandler<'_>,
    ) -> Result<Result<(), ProcessFailure>> {
        let mut buffer = Vec::new();
        let code = self
            .run_tool("cargo", call, |stream, bytes| match stream {
                OutputStream::Stderr => self.reporter.write_raw(bytes),
                OutputStream::Stdout => {
                    buffer.extend_from_slice(bytes);
                    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                        let complete_line: Vec<u8> = buffer.drain(..=end).collect();
                        line(String::from_utf8_lossy(&complete_line).trim_end());
                    }
                }
            })
            .await?;
        Ok(if code == 0 {
            Ok(())
        } else {
            Err(ProcessFailure::of_exit_code("cargo", code))
        })
    }

    async fn rustc(&self, call: &CargoInvocation) -> Result<Result<(), ProcessFailure>> {
        let mut printed = Vec::new();
        let code = self
            .run_tool("rustc", call, |_, bytes| printed.extend_from_slice(bytes))
            .await?;
        if code == 0 {
            return Ok(Ok(()));
        }
        let mut failure = ProcessFailure::of_exit_code("rustc", code);
        failure.stderr = String::from_utf8_lossy(&printed).into_owned();
        Ok(Err(failure))
    }

    async fn ask(&self, program: &Path, word: &str, _: &Environment) -> Result<ProbeOutput> {
        let (engine, image) = self.prepare_toolchain().await?;
        let program_name = program.display().to_string();
        let directory = program.parent().unwrap_or(program);
        let container_options = ContainerOptions {
            name: "union-ask".to_owned(),
            image,
            entrypoint: Some(vec![program_name.clone()]),
            command: Some(vec![word.to_owned()]),
            user: container_user(engine).await?,
            network: Some("none".to_owned()),
            binds: vec![BindMount {
                from: directory.to_owned(),
                to: directory.display().to_string(),
                writable: false,
            }],
            ..ContainerOptions::default()
        };
        let container = engine.container(&container_options).await?;
        let stdout = Mutex::new(Vec::new());
        let stderr = Mutex::new(Vec::new());
        let collect = |stream: OutputStream, bytes: &[u8]| {
            let buffer = if stream == OutputStream::Stdout {
                &stdout
            } else {
                &stderr
            };
            buffer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
        };
        let code = tokio::time::timeout(PROBE_TIMEOUT, container.run(collect))
            .await
            .ok()
            .transpose()?;
        container.remove().await?;
        let result = code.map(|code| match code {
            0 => Ok(stdout.into_inner().unwrap_or_else(PoisonError::into_inner)),
            code => {
                let stderr = stderr.into_inner().unwrap_or_else(PoisonError::into_inner);
                let mut failure = ProcessFailure::of_exit_code(&program_name, code);
                failure.stderr = String::from_utf8_lossy(&stderr).trim_end().to_owned();
                Err(failure)
            }
        });
        Ok(ProbeOutput::of(result))
    }
}

/// The user that a container runs as, so that files it creates belong to the host's user: root in a rootless engine, which
/// maps its root to that user.
async fn container_user(engine: &Engine) -> Result<Option<String>> {
    Ok(Some(if engine.is_rootless().await? {
        "0:0".to_owned()
    } else {
        user()
    }))
}

/// Whether a variable of the host is passed on to the container: settings of cargo and rustc, but no paths of the host's
/// tools.
fn is_passed_on(name: &str) -> bool {
    const HOST_PATHS: [&str; 5] = [
        "CARGO",
        "CARGO_HOME",
        "CARGO_BUILD_RUSTC",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    ];
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
    let is_cargo_setting = name.starts_with("CARGO_") && !HOST_PATHS.contains(&name);
    (is_cargo_setting && !name.ends_with("_LINKER") && !name.ends_with("_RUNNER"))
        || OTHERS.contains(&name)
}

/// The file with the CA certificates that the environment sets for cargo or for all programs.
fn find_authority(environment: &Environment) -> Option<PathBuf> {
    let path = ["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"]
        .into_iter()
        .find_map(|name| environment.get(name).filter(|path| !path.is_empty()));
    path.map(PathBuf::from).filter(|path| path.is_file())
}

#[cfg(test)]
mod tests;
