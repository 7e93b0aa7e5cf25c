//! One compile per target and build settings, for all binaries that the images of the package carry.
//!
//! Which images are made never changes what is compiled together: features would be unified
//! differently, and the bytes with them.

mod container;
mod methods;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;
use union_build::handover::References;

use super::ready::{Package, Ready};
use crate::base::error::Error;
use crate::base::fs;
use crate::build::Executable;
use crate::command::planning::keys::{Crate, Keyed};
use crate::workspace::coverage::Findings;
use crate::workspace::{CodeInputs, CompileSettings, Compiled, Job, Workshop, compile};
use methods::Chosen;
pub(in crate::command) use methods::{Choosing, Methods};

/// The executables of a package, by how they were compiled.
#[derive(Default)]
pub(in crate::command) struct Executables(BTreeMap<(CompileSettings, String), Made>);

/// What one compile has made, and where.
struct Made {
    executables: BTreeMap<String, PathBuf>,
    workshop: Arc<dyn Workshop>,
}

impl Executables {
    fn made(&self, code: &Crate, platform: usize) -> Option<&Made> {
        self.0.get(&(code.compile.clone(), code.targets.get(platform)?.clone()))
    }

    /// Where those of an image for its platform of that position were compiled.
    pub(in crate::command) fn workshop(&self, keyed: &Keyed, platform: usize) -> Option<Arc<dyn Workshop>> {
        Some(self.made(keyed.code.as_ref()?, platform)?.workshop.clone())
    }

    /// Those of an image for its platform of that position.
    pub(in crate::command) fn of(&self, keyed: &Keyed, platform: usize) -> Vec<Executable> {
        let Some(code) = &keyed.code else { return Vec::new() };
        let Some(made) = self.made(code, platform) else { return Vec::new() };
        let of = |name: &String| Some(Executable { name: name.clone(), path: made.executables.get(name)?.clone() });
        code.binaries.iter().filter_map(of).collect()
    }
}

/// Compiles what the missing images of all packages need, out of all images of each package, and looks at what the
/// compiler has read.
///
/// # Errors
/// `CompileFailed` and whatever the checks find.
pub(in crate::command) async fn run(packages: &[Ready<'_>]) -> Result<Vec<(Executables, Findings)>> {
    let mut all = Vec::new();
    let wanted: Vec<Jobs<'_>> = packages.iter().map(|ready| jobs(&ready.plan.keyed, &needed(ready))).collect();
    let is_shared = wanted.iter().map(BTreeMap::len).sum::<usize>() > 1;
    for (ready, jobs) in packages.iter().zip(wanted) {
        all.push(compile_package(ready, jobs, is_shared).await?);
    }
    let outside: BTreeSet<&PathBuf> = all.iter().flat_map(|(_, findings): &(Executables, Findings)| &findings.outside).collect();
    for file in outside {
        let ui = packages.first().map(|ready| ready.package.ui);
        let note = format!("the compiler read `{}`, which is outside of the repository and not part of the key", file.display());
        ui.into_iter().for_each(|ui| ui.note(&note));
    }
    Ok(all)
}

fn needed<'a>(ready: &'a Ready<'_>) -> Vec<&'a Keyed> {
    ready.needed().map(|image| &image.keyed).collect()
}

/// `is_shared` says whether a later compile puts its executables where these are.
async fn compile_package(ready: &Ready<'_>, jobs: Jobs<'_>, is_shared: bool) -> Result<(Executables, Findings)> {
    let Package { work, session, snapshot, declared, ui, .. } = ready.package;
    let package = &declared.package;
    let aside = session.workspace.target_directory.join("union/executables").join(&package.name);
    let (mut executables, mut findings) = (Executables::default(), Findings::default());
    for (position, ((settings, target), binaries)) in jobs.into_iter().enumerate() {
        let Chosen { method, workshop } = ready.methods.of(settings, target);
        let job = Job { package, target, settings, method, binaries, source_date_epoch: work.source_date_epoch };
        let codes = ready.needed().filter_map(|image| image.keyed.code.as_ref());
        let inputs: Vec<&CodeInputs> = codes.filter(|code| code.compile == *settings).map(|code| &code.inputs).collect();
        let is_native =
            ready.needed().filter_map(|image| image.keyed.code.as_ref()).any(|code| code.compile == *settings && code.is_native());
        if is_native {
            let warning = native(&package.name);
            ui.warning(format!("[{}] {warning}\n  = help: {}", warning.code(), warning.advice()));
        }
        let lent = ui.lend_terminal();
        let (compiled, found) = compile(snapshot, &job, &inputs, &**workshop, &**ui).await?;
        drop(lent);
        check_generated(&compiled, package, &ready.plan.references)?;
        findings.merge(found);
        let mut made = compiled.executables(package);
        if is_shared {
            set_aside(&mut made, &aside.join(position.to_string()))?;
        }
        let made = Made { executables: made, workshop: workshop.clone() };
        executables.0.insert((settings.clone(), target.to_owned()), made);
    }
    Ok((executables, findings))
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
fn set_aside(executables: &mut BTreeMap<String, PathBuf>, folder: &Path) -> Result<()> {
    fs::create_folder(folder)?;
    for (name, path) in executables {
        let aside = folder.join(name);
        std::fs::copy(&*path, &aside).map_err(|cause| fs::unwritable(&aside, cause))?;
        *path = aside;
    }
    Ok(())
}

/// The crate must have been compiled with the references that were handed over.
fn check_generated(compiled: &Compiled, package: &crate::workspace::Package, references: &References) -> Result<()> {
    let Some(path) = compiled.generated_file(package) else { return Ok(()) };
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
