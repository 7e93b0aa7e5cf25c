//! What was asked for, decided: flags and the process's environment as plain structs.
//!
//! This is the one place that reads environment variables of the tool's own. Those that stand for a
//! key of the manifest are merged with it in `union_build::spec`.

mod get;
mod register;
mod remote;
mod run;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use union_build::diag::Code;
use union_build::spec::merge::Overrides;

use crate::base::cache::{Cache, DEFAULT_CAP};
use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::process::Environment;
use crate::cli;
use crate::ui;
use crate::workspace::{Cargo, Selection};
pub use get::{Get, Of};
pub use register::Register;
pub use remote::{Remote, Wanted, What};
pub use run::{Place, Run};

/// What to do, with everything that decides how.
#[derive(Debug)]
pub enum Task {
    /// `init`
    Init {
        /// cargo.
        cargo: Cargo,
        /// `--manifest-path`
        manifest_path: Option<PathBuf>,
    },
    /// `check`
    Check(Scope),
    /// `config`
    Config(Scope),
    /// `plan`
    Plan(Work),
    /// `build`
    Build(Work),
    /// `register`
    Register(Register),
    /// `run`
    Run(Run),
    /// `run --remote` and `run --follow`
    Remote(Remote),
    /// `get`
    Get(Get),
    /// `images`
    Images(Scope),
    /// `images --dockerfile IMAGE`
    Dockerfile {
        /// Which packages.
        scope: Scope,
        /// The image.
        image: String,
    },
    /// `update`
    Update(Update),
    /// `login`
    Login(Backend),
    /// `logout`
    Logout(Backend),
    /// `whoami`
    Whoami(Backend),
    /// A page that is known before anything is read: schema, completions, manual.
    Page(String),
}

impl Task {
    /// Whether it knows itself what to do on Ctrl-C.
    pub fn hears_signals(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// Which packages, and what overrides their manifests.
#[derive(Debug)]
pub struct Scope {
    /// cargo, with the flags that are for it and the process's environment.
    pub cargo: Cargo,
    /// `--manifest-path`
    pub manifest_path: Option<PathBuf>,
    /// `-p`, `--workspace`, `--exclude`
    pub selection: Selection,
    /// Flags and environment variables that stand for keys.
    pub overrides: Overrides,
    /// Where the backend is looked for.
    pub backend: Backend,
    /// The cache of blobs and layers.
    pub cache: Cache,
    /// The most bytes that the cache keeps.
    pub cache_limit: u64,
}

/// Where the backend is looked for: the user's Flyte config, and what overrides it.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The process's environment.
    pub environment: Environment,
    /// The current folder.
    pub folder: PathBuf,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--org`
    pub org: Option<String>,
    /// Whether somebody looks at what is shown, who could be sent to a browser.
    pub attended: bool,
}

/// What `plan` and `build` work with.
#[derive(Debug)]
pub struct Work {
    /// Which packages.
    pub scope: Scope,
    /// `--task`; empty means all.
    pub tasks: Vec<String>,
    /// Where images go.
    pub output: Output,
    /// How many transfers run at once.
    pub jobs: usize,
    /// `--rebuild`
    pub rebuild: bool,
    /// Nothing is sent, and nothing is remembered of what was made.
    pub dry: bool,
    /// Every binary of a `rust` task has to say what its interface is, though that takes a compile.
    pub describe: bool,
    /// Whether a binary that could not start in its image is refused: not with `--no-check`.
    pub check: bool,
    /// Whether an image whose digest cannot be asked for is taken by its tag: `--allow-unpinned`.
    pub allow_unpinned: bool,
    /// Seconds since 1970 of every timestamp in an image.
    pub source_date_epoch: u64,
}

/// Where images go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The registry when one is set, else the local layout.
    Default,
    /// The local layout: `--no-push`.
    Local,
    /// `oci:DIR`
    Oci(PathBuf),
    /// `tar:FILE`
    Tar(PathBuf),
    /// `docker:`
    Docker,
}

/// What `update` works with.
#[derive(Debug)]
pub struct Update {
    /// Which packages.
    pub scope: Scope,
    /// `--packages IMAGE`
    pub environments: Vec<String>,
    /// `--dry-run`
    pub dry_run: bool,
}

/// How the tool talks.
pub fn talk(talk: &cli::Talk, environment: &Environment) -> ui::Talk {
    let env = |name| set(environment, name);
    let quiet = talk.quiet || (talk.verbose == 0 && env("CARGO_TERM_QUIET") == Some("true"));
    let when = talk.color.or_else(|| match env("CARGO_TERM_COLOR") {
        Some("always") => Some(cli::When::Always),
        Some("never") => Some(cli::When::Never),
        _ => None,
    });
    let color = match when {
        Some(cli::When::Always) => true,
        Some(cli::When::Never) => false,
        Some(cli::When::Auto) | None => std::io::stderr().is_terminal() && env("NO_COLOR").is_none() && env("TERM") != Some("dumb"),
    };
    ui::Talk { verbosity: talk.verbose, quiet, color, json: talk.format == cli::Format::Json }
}

/// What to do.
///
/// # Errors
/// `SettingInvalid` for a value that cannot be understood.
pub fn task(cli: cli::Cli, environment: &Environment) -> Result<Task> {
    let reader = Reader { environment, talk: cli.talk };
    Ok(match cli.command {
        cli::Command::Init(init) => Task::Init { cargo: reader.cargo(&cli::Cargo::default())?, manifest_path: init.manifest_path },
        cli::Command::Check(scope) => Task::Check(reader.scope(scope, &cli::Cargo::default())?),
        cli::Command::Config(config) => {
            let scope = reader.scope(config.scope, &cli::Cargo::default())?;
            Task::Config(Scope { backend: reader.backend(config.backend)?, ..scope })
        }
        cli::Command::Plan(plan) => Task::Plan(reader.work(plan)?),
        cli::Command::Build(build) => {
            Task::Build(Work { check: !build.no_check, allow_unpinned: build.allow_unpinned, ..reader.work(build.work)? })
        }
        cli::Command::Register(register) => Task::Register(reader.register(register)?),
        cli::Command::Run(run) if run.remote.remote || run.remote.follow.is_some() => Task::Remote(reader.remote(run)?),
        cli::Command::Run(run) => Task::Run(reader.run(run)?),
        cli::Command::Get(get) => Task::Get(reader.get(get)?),
        cli::Command::Images(images) => {
            let scope = reader.scope(cli::Scope { packages: images.packages, ..cli::Scope::default() }, &cli::Cargo::default())?;
            match images.dockerfile {
                Some(image) => Task::Dockerfile { scope, image },
                None => Task::Images(scope),
            }
        }
        cli::Command::Update(update) => Task::Update(Update {
            environments: update.packages_of,
            dry_run: update.dry_run,
            scope: reader.scope(update.scope, &cli::Cargo::default())?,
        }),
        cli::Command::Login(backend) => Task::Login(reader.backend(backend)?),
        cli::Command::Logout(backend) => Task::Logout(reader.backend(backend)?),
        cli::Command::Whoami(backend) => Task::Whoami(reader.backend(backend)?),
        cli::Command::Schema => Task::Page(cli::pages::schema()),
        cli::Command::Completions(completions) => Task::Page(cli::pages::completions(completions.shell)),
        cli::Command::Man => Task::Page(cli::pages::manual()),
    })
}

/// Reads flags and variables.
struct Reader<'a> {
    environment: &'a Environment,
    talk: cli::Talk,
}

impl Reader<'_> {
    fn scope(&self, cli::Scope { packages, overrides }: cli::Scope, flags: &cli::Cargo) -> Result<Scope> {
        Ok(Scope {
            cargo: self.cargo(flags)?,
            manifest_path: packages.manifest_path,
            selection: Selection { packages: packages.package, workspace: packages.workspace, exclude: packages.exclude },
            overrides: self.overrides(overrides)?,
            backend: self.backend(cli::Backend::default())?,
            cache: self.cache()?,
            cache_limit: self.cache_limit()?,
        })
    }

    fn backend(&self, backend: cli::Backend) -> Result<Backend> {
        Ok(Backend {
            environment: self.environment.clone(),
            folder: current_folder()?,
            config: backend.config,
            endpoint: backend.endpoint,
            org: backend.org,
            attended: std::io::stderr().is_terminal(),
        })
    }

    fn work(&self, work: cli::Work) -> Result<Work> {
        const TRANSFERS: usize = 6;
        let output = match work.output.as_deref() {
            None if work.no_push => Output::Local,
            None => Output::Default,
            Some(text) => output(text)?,
        };
        let mut scope = self.scope(work.scope, &work.cargo)?;
        scope.cargo.jobs = work.jobs.map(|jobs| jobs.to_string());
        if let Output::Oci(path) | Output::Tar(path) = &output {
            scope.cargo.written.push(fs::absolute(&scope.cargo.folder, path));
        }
        if work.rehash {
            scope.cache = scope.cache.rehashing();
        }
        Ok(Work {
            scope,
            tasks: work.task,
            output,
            jobs: work.jobs.map_or(TRANSFERS, usize::from),
            rebuild: work.rebuild,
            dry: false,
            describe: false,
            check: true,
            allow_unpinned: false,
            source_date_epoch: self.number("SOURCE_DATE_EPOCH")?.unwrap_or(0),
        })
    }

    fn cargo(&self, flags: &cli::Cargo) -> Result<Cargo> {
        let folder = current_folder()?;
        let target_dir = flags.target_dir.as_deref().map(|target_dir| fs::absolute(&folder, target_dir));
        Ok(Cargo {
            locked: flags.locked,
            offline: flags.offline,
            frozen: flags.frozen,
            verbosity: if self.talk.quiet { -1 } else { i8::try_from(self.talk.verbose).unwrap_or(2) },
            color: self.talk.color.map(|when| when.word().to_owned()),
            target_dir,
            ..Cargo::new(folder, self.environment.clone())
        })
    }

    fn overrides(&self, overrides: cli::Overrides) -> Result<Overrides> {
        let set_by_env = |name: &str| set(self.environment, name).map(str::to_owned);
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
        let given = flags.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
        Ok(given.fold(Overrides::new(current_folder()?).env(set_by_env), |overrides, (flag, value)| overrides.flag(flag, value)))
    }

    fn cache(&self) -> Result<Cache> {
        let env = |name| set(self.environment, name).map(PathBuf::from);
        if let Some(folder) = env("UNION_CACHE_DIR") {
            return Ok(Cache::new(fs::absolute(&current_folder()?, &folder)));
        }
        let usual = env("XDG_CACHE_HOME").or_else(|| env("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("cargo-union"));
        let folder = current_folder()?;
        Ok(Cache::usual(usual.map(|usual| fs::absolute(&folder, &usual))))
    }

    fn cache_limit(&self) -> Result<u64> {
        let gigabytes = self.number("UNION_CACHE_GB")?;
        Ok(gigabytes.map_or(DEFAULT_CAP, |count| count.saturating_mul(1_000_000_000)))
    }

    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = set(self.environment, name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|cause: std::num::ParseIntError| {
            Error::new(Code::SettingInvalid, format!("the environment variable {name} is `{text}`"))
                .because(cause)
                .help("Set it to a whole number, or unset it.")
        })
    }
}

fn output(text: &str) -> Result<Output> {
    match text.split_once(':') {
        Some(("oci", folder)) if !folder.is_empty() => Ok(Output::Oci(folder.into())),
        Some(("tar", file)) if !file.is_empty() => Ok(Output::Tar(file.into())),
        Some(("docker", "")) => Ok(Output::Docker),
        _ => Err(Error::new(Code::SettingInvalid, format!("`--output {text}` is not understood"))
            .help("Write `oci:DIR`, `tar:FILE` or `docker:`.")),
    }
}

fn current_folder() -> Result<PathBuf> {
    std::env::current_dir().map_err(|cause| fs::unreadable(Path::new("."), cause))
}

/// A variable that is set and not empty.
fn set<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).filter(|value| !value.is_empty())
}
