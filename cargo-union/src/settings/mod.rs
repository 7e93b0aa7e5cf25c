//! Resolves command line arguments and environment variables to options.
//!
//! Only this module reads the tool's own environment variables. Those that correspond to a manifest key are merged with
//! the manifest in `union_build::spec`.

mod daily;
mod get;
mod logs;
mod push;
mod register;
mod remote;
mod resolve;
mod run;
mod scaffold;
mod verify;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use union_build::diag::Code;
use union_build::spec::BackendChoice;
use union_build::spec::merge::Overrides;

use crate::cli;
pub use crate::deploy::flyte_config::NewFlyteConfig;
pub use crate::pipeline::options::{
    BackendOptions, BuildOptions, ImageOutput, PushOptions, ResolveOptions, SigningOptions,
    VerifyOptions, WorkspaceOptions,
};
pub use crate::run::options::{
    InputOptions, LocalRunOptions, NewRun, RemoteRunMode, RemoteRunOptions, Rerun, RunTarget,
};
use crate::sys::cache::{Cache, DEFAULT_CAP};
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::ui;
use crate::workspace::{Cargo, Selection};
pub use daily::{AbortOptions, CompleteOptions, SecretAction, SecretOptions, TriggerOptions};
pub use get::{GetOptions, Resource};
pub use logs::LogsOptions;
pub use register::RegisterOptions;
pub use scaffold::{InitOptions, NewOptions};

/// The variable with the password of a key, as cosign reads it.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// A subcommand with its resolved options.
#[derive(Debug)]
pub enum Command {
    /// `new`
    New(NewOptions),
    /// `init`
    Init(InitOptions),
    /// `check`
    Check(WorkspaceOptions),
    /// `config`
    Config(WorkspaceOptions),
    /// `doctor`
    Doctor(WorkspaceOptions),
    /// `plan`
    Plan(BuildOptions),
    /// `build`
    Build(BuildOptions),
    /// `push`
    Push(PushOptions),
    /// `resolve`
    Resolve(ResolveOptions),
    /// `register`
    Register(RegisterOptions),
    /// `run`
    Run(LocalRunOptions),
    /// `run --remote`, `run --follow` and `rerun`
    Remote(RemoteRunOptions),
    /// `get`
    Get(GetOptions),
    /// `abort`
    Abort(AbortOptions),
    /// `secret`
    Secret(SecretOptions),
    /// `trigger`
    Trigger(TriggerOptions),
    /// `create config`
    CreateConfig(NewFlyteConfig),
    /// `complete`
    Complete(CompleteOptions),
    /// `logs RUN`
    Logs(LogsOptions),
    /// `images`
    Images(WorkspaceOptions),
    /// `images --dockerfile IMAGE`
    Dockerfile {
        /// The selected packages, which have to include the image's.
        scope: WorkspaceOptions,
        /// `IMAGE`, the name of the image.
        image: String,
    },
    /// `update`
    Update(UpdateOptions),
    /// `verify`
    Verify(VerifyOptions),
    /// `login`
    Login(BackendOptions),
    /// `logout`
    Logout(BackendOptions),
    /// `whoami`
    Whoami(BackendOptions),
    /// Text to print that depends on no file: schema, completions, manual.
    Page(String),
}

impl Command {
    /// Whether the command handles Ctrl-C itself.
    pub fn handles_interrupt(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// Options of `update`.
#[derive(Debug)]
pub struct UpdateOptions {
    /// The selected packages.
    pub scope: WorkspaceOptions,
    /// `--packages IMAGE`
    pub environments: Vec<String>,
    /// `--dry-run`
    pub dry_run: bool,
}

/// Resolves the options of the output.
pub fn output_options(args: &cli::OutputArgs, environment: &Environment) -> ui::OutputOptions {
    let env = |name| nonempty(environment, name);
    let quiet = args.quiet || (args.verbose == 0 && env("CARGO_TERM_QUIET") == Some("true"));
    let when = args.color.or_else(|| match env("CARGO_TERM_COLOR") {
        Some("always") => Some(cli::When::Always),
        Some("never") => Some(cli::When::Never),
        _ => None,
    });
    let color = match when {
        Some(cli::When::Always) => true,
        Some(cli::When::Never) => false,
        Some(cli::When::Auto) | None => {
            std::io::stderr().is_terminal()
                && env("NO_COLOR").is_none()
                && env("TERM") != Some("dumb")
        }
    };
    ui::OutputOptions {
        verbosity: args.verbose,
        quiet,
        color,
        json: args.format == cli::Format::Json,
    }
}

/// Resolves the command line to a command.
///
/// # Errors
/// `SettingInvalid` for a value that cannot be parsed.
pub fn resolve(cli: cli::Cli, environment: &Environment) -> Result<Command> {
    let reader = OptionsReader {
        environment,
        output: cli.output,
    };
    Ok(match cli.command {
        cli::CommandArgs::New(new) => Command::New(reader.new_project(new)?),
        cli::CommandArgs::Init(init) => Command::Init(reader.init(init)?),
        cli::CommandArgs::Check(check) => {
            let scope = reader.workspace_options(check.scope, &cli::CargoArgs::default())?;
            let backend = cli::BackendArgs {
                generation: check.generation,
                ..cli::BackendArgs::default()
            };
            Command::Check(reader.with_backend(scope, backend)?)
        }
        cli::CommandArgs::Config(config) => Command::Config(reader.config_options(config)?),
        cli::CommandArgs::Doctor(config) => Command::Doctor(reader.config_options(config)?),
        cli::CommandArgs::Plan(plan) => Command::Plan(reader.build_options(plan)?),
        cli::CommandArgs::Build(build) => {
            let options = reader.build_options(build.work)?;
            let directory = &options.scope.cargo.directory;
            Command::Build(BuildOptions {
                check: !build.no_check,
                allow_unpinned: build.allow_unpinned,
                signing: reader.signing(build.sign_key)?,
                sbom: build.sbom.map(|file| fs::absolute(directory, &file)),
                ..options
            })
        }
        cli::CommandArgs::Push(push) => Command::Push(reader.push(push)?),
        cli::CommandArgs::Resolve(resolve) => Command::Resolve(reader.resolve(resolve)?),
        cli::CommandArgs::Register(register) => Command::Register(reader.register(register)?),
        cli::CommandArgs::Run(run) if run.remote.remote || run.remote.follow.is_some() => {
            Command::Remote(reader.remote(run)?)
        }
        cli::CommandArgs::Run(run) => Command::Run(reader.run(run)?),
        cli::CommandArgs::Get(get) => Command::Get(reader.get(get)?),
        cli::CommandArgs::Abort(abort) => Command::Abort(reader.abort(abort)?),
        cli::CommandArgs::Rerun(rerun) => Command::Remote(reader.rerun(rerun)?),
        cli::CommandArgs::Secret(secret) => Command::Secret(reader.secret(secret)?),
        cli::CommandArgs::Trigger(trigger) => Command::Trigger(reader.trigger(trigger)?),
        cli::CommandArgs::Create(cli::CreateCommand::Config(create)) => {
            Command::CreateConfig(reader.create_config(create)?)
        }
        cli::CommandArgs::Logs(logs) => Command::Logs(reader.logs(logs)?),
        cli::CommandArgs::Images(images) => {
            let scope = reader.workspace_options(
                cli::WorkspaceArgs {
                    packages: images.packages,
                    ..cli::WorkspaceArgs::default()
                },
                &cli::CargoArgs::default(),
            )?;
            match images.dockerfile {
                Some(image) => Command::Dockerfile { scope, image },
                None => Command::Images(scope),
            }
        }
        cli::CommandArgs::Update(update) => Command::Update(UpdateOptions {
            environments: update.packages_of,
            dry_run: update.dry_run,
            scope: reader.workspace_options(update.scope, &cli::CargoArgs::default())?,
        }),
        cli::CommandArgs::Verify(verify) => Command::Verify(reader.verify(verify)?),
        cli::CommandArgs::Login(backend) => Command::Login(reader.backend_options(backend)?),
        cli::CommandArgs::Logout(backend) => Command::Logout(reader.backend_options(backend)?),
        cli::CommandArgs::Whoami(backend) => Command::Whoami(reader.backend_options(backend)?),
        cli::CommandArgs::Schema => Command::Page(cli::pages::schema()),
        cli::CommandArgs::Completions(completions) => {
            Command::Page(cli::completions::script(completions.shell))
        }
        cli::CommandArgs::Complete(complete) => Command::Complete(CompleteOptions {
            runs: complete.kind == cli::CompleteKind::Runs,
            scope: reader.project_options(complete.project)?,
        }),
        cli::CommandArgs::Man => Command::Page(cli::pages::manual()),
    })
}

/// Resolves arguments and environment variables.
struct OptionsReader<'a> {
    environment: &'a Environment,
    output: cli::OutputArgs,
}

impl OptionsReader<'_> {
    fn workspace_options(
        &self,
        cli::WorkspaceArgs {
            packages,
            overrides,
        }: cli::WorkspaceArgs,
        flags: &cli::CargoArgs,
    ) -> Result<WorkspaceOptions> {
        Ok(WorkspaceOptions {
            cargo: self.cargo(flags)?,
            manifest_path: packages.manifest_path,
            selection: Selection {
                packages: packages.package,
                workspace: packages.workspace,
                exclude: packages.exclude,
            },
            overrides: self.overrides(overrides)?,
            backend: self.backend_options(cli::BackendArgs::default())?,
            cache: self.cache()?,
            cache_limit: self.cache_limit()?,
        })
    }

    /// The options with those of the backend, whose generation overrides the manifest's.
    fn with_backend(
        &self,
        scope: WorkspaceOptions,
        backend: cli::BackendArgs,
    ) -> Result<WorkspaceOptions> {
        let mut overrides = scope.overrides;
        if let Some(generation) = &backend.generation.backend {
            overrides = overrides.flag("--backend", generation);
        }
        Ok(WorkspaceOptions {
            backend: self.backend_options(backend)?,
            overrides,
            ..scope
        })
    }

    fn config_options(&self, args: cli::ConfigArgs) -> Result<WorkspaceOptions> {
        let scope = self.workspace_options(args.scope, &cli::CargoArgs::default())?;
        self.with_backend(scope, args.backend)
    }

    fn backend_options(&self, backend: cli::BackendArgs) -> Result<BackendOptions> {
        Ok(BackendOptions {
            environment: self.environment.clone(),
            directory: current_directory()?,
            config: backend.config,
            endpoint: backend.endpoint,
            org: backend.org,
            generation: self.generation(backend.generation.backend)?,
            cache: self.cache()?,
            interactive: std::io::stderr().is_terminal(),
        })
    }

    fn generation(&self, flag: Option<String>) -> Result<Option<BackendChoice>> {
        let variable = || nonempty(self.environment, "UNION_BACKEND").map(str::to_owned);
        let Some(word) = flag.or_else(variable) else {
            return Ok(None);
        };
        let choice = BackendChoice::of_word(&word).ok_or_else(|| {
            Error::new(
                Code::SettingInvalid,
                format!("the environment variable UNION_BACKEND is `{word}`"),
            )
            .help("Set it to `auto`, `flyte1` or `flyte2`, or unset it.")
        })?;
        Ok(Some(choice))
    }

    fn build_options(&self, work: cli::BuildArgs) -> Result<BuildOptions> {
        const DEFAULT_JOBS: usize = 6;
        let output = match work.output.as_deref() {
            None if work.no_push => ImageOutput::Local,
            None => ImageOutput::Default,
            Some(text) => parse_output(text)?,
        };
        let mut scope = self.workspace_options(work.scope, &work.cargo)?;
        scope.cargo.jobs = work.jobs.map(|jobs| jobs.to_string());
        if let ImageOutput::Oci(path) | ImageOutput::Tar(path) = &output {
            scope
                .cargo
                .written
                .push(fs::absolute(&scope.cargo.directory, path));
        }
        if work.rehash {
            scope.cache = scope.cache.rehashing();
        }
        Ok(BuildOptions {
            scope,
            tasks: work.task,
            output,
            jobs: work.jobs.map_or(DEFAULT_JOBS, usize::from),
            rebuild: work.rebuild,
            dry: false,
            describe: false,
            check: true,
            allow_unpinned: false,
            sbom: None,
            signing: None,
            source_date_epoch: self.number("SOURCE_DATE_EPOCH")?.unwrap_or(0),
        })
    }

    /// The key of `--sign-key` and its password. An empty password counts, as in cosign.
    fn signing(&self, key: Option<PathBuf>) -> Result<Option<SigningOptions>> {
        let Some(key) = key else {
            return Ok(None);
        };
        let password = self.environment.get(PASSWORD);
        Ok(Some(SigningOptions {
            key: fs::absolute(&current_directory()?, &key),
            password: password.map(|password| Secret::new(password.to_owned())),
        }))
    }

    fn cargo(&self, flags: &cli::CargoArgs) -> Result<Cargo> {
        let directory = current_directory()?;
        // What cargo runs does not need the password of a key.
        let mut environment = self.environment.clone();
        environment.remove(PASSWORD);
        let target_dir = flags
            .target_dir
            .as_deref()
            .map(|target_dir| fs::absolute(&directory, target_dir));
        Ok(Cargo {
            locked: flags.locked,
            offline: flags.offline,
            frozen: flags.frozen,
            verbosity: if self.output.quiet {
                -1
            } else {
                i8::try_from(self.output.verbose).unwrap_or(2)
            },
            color: self.output.color.map(|when| when.word().to_owned()),
            target_dir,
            ..Cargo::new(directory, environment)
        })
    }

    fn overrides(&self, overrides: cli::OverrideArgs) -> Result<Overrides> {
        let env = |name: &str| nonempty(self.environment, name).map(str::to_owned);
        let features = (!overrides.features.is_empty()).then(|| overrides.features.join(","));
        let default_features = overrides.no_default_features.then(|| "false".to_owned());
        let flags = [
            ("--project", overrides.project),
            ("--domain", overrides.domain),
            ("--registry", overrides.registry),
            ("--registry-config", overrides.registry_config),
            ("--builder", overrides.builder),
            ("--profile", overrides.profile),
            ("--features", features),
            ("--no-default-features", default_features),
        ];
        let set_flags = flags
            .into_iter()
            .filter_map(|(flag, value)| Some((flag, value?)));
        Ok(set_flags.fold(
            Overrides::new(current_directory()?).env(env),
            |overrides, (flag, value)| overrides.flag(flag, value),
        ))
    }

    fn cache(&self) -> Result<Cache> {
        let env = |name| nonempty(self.environment, name).map(PathBuf::from);
        if let Some(directory) = env("UNION_CACHE_DIR") {
            return Ok(Cache::new(fs::absolute(&current_directory()?, &directory)));
        }
        let default = env("XDG_CACHE_HOME")
            .or_else(|| env("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("cargo-union"));
        let directory = current_directory()?;
        Ok(Cache::usual(
            default.map(|default| fs::absolute(&directory, &default)),
        ))
    }

    fn cache_limit(&self) -> Result<u64> {
        let gigabytes = self.number("UNION_CACHE_GB")?;
        Ok(gigabytes.map_or(DEFAULT_CAP, |count| count.saturating_mul(1_000_000_000)))
    }

    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = nonempty(self.environment, name) else {
            return Ok(None);
        };
        text.trim()
            .parse()
            .map(Some)
            .map_err(|cause: std::num::ParseIntError| {
                Error::new(
                    Code::SettingInvalid,
                    format!("the environment variable {name} is `{text}`"),
                )
                .because(cause)
                .help("Set it to a whole number, or unset it.")
            })
    }
}

fn parse_output(text: &str) -> Result<ImageOutput> {
    match text.split_once(':') {
        Some(("oci", directory)) if !directory.is_empty() => Ok(ImageOutput::Oci(directory.into())),
        Some(("tar", file)) if !file.is_empty() => Ok(ImageOutput::Tar(file.into())),
        Some(("docker", "")) => Ok(ImageOutput::Docker),
        _ => Err(Error::new(
            Code::SettingInvalid,
            format!("invalid value for `--output`: `{text}`"),
        )
        .help("Write `oci:DIR`, `tar:FILE` or `docker:`.")),
    }
}

fn current_directory() -> Result<PathBuf> {
    std::env::current_dir().map_err(|cause| fs::unreadable(Path::new("."), cause))
}

/// The value of a variable; `None` when it is empty.
fn nonempty<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).filter(|value| !value.is_empty())
}
