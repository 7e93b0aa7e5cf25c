//! One compile per target and build settings, for all binaries that the images of the package carry.
//!
//! Which images are made never changes what is compiled together: features would be unified
//! differently, and the bytes with them.

mod container;
mod methods;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;
use union_build::handover::References;

use super::Package;
use crate::base::error::Error;
use crate::base::fs;
use crate::build::Executable;
use crate::command::planning::keys::Keyed;
use crate::ui::Ui;
use crate::workspace::coverage::{Findings, uncovered};
use crate::workspace::{CompileSettings, Compiled, Job, Workshop, compile};
use methods::Chosen;
pub(in crate::command) use methods::{Choosing, Methods};

/// The executables of a package, by how they were compiled.
#[derive(Default)]
pub(in crate::command) struct Executables<'a>(BTreeMap<(&'a CompileSettings, &'a str), Made>);

/// What one compile has made, and where.
struct Made {
    executables: BTreeMap<String, PathBuf>,
    workshop: Arc<dyn Workshop>,
}

impl Executables<'_> {
    /// Where those of an image for its platform of that position were compiled.
    pub(in crate::command) fn workshop(&self, keyed: &Keyed, platform: usize) -> Arc<dyn Workshop> {
        let code = keyed.code.as_ref().expect("an image with executables has code");
        self.0[&(&code.compile, code.targets[platform].as_str())].workshop.clone()
    }

    /// Those of an image for its platform of that position.
    pub(in crate::command) fn of(&self, keyed: &Keyed, platform: usize) -> Vec<Executable> {
        let Some(code) = &keyed.code else { return Vec::new() };
        let compiled = &self.0[&(&code.compile, code.targets[platform].as_str())].executables;
        code.binaries.iter().map(|name| Executable { name: name.clone(), path: compiled[name].clone() }).collect()
    }
}

/// Compiles what the missing images need, out of all images of the package, and checks that the
/// compiler read nothing that a key does not cover.
///
/// # Errors
/// `CompileFailed` and whatever the checks find.
pub(in crate::command) async fn run<'a>(
    package: &Package<'_>,
    images: &'a [Keyed],
    missing: &[&Keyed],
    references: &References,
    methods: &Methods,
) -> Result<Executables<'a>> {
    let Package { work, session, snapshot, declared, ui, .. } = package;
    let jobs = jobs(images, missing);
    let aside = (jobs.len() > 1).then(|| session.workspace.target_directory.join("union/executables").join(&declared.package.name));
    let mut executables = Executables::default();
    let mut findings = Findings::default();
    for (position, ((settings, target), binaries)) in jobs.into_iter().enumerate() {
        let Chosen { method, workshop } = methods.of(settings, target);
        let job = Job { package: &declared.package, target, settings, method, binaries, source_date_epoch: work.source_date_epoch };
        let lent = ui.lend_terminal();
        let mut compiled = compile(snapshot, &job, &**workshop, &***ui).await?;
        drop(lent);
        check_generated(&compiled, references)?;
        for keyed in missing {
            let Some(code) = keyed.code.as_ref().filter(|code| code.compile == *settings) else { continue };
            let found = uncovered(snapshot, &declared.package, &code.inputs, &compiled)?;
            findings.warnings.extend(found.warnings);
            findings.outside.extend(found.outside);
            findings.warnings.extend(code.is_native().then(|| native(&declared.package.name)));
        }
        if let Some(aside) = &aside {
            set_aside(&mut compiled, &aside.join(position.to_string()))?;
        }
        executables.0.insert((settings, target), Made { executables: compiled.executables, workshop: workshop.clone() });
    }
    show(findings, ui);
    Ok(executables)
}

type Jobs<'a> = BTreeMap<(&'a CompileSettings, &'a str), BTreeSet<String>>;

/// What has to be compiled for the missing images, with the binaries of all images that share it.
fn jobs<'a>(images: &'a [Keyed], missing: &[&Keyed]) -> Jobs<'a> {
    let mut jobs: Jobs<'a> = BTreeMap::new();
    for code in images.iter().filter_map(|keyed| keyed.code.as_ref()) {
        for target in &code.targets {
            jobs.entry((&code.compile, target)).or_default().extend(code.binaries.iter().cloned());
        }
    }
    let is_needed = |settings: &CompileSettings, target: &str| {
        let needs = |keyed: &&Keyed| {
            keyed.code.as_ref().is_some_and(|code| code.compile == *settings && code.targets.iter().any(|own| own == target))
        };
        missing.iter().any(needs)
    };
    jobs.retain(|(settings, target), _| is_needed(settings, target));
    jobs
}

/// The next compile puts its executables where these are.
fn set_aside(compiled: &mut Compiled, folder: &std::path::Path) -> Result<()> {
    fs::create_folder(folder)?;
    for (name, path) in &mut compiled.executables {
        let aside = folder.join(name);
        std::fs::copy(&*path, &aside).map_err(|cause| fs::unwritable(&aside, cause))?;
        *path = aside;
    }
    Ok(())
}

/// The crate must have been compiled with the references that were handed over.
fn check_generated(compiled: &Compiled, references: &References) -> Result<()> {
    let Some(path) = compiled.generated_file() else { return Ok(()) };
    let text = fs::read_to_string(&path)?;
    let holds = |value: &Option<String>| value.as_ref().is_none_or(|value| text.contains(&format!("{value:?}")));
    if references.images.iter().all(|image| holds(&image.id) && holds(&image.tag) && holds(&image.repository)) {
        return Ok(());
    }
    let error = Error::new(Code::HandoverMismatch, format!("`{}` does not hold the references of this build", path.display()));
    Err(error.into())
}

/// What was compiled for this machine's processor may not start on a node.
fn native(package: &str) -> Error {
    let tried = format!(
        "the flags of `{package}` say `target-cpu=native`: where the processor is another one, it ends with an illegal instruction"
    );
    Error::new(Code::NativeProcessor, tried)
}

fn show(findings: Findings, ui: &Ui) {
    let mut said = BTreeSet::new();
    for warning in findings.warnings {
        if said.insert(warning.to_string()) {
            ui.warning(format!("[{}] {warning}\n  = help: {}", warning.code(), warning.advice()));
        }
    }
    for file in findings.outside.iter().collect::<BTreeSet<_>>() {
        ui.note(format!("the compiler read `{}`, which is outside of the workspace and not part of the key", file.display()));
    }
}
