//! What was asked for, decided: flags and the process's environment as plain structs.
//!
//! This is the one place that reads environment variables of the tool's own. Those that stand for a
//! key of the manifest are merged with it in `union_build::spec`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use union_build::diag::Code;
use union_build::spec::merge::Overrides;

use crate::base::error::{Error, Result};
use crate::cli;
use crate::ui;

/// What to do, with everything that decides how.
#[derive(Debug)]
pub enum Task {
    /// `init`
    Init {
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
    /// `images`
    Images(Scope),
    /// `update`
    Update(Update),
    /// A page that is known before anything is read: schema, completions, manual.
    Page(String),
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
    /// The cache of blobs and layers.
    pub cache: Cache,
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
pub fn talk(talk: &cli::Talk) -> ui::Talk {
    let quiet = talk.quiet || (talk.verbose == 0 && env("CARGO_TERM_QUIET").as_deref() == Some("true"));
    let when = talk.color.or_else(|| match env("CARGO_TERM_COLOR").as_deref() {
        Some("always") => Some(cli::When::Always),
        Some("never") => Some(cli::When::Never),
        _ => None,
    });
    let color = match when {
        Some(cli::When::Always) => true,
        Some(cli::When::Never) => false,
        Some(cli::When::Auto) | None => {
            std::io::stderr().is_terminal() && env("NO_COLOR").is_none() && env("TERM").as_deref() != Some("dumb")
        }
    };
    ui::Talk { verbosity: talk.verbose, quiet, color, json: talk.format == cli::Format::Json }
}

/// What to do.
///
/// # Errors
/// `SettingInvalid` or `UsageInvalid` for a value that cannot be understood.
pub fn task(command: cli::Command) -> Result<Task> {
    Ok(match command {
        cli::Command::Init(init) => Task::Init { manifest_path: init.manifest_path },
        cli::Command::Check(check) => Task::Check(scope(check.packages, check.overrides)?),
        cli::Command::Config(config) => Task::Config(scope(config.packages, config.overrides)?),
        cli::Command::Plan(plan) => Task::Plan(work(plan.work)?),
        cli::Command::Build(build) => Task::Build(work(build.work)?),
        cli::Command::Images(images) => Task::Images(scope(images.packages, cli::Overrides::default())?),
        cli::Command::Update(update) => Task::Update(Update {
            environments: update.packages_of,
            dry_run: update.dry_run,
            scope: scope(update.packages, update.overrides)?,
        }),
        cli::Command::Schema => Task::Page(cli::pages::schema()),
        cli::Command::Completions(completions) => Task::Page(cli::pages::completions(completions.shell)),
        cli::Command::Man => Task::Page(cli::pages::manual()),
    })
}

fn scope(packages: cli::Packages, overrides: cli::Overrides) -> Result<Scope> {
    let mut keys = Overrides::from_env();
    let mut set = |key: &'static str, flag: &'static str, value: Option<String>| {
        if let Some(value) = value {
            keys.set_flag(key, flag, value);
        }
    };
    set("registry", "--registry", overrides.registry);
    set("builder", "--builder", overrides.builder);
    set("build.profile", "--profile", overrides.profile);
    if overrides.no_default_features {
        keys.set_flag_bool("build.default-features", "--no-default-features", false);
    }
    if !overrides.features.is_empty() {
        keys.set_flag_list("build.features", "--features", overrides.features);
    }
    Ok(Scope {
        manifest_path: packages.manifest_path,
        packages: packages.package,
        workspace: packages.workspace,
        overrides: keys,
        cache: cache_folder()?,
        cache_size: cache_size()?,
    })
}

fn work(work: cli::Work) -> Result<Work> {
    let output = match work.output.as_deref() {
        None if work.no_push => Output::Local,
        None => Output::Default,
        Some(text) => output(text)?,
    };
    Ok(Work {
        scope: scope(work.packages, work.overrides)?,
        tasks: work.task,
        output,
        jobs: work.jobs,
        rebuild: work.rebuild,
        locked: work.cargo.locked || work.cargo.frozen,
        offline: work.cargo.offline || work.cargo.frozen,
        target_dir: work.cargo.target_dir,
        source_date_epoch: number("SOURCE_DATE_EPOCH")?.unwrap_or(0),
    })
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

fn cache_folder() -> Result<PathBuf> {
    let folder = env("UNION_CACHE_DIR").map(PathBuf::from);
    let folder = folder.or_else(|| env("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("cargo-union")));
    let folder = folder.or_else(|| env("HOME").map(|home| PathBuf::from(home).join(".cache/cargo-union")));
    folder.ok_or_else(|| Error::new(Code::SettingInvalid, "no folder for the cache is known").help("Set UNION_CACHE_DIR or HOME."))
}

fn cache_size() -> Result<u64> {
    const DEFAULT_GB: u64 = 10;
    Ok(number("UNION_CACHE_GB")?.unwrap_or(DEFAULT_GB).saturating_mul(1_000_000_000))
}

fn number(name: &str) -> Result<Option<u64>> {
    let Some(text) = env(name) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|cause| {
        Error::new(Code::SettingInvalid, format!("the environment variable {name} is `{text}`"))
            .because(cause)
            .help("Set it to a whole number, or unset it.")
    })
}

/// An environment variable that is set and not empty.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
