//! Adds a manifest, a task and a build script to an existing package.

use std::path::{Path, PathBuf};

use union_build::diag::{Code, Severity, SourceFile};
use union_build::spec::starter::{Starter, StarterTask, starter};
use union_build::spec::{Overrides, TaskKind};

use super::changes::{FileChange, write_all};
use super::{
    NewTask, ScaffoldOptions, ScaffoldOutcome, conflict, manifest, next_commands, programs,
};
use crate::pipeline::context::read_spec;
use crate::pipeline::problems::{ManifestProblems, Result};
use crate::sys::error::{Error, Result as FileResult};
use crate::sys::fs;
use crate::workspace::{Binary, Cargo, Selection, Workspace, WorkspacePackage};

/// The versions that a manifest gets.
const UNION_BUILD: &str = "0.1";
const FLYTE: &str = "0.1";

/// Adds a starter manifest to a package that has none, and what the options name.
///
/// # Errors
/// `NoManifest` for a workspace without a package of its own; `ScaffoldConflict` for what exists already; `UsageInvalid`
/// for the name of a task; `ManifestSyntax`, `FileUnreadable`, `FileUnwritable`; problems of the resulting manifest.
pub(crate) async fn init(
    cargo: &Cargo,
    manifest_path: Option<&Path>,
    options: &ScaffoldOptions,
    dry_run: bool,
) -> Result<ScaffoldOutcome> {
    let workspace = Workspace::load(cargo, manifest_path).await?;
    let package = sole_package(&workspace)?;
    let plan = PackageChanges::new(&workspace, package, options, false)?;
    if !dry_run {
        write_all(&plan.changes)?;
    }
    Ok(plan.outcome(cargo))
}

/// Adds to a package that cargo has just created. Its `src/main.rs` is replaced.
pub(super) async fn complete(
    cargo: &Cargo,
    manifest_path: &Path,
    options: &ScaffoldOptions,
) -> Result<ScaffoldOutcome> {
    let workspace = Workspace::load(cargo, Some(manifest_path)).await?;
    let package = sole_package(&workspace)?;
    let plan = PackageChanges::new(&workspace, package, options, true)?;
    write_all(&plan.changes)?;
    Ok(plan.outcome(cargo))
}

fn sole_package(workspace: &Workspace) -> Result<&WorkspacePackage> {
    match workspace.select(&Selection::default())?[..] {
        [package] => Ok(package),
        _ => Err(Error::new(
            Code::NoManifest,
            format!(
                "`{}` is a workspace without a package of its own",
                workspace.root_manifest.path.display()
            ),
        )
        .help("Run the command in a member's directory, or pass its `--manifest-path`.")
        .into()),
    }
}

struct PackageChanges<'a> {
    package: &'a WorkspacePackage,
    is_new: bool,
    task: Option<StarterTask>,
    manifest: String,
    changes: Vec<FileChange>,
}

impl<'a> PackageChanges<'a> {
    fn new(
        workspace: &Workspace,
        package: &'a WorkspacePackage,
        options: &ScaffoldOptions,
        is_new: bool,
    ) -> Result<Self> {
        let mut plan = Self {
            package,
            is_new,
            task: None,
            manifest: fs::read_to_string(&package.manifest.path)?,
            changes: Vec::new(),
        };
        if let Some(task) = &options.task {
            plan.add_task(task)?;
        }
        if options.references {
            plan.add_references()?;
        }
        plan.add_tables(options)?;
        plan.add_manifest();
        plan.check(workspace)?;
        Ok(plan)
    }

    fn outcome(self, cargo: &Cargo) -> ScaffoldOutcome {
        let task = self.task.as_ref().map(|task| task.name.as_str());
        ScaffoldOutcome {
            next: next_commands(&cargo.directory, &self.package.directory, task),
            directory: self.package.directory.clone(),
            files: self.changes,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.package.directory.join(name)
    }

    /// The program of a task, and the dependency of one of the `flyte` crate.
    fn add_task(&mut self, task: &NewTask) -> Result<()> {
        let package = &self.package.name;
        let name = match &task.name {
            Some(name) => name.clone(),
            None if self.is_new => package.clone(),
            None => format!("{package}-task"),
        };
        check_task_name(&name, task.kind)?;
        let program = programs::program(task.kind, &name);
        let binary = if self.is_new {
            self.replace_main(program)?;
            package.clone()
        } else {
            self.add_binary(&name, program)?;
            name.clone()
        };
        if task.kind == TaskKind::Rust {
            self.depend("dependencies", "flyte", FLYTE)?;
        }
        self.task = Some(StarterTask {
            name,
            binary,
            kind: task.kind,
        });
        Ok(())
    }

    fn replace_main(&mut self, program: String) -> Result<()> {
        let path = self.path("src/main.rs");
        let before = fs::read_to_string(&path)?;
        self.change(path, Some(before), program);
        Ok(())
    }

    fn add_binary(&mut self, name: &str, program: String) -> Result<()> {
        let path = self.path(&format!("src/bin/{name}.rs"));
        let exists = self
            .package
            .binaries
            .iter()
            .any(|binary| binary.name == name);
        if exists || path.symlink_metadata().is_ok() {
            let message = format!(
                "package `{}` has a program `{name}` already",
                self.package.name
            );
            return Err(conflict(message, "Give the task another name: `--task=NAME`.").into());
        }
        let manifest = manifest::parse(&self.manifest)?;
        let autobins = manifest
            .get("package")
            .and_then(|package| package.get("autobins"));
        if autobins.and_then(toml::Value::as_bool) == Some(false) {
            let message = format!(
                "package `{}` finds no programs by itself",
                self.package.name
            );
            return Err(conflict(message, "Remove `autobins = false` from Cargo.toml, or declare a task of a program that exists.").into());
        }
        self.change(path, None, program);
        Ok(())
    }

    /// The build script, its dependency, and the line that includes what it writes.
    fn add_references(&mut self) -> Result<()> {
        let script = self.path("build.rs");
        match fs::read_if_exists(&script)? {
            Some(text) if text.contains("union_build::emit") => {}
            Some(_) => return Err(has_build_script(&self.package.name).into()),
            None if self.has_build_key()? => {
                return Err(has_build_script(&self.package.name).into());
            }
            None => self.change(script, None, programs::BUILD_SCRIPT.to_owned()),
        }
        self.depend("build-dependencies", "union-build", UNION_BUILD)?;
        let source = ["src/main.rs", "src/lib.rs"]
            .map(|name| self.path(name))
            .into_iter()
            .find(|path| path.is_file());
        let Some(source) = source else {
            let message = format!(
                "package `{}` has neither src/main.rs nor src/lib.rs",
                self.package.name
            );
            let help = format!(
                "Add this line to the file that is to have the constants: `{}`.",
                programs::INCLUDE.trim_end()
            );
            return Err(conflict(message, help).into());
        };
        self.include_references(source)?;
        Ok(())
    }

    fn has_build_key(&self) -> FileResult<bool> {
        let manifest = manifest::parse(&self.manifest)?;
        Ok(manifest
            .get("package")
            .is_some_and(|package| package.get("build").is_some()))
    }

    fn include_references(&mut self, source: PathBuf) -> FileResult<()> {
        if let Some(planned) = self.changes.iter_mut().find(|change| change.path == source) {
            planned.after = manifest::append(&planned.after, programs::INCLUDE);
            return Ok(());
        }
        let text = fs::read_to_string(&source)?;
        if !text.contains("union_images.rs") {
            let added = manifest::append(&text, programs::INCLUDE);
            self.change(source, Some(text), added);
        }
        Ok(())
    }

    fn depend(&mut self, table: &str, name: &str, version: &str) -> FileResult<()> {
        if let Some(added) = manifest::add_dependency(&self.manifest, table, name, version)? {
            self.manifest = added;
        }
        Ok(())
    }

    fn add_tables(&mut self, options: &ScaffoldOptions) -> Result<()> {
        let mut binaries: Vec<String> = self
            .package
            .binaries
            .iter()
            .map(|binary| binary.name.clone())
            .collect();
        binaries.extend(
            self.task
                .iter()
                .map(|task| task.binary.clone())
                .filter(|name| {
                    !self
                        .package
                        .binaries
                        .iter()
                        .any(|binary| binary.name == *name)
                }),
        );
        let tables = starter(&Starter {
            binaries,
            registry: options.registry.clone(),
            task: self.task.clone(),
        });
        if !self.package.declares_union {
            self.manifest = manifest::add_tables(&self.manifest, &tables)?;
            return Ok(());
        }
        if options.registry.is_none() && options.task.is_none() {
            return Ok(());
        }
        let lines: Vec<&str> = tables
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        Err(conflict(
            format!(
                "`{}` declares `[package.metadata.union]` already",
                self.package.manifest.path.display()
            ),
            format!("Add what is missing of these lines:\n{}", lines.join("\n")),
        )
        .into())
    }

    /// The manifest is written last, because it refers to the other files.
    fn add_manifest(&mut self) {
        let path = self.package.manifest.path.clone();
        let before = &self.package.manifest.text;
        if self.manifest != *before {
            let before = before.clone();
            self.change(path, Some(before), self.manifest.clone());
        }
    }

    /// Checks the manifest that would be written, such as for an invalid registry.
    fn check(&self, workspace: &Workspace) -> Result<()> {
        let mut package = self.package.clone();
        package.manifest = SourceFile::new(package.manifest.path.clone(), self.manifest.clone());
        let added = self.task.iter().filter(|_| !self.is_new);
        package.binaries.extend(added.map(|task| Binary {
            name: task.binary.clone(),
            required_features: Vec::new(),
        }));
        let overrides = Overrides::new(&package.directory);
        let (_, problems, _) = read_spec(workspace, &package, &overrides);
        let errors: Vec<_> = problems
            .into_iter()
            // The dependency on `flyte` is added in the same manifest.
            .filter(|problem| {
                problem.severity == Severity::Error && problem.code != Code::KindUnfit
            })
            .collect();
        match errors.is_empty() {
            true => Ok(()),
            false => Err(ManifestProblems(errors).into()),
        }
    }

    fn change(&mut self, path: PathBuf, before: Option<String>, after: String) {
        self.changes.push(FileChange {
            path,
            before,
            after,
        });
    }
}

fn has_build_script(package: &str) -> Error {
    conflict(
        format!("package `{package}` has a build script already"),
        format!(
            "Add `union_build::emit();` to its `main`, `cargo add --build union-build@{UNION_BUILD}`, and this line to src/main.rs: `{}`.",
            programs::INCLUDE.trim_end()
        ),
    )
}

/// Words that no function can have as its name.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "main", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "test", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A task's name is also that of its program's file, and of a function.
fn check_task_name(name: &str, kind: TaskKind) -> FileResult<()> {
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let is_reserved = kind == TaskKind::Rust && KEYWORDS.contains(&name);
    if is_plain && !is_reserved {
        return Ok(());
    }
    let why = match is_plain {
        true => "it is a word of Rust, and the name is also that of the task's function",
        false => "the name is also that of the task's program",
    };
    Err(Error::new(
        Code::UsageInvalid,
        format!("`{}` cannot be the name of a new task", name.escape_debug()),
    )
    .because(why)
    .help("Use a name of letters, digits, `-` and `_` that starts with a letter, such as `--task=count-words`."))
}
