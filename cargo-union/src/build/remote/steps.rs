//! Converts specs to the steps of a remote image spec and the archive of copied files.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use union_build::spec;
use union_build::spec::launcher::LAUNCHER;

use super::shell::with_secrets;
use crate::build::archive::Archive;
use crate::build::chain::EffectiveConfig;
use crate::build::variables::{Variables, expanded};
use crate::build::walk::join;
use crate::build::{BINARIES, BuildRequest, Executable, MeasuredFiles, SourceRoots};
use crate::image::remote_spec::{PipOptions, RemoteStep};
use crate::sys::error::Result;
use crate::sys::fs::{FileDigest, measure};

/// The CA bundle of Debian-based images, which TLS clients read by default.
const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The steps of a remote image spec while they are collected.
pub(super) struct RemoteSteps<'a, W: Write> {
    pub(super) steps: Vec<RemoteStep>,
    /// The files that the steps copy.
    pub(super) archive: Archive<W>,
    pub(super) has_files: bool,
    pub(super) roots: &'a SourceRoots,
    files: &'a MeasuredFiles,
    base: &'a BaseSettings,
    /// The working directory after the last step.
    workdir: Option<String>,
    copied: usize,
}

/// The settings of a base that affect the steps.
pub(super) struct BaseSettings {
    pub(super) variables: Variables,
    /// Without a leading slash.
    pub(super) workdir: String,
}

impl<'a, W: Write> RemoteSteps<'a, W> {
    pub(super) fn new(
        archive: Archive<W>,
        request: &'a BuildRequest,
        base: &'a BaseSettings,
    ) -> Self {
        Self {
            steps: Vec::new(),
            archive,
            has_files: false,
            roots: &request.roots,
            files: &request.files,
            base,
            workdir: None,
            copied: 0,
        }
    }

    /// Adds everything of an image except its variables, in the order of the docker builder: steps that change rarely
    /// come first, so that the builder can cache them.
    pub(super) fn add(&mut self, request: &BuildRequest) -> Result<()> {
        for spec in &request.steps {
            self.add_spec(spec)?;
        }
        let settings = EffectiveConfig::of(&request.chain);
        if let Some(bundle) = settings.ca_certificates {
            self.add_input("ca-certificates.crt", bundle)?;
            self.copy("ca-certificates.crt", CA_CERTIFICATES);
        }
        self.add_launcher(request.platforms[0].launcher.as_ref())?;
        self.add_binaries(&request.platforms[0].executables)?;
        self.set_workdir(settings.workdir);
        Ok(())
    }

    fn set_workdir(&mut self, workdir: Option<&str>) {
        if let Some(workdir) = workdir.filter(|workdir| self.workdir.as_deref() != Some(*workdir)) {
            self.workdir = Some(workdir.to_owned());
            self.steps.push(RemoteStep::Workdir(workdir.to_owned()));
        }
    }

    fn add_spec(&mut self, spec: &spec::ImageSpec) -> Result<()> {
        // Lists all fields, so that a new key does not compile until it is decided how the backend applies it.
        let spec::ImageSpec {
            apt_packages,
            commands,
            copy,
            python,
            secrets,
            workdir,
            // Expanded for the commands of the spec.
            env: _,
            // The lock files of Python are also in `python`.
            requirements: _,
            // Rejected by the validation: `UNCARRIED`.
            dockerfile: _,
            builder_options: _,
            builder_config: _,
            build_ca: _,
            // Part of the config, or of the compile.
            entrypoint: _,
            user: _,
            labels: _,
            annotations: _,
            ca_certificates: _,
            compression: _,
            launcher: _,
            auditable: _,
            build: _,
            runtime_libs: _,
            inputs: _,
            exclude: _,
            // Applied before the build.
            key: _,
            origin: _,
            name: _,
            registry: _,
            tag_format: _,
            builder: _,
            base: _,
            platforms: _,
            cuda: _,
            cudnn: _,
        } = spec;
        if !apt_packages.is_empty() {
            self.steps.push(RemoteStep::Apt(texts(apt_packages)));
        }
        self.add_python(python)?;
        for copy in copy {
            let path = format!("copy/{}", self.copied);
            self.copied += 1;
            let items = self.files.copied(copy, self.roots)?;
            let start = if copy.to.value.starts_with('/') {
                ""
            } else {
                &self.base.workdir
            };
            let to = join(start, items.first().map_or("", |item| &item.to));
            self.archive.copied(&path, &items)?;
            self.has_files = true;
            self.copy(&path, &format!("/{to}"));
        }
        if !commands.is_empty() {
            self.set_workdir(workdir.as_ref().map(|workdir| workdir.value.as_str()));
            let variables = expanded([spec], &self.base.variables)?;
            self.steps
                .extend((!variables.is_empty()).then_some(RemoteStep::Env(variables)));
        }
        for command in commands {
            let (line, secrets) = with_secrets(&command.value, secrets);
            self.steps.push(RemoteStep::Command { line, secrets });
        }
        Ok(())
    }

    fn add_python(&mut self, python: &spec::Python) -> Result<()> {
        let spec::Python {
            packages,
            requirements,
            index,
            extra_index_url,
            extra_args,
            // Set for the whole image: `RemoteImageSpec::python`.
            version: _,
            // Rejected by the validation: `UNCARRIED`.
            secret_mounts: _,
            exec: _,
            conda_packages: _,
            conda_channels: _,
            used: _,
        } = python;
        let options = PipOptions {
            index: index.as_ref().map(|index| index.value.clone()),
            extra_indexes: texts(extra_index_url),
            arguments: extra_args.as_ref().map(|arguments| arguments.value.clone()),
        };
        for file in requirements {
            let directory = format!("python/{}", self.copied);
            self.copied += 1;
            if file.file_name().is_some_and(|name| name == "uv.lock") {
                let lock = format!("{directory}/uv.lock");
                self.add_input(&lock, file)?;
                // uv requires the project of a lock file, too.
                self.add_input(
                    &format!("{directory}/pyproject.toml"),
                    &file.with_file_name("pyproject.toml"),
                )?;
                let own = options.arguments.iter().map(String::as_str);
                let arguments: Vec<&str> = ["--frozen", "--no-dev", "--no-install-project"]
                    .into_iter()
                    .chain(own)
                    .collect();
                let options = PipOptions {
                    arguments: Some(arguments.join(" ")),
                    ..options.clone()
                };
                self.steps.push(RemoteStep::UvProject {
                    directory,
                    lock,
                    options,
                });
            } else {
                let path = format!("{directory}/requirements.txt");
                self.add_input(&path, file)?;
                self.steps.push(RemoteStep::Requirements {
                    file: path,
                    options: options.clone(),
                });
            }
        }
        if !packages.is_empty() {
            self.steps.push(RemoteStep::Pip {
                packages: texts(packages),
                options,
            });
        }
        Ok(())
    }

    fn add_launcher(&mut self, program: Option<&Bytes>) -> Result<()> {
        if let Some(program) = program {
            self.has_files = true;
            self.archive.bytes("launcher", program, 0o755)?;
            self.copy("launcher", LAUNCHER);
        }
        Ok(())
    }

    fn add_binaries(&mut self, executables: &[Executable]) -> Result<()> {
        for executable in executables {
            self.add_file(
                &format!("bin/{}", executable.name),
                &executable.path,
                measure(&executable.path)?,
                0o755,
            )?;
        }
        if !executables.is_empty() {
            self.copy("bin", BINARIES);
        }
        Ok(())
    }

    /// Adds a file that is an input of the key.
    fn add_input(&mut self, place: &str, from: &Path) -> Result<()> {
        self.add_file(place, from, self.files.measure(from)?, 0o644)
    }

    fn add_file(
        &mut self,
        place: &str,
        from: &Path,
        measured: FileDigest,
        mode: u32,
    ) -> Result<()> {
        self.has_files = true;
        self.archive.file(place, from, measured, mode)
    }

    fn copy(&mut self, from: &str, to: &str) {
        self.steps.push(RemoteStep::Copy {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }
}

fn texts(texts: &[spec::Sourced<String>]) -> Vec<String> {
    texts.iter().map(|text| text.value.clone()).collect()
}
