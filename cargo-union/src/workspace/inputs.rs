//! The code's part of an image's key.
//!
//! No absolute path, no time, no user and no registry may get in: the same tree has the same key
//! wherever it stands. Inputs are named as a user would name them, for a plan shows their names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use union_build::diag::Code;
use union_build::key::{Inputs, Value};
use union_build::spec::Pattern;

use super::config::ConfigInputOptions;
use super::learned_inputs::{AllLearned, LearnedInputs};
use super::linker::Linker;
use super::sources::{ExcludePatterns, relative};
use super::{CompileMode, CompileSettings, Linkage, Snapshot, WorkspacePackage, manifest};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// What an image says about its code.
#[derive(Clone, Debug)]
pub struct CodeInputOptions {
    /// How it is compiled.
    pub compile: CompileSettings,
    /// The targets of its platforms, in order.
    pub targets: Vec<String>,
    /// The binaries that it carries.
    pub binaries: BTreeSet<String>,
    /// Further files that feed the key.
    pub inputs: Vec<Pattern>,
    /// Files that do not.
    pub exclude: Vec<Pattern>,
    /// The digests of the images whose toolchain compiles it, by platform; none when the host's does.
    pub toolchains: Vec<(String, String)>,
    /// Where each target is compiled, once `auto` has been decided.
    pub places: Vec<CompileMode>,
    /// What else has a part in it, by the name that an input has: zig's release, this machine's processor.
    pub tools: BTreeMap<String, String>,
}

/// The inputs of an image's code, and what they cover.
#[derive(Clone, Debug, Default)]
pub struct CodeInputs {
    /// The named inputs.
    pub inputs: Inputs,
    /// Patterns of the image's `inputs` that match no file, with their places.
    pub unmatched: Vec<String>,
    /// The local packages that the code is made from.
    pub(super) packages: Vec<Arc<PackageInputs>>,
    /// The files behind the inputs, absolute.
    pub(super) files: BTreeSet<PathBuf>,
    /// The environment variables behind them.
    pub(super) variables: BTreeSet<String>,
    /// The binaries that the image carries; others are none of its business.
    pub(super) binaries: BTreeSet<String>,
    pub(super) excluded: ExcludePatterns,
}

/// What one local package is made from, by itself.
#[derive(Debug)]
pub(super) struct PackageInputs {
    /// The package.
    pub(super) package: WorkspacePackage,
    /// What of it is known beyond its directory.
    pub(super) learned: LearnedInputs,
    /// What of its manifest counts, and of the one that it inherits from.
    pub(super) manifests: Vec<(String, Value)>,
    /// Its files, with what each is called.
    pub(super) files: BTreeMap<PathBuf, String>,
    /// The revision of its repository, when it depends on it.
    pub(super) revision: Option<String>,
}

/// What all images of a package share.
#[derive(Debug, Default)]
pub(super) struct SharedInputs {
    inputs: Inputs,
    packages: Vec<Arc<PackageInputs>>,
    /// What it was found with.
    learned: AllLearned,
}

impl Snapshot<'_> {
    /// The inputs of one image's code. `learned` is what earlier compiles have shown.
    ///
    /// # Errors
    /// `LockfileMissing`, `FileUnreadable`, `InvalidValue`, `ManifestSyntax`.
    pub fn inputs(&self, package: &WorkspacePackage, settings: &CodeInputOptions, learned: &AllLearned) -> Result<CodeInputs> {
        let part = self.part(package, learned)?;
        let mut found = CodeInputs {
            inputs: part.inputs.clone(),
            unmatched: Vec::new(),
            packages: part.packages.clone(),
            files: BTreeSet::new(),
            variables: BTreeSet::new(),
            binaries: settings.binaries.clone(),
            excluded: ExcludePatterns::new(&settings.exclude)?,
        };
        self.settings(package, settings, &mut found)?;
        let mut sources: BTreeMap<PathBuf, String> = BTreeMap::new();
        for local in &part.packages {
            sources.extend(local.files.iter().map(|(file, name)| (file.clone(), name.clone())));
            for variable in &local.learned.variables {
                if found.variables.insert(variable.clone()) {
                    found.inputs.insert(format!("variable {variable}"), self.variable(variable));
                }
            }
        }
        for pattern in &settings.inputs {
            let matching = self.sources.matching(pattern)?;
            if matching.is_empty() {
                found.unmatched.push(format!("`{}` of `inputs` at {} matches no file", pattern.glob.value, pattern.glob.origin));
            }
            for file in matching {
                let name = file_name(relative(&self.workspace.root, &file)?);
                sources.insert(file, name);
            }
        }
        for (file, name) in sources.into_iter().filter(|(file, _)| !found.excluded.has(file)) {
            found.inputs.insert(name, self.sources.hash(&file)?);
            found.files.insert(file);
        }
        Ok(found)
    }

    /// The value of an environment variable as a key holds it: never in clear.
    pub(super) fn variable(&self, name: &str) -> Value {
        self.cargo.environment.get(name).map_or_else(|| Value::from("unset"), |value| Value::hash_of(self.portable(value)))
    }

    /// What all images of a package share, found once.
    fn part(&self, package: &WorkspacePackage, learned: &AllLearned) -> Result<Arc<SharedInputs>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get(&package.id).filter(|part| part.learned == *learned) {
            return Ok(part.clone());
        }
        let part = Arc::new(self.find_part(package, learned)?);
        parts.insert(package.id.clone(), part.clone());
        Ok(part)
    }

    fn find_part(&self, package: &WorkspacePackage, learned: &AllLearned) -> Result<SharedInputs> {
        let closure = self.lockfile.closure(package, |entry| self.local(entry))?;
        let mut part = SharedInputs { learned: learned.clone(), ..SharedInputs::default() };
        part.inputs.insert("Cargo.lock", manifest::hash(&closure.value()));
        for (name, version) in closure.versions() {
            part.inputs.insert(format!("Cargo.lock: {name}"), version);
        }
        for (name, value) in manifest::of_root(&self.root_manifest) {
            part.inputs.insert(name, value);
        }
        for entry in closure.local() {
            let local = self.local(entry).ok_or_else(|| {
                let tried = format!("Cargo.lock takes `{} {}` from this disk, but no manifest names its folder", entry.name, entry.version);
                Error::new(Code::LockfileMissing, tried).help("Run `cargo update --workspace`, or name it by `path`.")
            })?;
            let found = self.package(local, learned.get(&local.name).cloned().unwrap_or_default())?;
            for (name, value) in &found.manifests {
                part.inputs.insert(name.clone(), value.clone());
            }
            if let Some(revision) = &found.revision {
                part.inputs.insert(format!("revision of {}", local.name), revision.as_str());
            }
            part.packages.push(Arc::new(found));
        }
        Ok(part)
    }

    /// What one local package is made from.
    fn package(&self, local: &WorkspacePackage, learned: LearnedInputs) -> Result<PackageInputs> {
        let named = |path: &Path| relative(&self.workspace.root, path);
        let mut manifests = vec![(named(&local.manifest.path)?, self.sources.manifest(local, self.tests_reach_code())?)];
        // What a package inherits from another workspace is all of that manifest: it changes seldom.
        let root = local.root.join("Cargo.toml");
        if local.root != self.workspace.root && root != local.manifest.path {
            manifests.push((format!("{}: workspace", named(&root)?), self.sources.hash(&root)?));
        }
        let mut files = BTreeMap::new();
        for file in self.files(local, &learned)? {
            let name = file_name(named(&file)?);
            files.insert(file, name);
        }
        let revision = learned.revision.then(|| self.sources.repository_of(local).revision().unwrap_or_else(|| "none".to_owned()));
        Ok(PackageInputs { package: local.clone(), learned, manifests, files, revision })
    }

    /// Its own files, less what it makes itself, and those that it reads elsewhere.
    fn files(&self, local: &WorkspacePackage, learned: &LearnedInputs) -> Result<BTreeSet<PathBuf>> {
        let repository = self.sources.repository_of(local);
        let mut files = self.sources.of_package(local, learned.whole)?;
        for output in &learned.outputs {
            let output = fs::absolute(&local.folder, Path::new(output));
            // Whoever commits a file makes it an input.
            if !repository.tracks(&output) {
                files.remove(&output);
            }
        }
        for input in &learned.inputs {
            let input = fs::absolute(&local.folder, Path::new(input));
            if input.is_dir() {
                files.extend(self.sources.watched(&input, &repository)?.iter().cloned());
            } else if input.is_file() {
                if !input.starts_with(&local.folder) && input.parent() != Some(repository.root.as_path()) {
                    files.extend(self.sources.siblings(&input, &repository));
                }
                files.insert(input);
            }
        }
        Ok(files)
    }

    /// Whether features of dependencies that serve only tests reach the code: cargo's first resolver joins them.
    fn tests_reach_code(&self) -> bool {
        let of = |table: &str, key: &str| self.root_manifest.get(table)?.get(key)?.as_str().map(str::to_owned);
        let resolver = of("workspace", "resolver").or_else(|| of("package", "resolver"));
        let edition = || {
            of("package", "edition").or_else(|| {
                let workspace = self.root_manifest.get("workspace")?;
                workspace.get("package")?.get("edition")?.as_str().map(str::to_owned)
            })
        };
        let is_package = self.root_manifest.contains_key("package");
        resolver.map_or_else(|| !is_package || edition().is_none_or(|edition| edition.as_str() < "2021"), |resolver| resolver == "1")
    }

    fn settings(&self, package: &WorkspacePackage, settings: &CodeInputOptions, found: &mut CodeInputs) -> Result<()> {
        let compile = &settings.compile;
        let environment = &self.environment(compile);
        let in_container = !settings.places.is_empty() && settings.places.iter().all(|place| *place == CompileMode::Container);
        let triples: Vec<&str> = settings.targets.iter().map(String::as_str).collect();
        let inputs = &mut found.inputs;
        inputs.insert("package", package.name.as_str());
        inputs.insert("binaries", Value::texts(&settings.binaries));
        inputs.insert("profile", compile.profile.as_str());
        inputs.insert("features", Value::texts(&compile.features));
        inputs.insert("default-features", Value::Bool(compile.default_features));
        inputs.insert("target", Value::texts(&settings.targets));
        inputs.insert("link", if compile.linkage == Linkage::Static { "static" } else { "dynamic" });
        // Where it is compiled, which may be different places for different targets.
        let places: BTreeSet<&str> = settings.places.iter().map(|place| place.word()).collect();
        inputs.insert("compile", places.into_iter().collect::<Vec<_>>().join(", "));
        // The host's compiler has no part in what a container is told to compile.
        if !in_container {
            inputs.insert("rustc", self.toolchain.value());
        }
        for (name, value) in &settings.tools {
            inputs.insert(name.as_str(), value.as_str());
        }
        for (platform, digest) in &settings.toolchains {
            inputs.insert(format!("rust-image {platform}"), digest.as_str());
        }
        for triple in triples.iter().filter(|_| !in_container) {
            if let Linker::Cross { program, is_chosen: true } = self.linker(environment, triple) {
                inputs.insert(format!("linker of {triple}"), self.portable(&program));
            }
        }
        inputs.insert("build.apt-packages", Value::texts(&compile.apt_packages));
        let flags = |triple: &&str| {
            let flags = self.config.rustflags(environment, triple, |_| false);
            Value::hash_of(self.portable(&flags.join("\x1f")))
        };
        inputs.insert("rustflags", Value::List(triples.iter().map(flags).collect()));
        for (name, value) in &compile.env {
            inputs.insert(format!("build.env.{name}"), Value::hash_of(value));
            found.variables.insert(name.clone());
        }
        for (name, file) in self.named_files(environment, &triples, in_container) {
            found.inputs.insert(name, self.sources.hash(&file)?);
            found.files.insert(file);
        }
        let portable = |text: &str| self.portable(text);
        let reading = ConfigInputOptions { triples: &triples, portable: &portable, declared: &compile.env, in_container };
        for (name, value) in self.config.inputs(environment, &reading) {
            found.inputs.insert(name.clone(), value);
            found.variables.insert(name);
        }
        let set = self.config.get(&["env"]).and_then(toml::Value::as_table);
        found.variables.extend(set.into_iter().flatten().map(|(name, _)| name.clone()));
        found.variables.extend(["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].map(str::to_owned));
        Ok(())
    }
}

/// How a file is called. The parsed manifests, Cargo.lock and the settings have the plain names;
/// a file of such a name is seen as what it is by a leading `./`.
fn file_name(relative: String) -> String {
    let last = relative.rsplit('/').next().unwrap_or_default();
    let taken = matches!(last, "Cargo.toml" | "Cargo.lock") || !relative.contains(['.', '/']) || relative.contains(": ");
    if taken { format!("./{relative}") } else { relative }
}

/// Whether nothing moved between two looks at the same image's inputs. The second look needs a
/// second [`Workspace::load`](super::Workspace::load), for a workspace keeps its manifests' text.
///
/// # Errors
/// `InputsMoved`, which names what moved.
pub fn check_unchanged(before: &Inputs, after: &Inputs) -> Result<()> {
    let [old, new] = [before, after].map(|inputs| inputs.iter().collect::<BTreeMap<_, _>>());
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let moved: Vec<String> = names.into_iter().filter(|name| old.get(name) != new.get(name)).map(|name| format!("`{name}`")).collect();
    if moved.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 5;
    let more = moved.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let shown = moved[..moved.len().min(SHOWN)].join(", ");
    Err(Error::new(Code::InputsMoved, format!("{shown}{more} changed while the code was compiled")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_never_has_the_name_of_a_setting() {
        for (file, name) in [
            ("src/main.rs", "src/main.rs"),
            ("build.rs", "build.rs"),
            ("profile", "./profile"),
            ("Cargo.lock", "./Cargo.lock"),
            ("helper/Cargo.toml", "./helper/Cargo.toml"),
            ("Cargo.lock: serde", "./Cargo.lock: serde"),
        ] {
            assert_eq!(file_name(file.to_owned()), name);
        }
    }

    #[test]
    fn what_moved_is_named() {
        let inputs = |pairs: &[(&str, &str)]| {
            let mut inputs = Inputs::new();
            pairs.iter().for_each(|(name, value)| inputs.insert(*name, *value));
            inputs
        };
        let before = inputs(&[("a", "1"), ("b", "1"), ("gone", "1")]);
        assert!(check_unchanged(&before, &before.clone()).is_ok());
        let error = check_unchanged(&before, &inputs(&[("a", "1"), ("b", "2"), ("new", "1")])).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (Code::InputsMoved, "`b`, `gone`, `new` changed while the code was compiled")
        );
    }
}
