//! The code inputs of an image's content key.
//!
//! No absolute path, time, user or registry may be part of them: the same tree has the same key in every checkout.
//! The names of inputs are shown by `cargo union plan`, so they use the user's terms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use union_build::diag::Code;
use union_build::key::{Inputs, Value};

use super::code_inputs::{
    CodeInputOptions, CodeInputs, PackageInputs, SharedInputs, UntrackedInputs,
};
use super::config::ConfigInputOptions;
use super::learned_inputs::{LearnedInputs, LearnedPackages};
use super::linker::Linker;
use super::sources::{ExcludePatterns, relative};
use super::{CompileMode, CompileSettings, Linkage, Snapshot, WorkspacePackage, manifest};
use crate::sys::error::{Error, Result};
use crate::sys::{fs, parallel};

impl Snapshot<'_> {
    /// Computes the inputs of one image's code. `learned` has the learned inputs of Union.lock.
    ///
    /// # Errors
    /// `LockfileMissing`, `FileUnreadable`, `InvalidValue`, `ManifestSyntax`.
    pub fn inputs(
        &self,
        package: &WorkspacePackage,
        settings: &CodeInputOptions,
        learned: &LearnedPackages,
    ) -> Result<CodeInputs> {
        let shared = self.shared_inputs(package, learned)?;
        let mut code = CodeInputs {
            inputs: shared.inputs.clone(),
            unmatched: Vec::new(),
            packages: shared.packages.clone(),
            files: BTreeSet::new(),
            variables: BTreeSet::new(),
            binaries: settings.binaries.clone(),
            excluded: ExcludePatterns::new(&settings.exclude)?,
            untracked: UntrackedInputs::default(),
        };
        self.add_settings(package, settings, &mut code)?;
        let mut sources: BTreeMap<PathBuf, String> = BTreeMap::new();
        for local in &shared.packages {
            sources.extend(
                local
                    .files
                    .iter()
                    .map(|(file, name)| (file.clone(), name.clone())),
            );
            for variable in &local.learned.variables {
                if code.variables.insert(variable.clone()) {
                    code.inputs
                        .insert(format!("variable {variable}"), self.variable(variable));
                }
            }
        }
        for pattern in &settings.inputs {
            let matching = self.sources.matching(pattern)?;
            if matching.is_empty() {
                code.unmatched.push(format!(
                    "`{}` of `inputs` at {} matches no file",
                    pattern.glob.value, pattern.glob.origin
                ));
            }
            for file in matching {
                let name = file_name(relative(&self.workspace.root, &file)?);
                sources.insert(file, name);
            }
        }
        let sources: Vec<(PathBuf, String)> = sources
            .into_iter()
            .filter(|(file, _)| !code.excluded.has(file))
            .collect();
        let hashes = parallel::try_map(&sources, |(file, _)| self.sources.hash(file))?;
        for ((file, name), hash) in sources.into_iter().zip(hashes) {
            code.inputs.insert(name, hash);
            code.files.insert(file);
        }
        Ok(code)
    }

    /// The value of an environment variable as an input: hashed, since it may be a secret.
    pub(super) fn variable(&self, name: &str) -> Value {
        self.cargo.environment.get(name).map_or_else(
            || Value::from("unset"),
            |value| Value::hash_of(self.portable(value)),
        )
    }

    /// The inputs that all images of a package share, computed once per set of learned inputs.
    fn shared_inputs(
        &self,
        package: &WorkspacePackage,
        learned: &LearnedPackages,
    ) -> Result<Arc<SharedInputs>> {
        let mut cached = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = cached
            .get(&package.id)
            .filter(|shared| shared.learned == *learned)
        {
            return Ok(shared.clone());
        }
        let shared = Arc::new(self.compute_shared_inputs(package, learned)?);
        cached.insert(package.id.clone(), shared.clone());
        Ok(shared)
    }

    fn compute_shared_inputs(
        &self,
        package: &WorkspacePackage,
        learned: &LearnedPackages,
    ) -> Result<SharedInputs> {
        let closure = self.lockfile.closure(package, |entry| self.local(entry))?;
        let mut shared = SharedInputs {
            learned: learned.clone(),
            ..SharedInputs::default()
        };
        shared
            .inputs
            .insert("Cargo.lock", manifest::hash_value(&closure.value()));
        for (name, version) in closure.versions() {
            shared.inputs.insert(format!("Cargo.lock: {name}"), version);
        }
        for (name, value) in manifest::root_inputs(&self.root_manifest) {
            shared.inputs.insert(name, value);
        }
        let entries: Vec<_> = closure.local().collect();
        let packages = parallel::try_map(&entries, |entry| {
            let local = self.local(entry).ok_or_else(|| {
                let message = format!(
                    "Cargo.lock has the local package `{} {}`, but no manifest names its directory",
                    entry.name, entry.version
                );
                Error::new(Code::LockfileMissing, message)
                    .help("Run `cargo update --workspace`, or name it by `path`.")
            })?;
            self.package_inputs(local, learned.get(&local.name).cloned().unwrap_or_default())
        })?;
        for inputs in packages {
            for (name, value) in &inputs.manifests {
                shared.inputs.insert(name.clone(), value.clone());
            }
            if let Some(revision) = &inputs.revision {
                shared.inputs.insert(
                    format!("revision of {}", inputs.package.name),
                    revision.as_str(),
                );
            }
            shared.packages.push(Arc::new(inputs));
        }
        Ok(shared)
    }

    /// The inputs of one local package.
    fn package_inputs(
        &self,
        local: &WorkspacePackage,
        learned: LearnedInputs,
    ) -> Result<PackageInputs> {
        let name_of = |path: &Path| relative(&self.workspace.root, path);
        let mut manifests = vec![(
            name_of(&local.manifest.path)?,
            self.sources.manifest(local, self.tests_reach_code())?,
        )];
        // If a package inherits from another workspace, the whole manifest of that workspace is an input: it changes
        // rarely.
        let root = local.root.join("Cargo.toml");
        if local.root != self.workspace.root && root != local.manifest.path {
            manifests.push((
                format!("{}: workspace", name_of(&root)?),
                self.sources.hash(&root)?,
            ));
        }
        let mut files = BTreeMap::new();
        for file in self.files(local, &learned)? {
            let name = file_name(name_of(&file)?);
            files.insert(file, name);
        }
        let revision = learned.revision.then(|| {
            self.sources
                .repository_of(local)
                .revision()
                .unwrap_or_else(|| "none".to_owned())
        });
        Ok(PackageInputs {
            package: local.clone(),
            learned,
            manifests,
            files,
            revision,
        })
    }

    /// The files of a package without its outputs, and the files outside of its directory that it reads.
    fn files(
        &self,
        local: &WorkspacePackage,
        learned: &LearnedInputs,
    ) -> Result<BTreeSet<PathBuf>> {
        let repository = self.sources.repository_of(local);
        let mut files = self.sources.package_files(local, learned.whole)?;
        for output in &learned.outputs {
            let output = fs::absolute(&local.directory, Path::new(output));
            // A tracked file is an input, even if the build script writes it.
            if !repository.tracks(&output) {
                files.remove(&output);
            }
        }
        for input in &learned.inputs {
            let input = fs::absolute(&local.directory, Path::new(input));
            if input.is_dir() {
                files.extend(self.sources.watched(&input, &repository)?.iter().cloned());
            } else if input.is_file() {
                if !input.starts_with(&local.directory)
                    && input.parent() != Some(repository.root.as_path())
                {
                    files.extend(self.sources.siblings(&input, &repository));
                }
                files.insert(input);
            }
        }
        Ok(files)
    }

    /// Whether features of dev-dependencies reach the code: cargo's resolver 1 unifies them.
    fn tests_reach_code(&self) -> bool {
        let get = |table: &str, key: &str| {
            self.root_manifest
                .get(table)?
                .get(key)?
                .as_str()
                .map(str::to_owned)
        };
        let resolver = get("workspace", "resolver").or_else(|| get("package", "resolver"));
        let edition = || {
            get("package", "edition").or_else(|| {
                let workspace = self.root_manifest.get("workspace")?;
                workspace
                    .get("package")?
                    .get("edition")?
                    .as_str()
                    .map(str::to_owned)
            })
        };
        let is_package = self.root_manifest.contains_key("package");
        resolver.map_or_else(
            || !is_package || edition().is_none_or(|edition| edition.as_str() < "2021"),
            |resolver| resolver == "1",
        )
    }

    fn add_settings(
        &self,
        package: &WorkspacePackage,
        settings: &CodeInputOptions,
        code: &mut CodeInputs,
    ) -> Result<()> {
        // Lists all fields of both, so that a new setting does not compile until it is part of the key.
        let CodeInputOptions {
            compile,
            targets,
            binaries,
            toolchains,
            compile_modes,
            tools,
            // Added by `Snapshot::inputs`.
            inputs: _,
            exclude: _,
        } = settings;
        let CompileSettings {
            profile,
            features,
            default_features,
            linkage,
            env,
            apt_packages,
            // Resolved to the mode of each target, and to digests of toolchain images.
            compile_mode: _,
            rust_image: _,
        } = compile;
        let environment = &self.environment(compile);
        let in_container = !compile_modes.is_empty()
            && compile_modes
                .iter()
                .all(|compile_mode| *compile_mode == CompileMode::Container);
        let triples: Vec<&str> = targets.iter().map(String::as_str).collect();
        let inputs = &mut code.inputs;
        inputs.insert("package", package.name.as_str());
        inputs.insert("binaries", Value::texts(binaries));
        inputs.insert("profile", profile.as_str());
        inputs.insert("features", Value::texts(features));
        inputs.insert("default-features", Value::Bool(*default_features));
        inputs.insert("target", Value::texts(targets));
        inputs.insert(
            "link",
            if *linkage == Linkage::Static {
                "static"
            } else {
                "dynamic"
            },
        );
        // Targets may be compiled in different modes.
        let modes: BTreeSet<&str> = compile_modes.iter().map(|mode| mode.word()).collect();
        inputs.insert("compile", modes.into_iter().collect::<Vec<_>>().join(", "));
        // A container compile does not use the host's compiler.
        if !in_container {
            inputs.insert("rustc", self.toolchain.identity());
        }
        for (name, value) in tools {
            inputs.insert(name.as_str(), value.as_str());
            let value = Value::from(value.as_str());
            code.untracked.values.insert(name.clone(), value);
        }
        for (platform, digest) in toolchains {
            inputs.insert(format!("rust-image {platform}"), digest.as_str());
        }
        for triple in triples.iter().filter(|_| !in_container) {
            if let Linker::Cross {
                program,
                is_chosen: true,
            } = self.linker(environment, triple)
            {
                inputs.insert(format!("linker of {triple}"), self.portable(&program));
            }
        }
        inputs.insert("build.apt-packages", Value::texts(apt_packages));
        let flags = |triple: &&str| {
            let flags = self.config.rustflags(environment, triple, |_| false);
            Value::hash_of(self.portable(&flags.join("\x1f")))
        };
        inputs.insert(
            "rustflags",
            Value::List(triples.iter().map(flags).collect()),
        );
        for (name, value) in env {
            inputs.insert(format!("build.env.{name}"), Value::hash_of(value));
            code.variables.insert(name.clone());
        }
        for (name, file) in self.named_files(environment, &triples, in_container) {
            code.inputs.insert(name.clone(), self.sources.hash(&file)?);
            code.files.insert(file.clone());
            code.untracked.files.insert(name, file);
        }
        let portable = |text: &str| self.portable(text);
        let options = ConfigInputOptions {
            triples: &triples,
            portable: &portable,
            declared: env,
            in_container,
        };
        for (name, value) in self.config.inputs(environment, &options) {
            code.inputs.insert(name.clone(), value.clone());
            code.untracked.values.insert(name.clone(), value);
            code.variables.insert(name);
        }
        let configured = self.config.get(&["env"]).and_then(toml::Value::as_table);
        code.variables.extend(
            configured
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone()),
        );
        code.variables
            .extend(["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"].map(str::to_owned));
        Ok(())
    }
}

/// The name of a file as an input. The plain names are taken by the parsed manifests, Cargo.lock and the settings;
/// a file of such a name gets a leading `./`.
fn file_name(relative: String) -> String {
    let last = relative.rsplit('/').next().unwrap_or_default();
    let is_reserved = matches!(last, "Cargo.toml" | "Cargo.lock")
        || !relative.contains(['.', '/'])
        || relative.contains(": ");
    if is_reserved {
        format!("./{relative}")
    } else {
        relative
    }
}

/// Compares the inputs of an image from before and after its compile. The second set of inputs requires another
/// [`Workspace::load`](super::Workspace::load), since a workspace holds the text of its manifests.
///
/// # Errors
/// `InputsMoved`, with the names of the inputs that differ.
pub fn check_unchanged(before: &Inputs, after: &Inputs) -> Result<()> {
    let [old, new] = [before, after].map(|inputs| inputs.iter().collect::<BTreeMap<_, _>>());
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let changed: Vec<String> = names
        .into_iter()
        .filter(|name| old.get(name) != new.get(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 5;
    let more = changed.len().saturating_sub(SHOWN);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let shown = changed[..changed.len().min(SHOWN)].join(", ");
    Err(Error::new(
        Code::InputsMoved,
        format!("{shown}{more} changed while the code was compiled"),
    ))
}

#[cfg(test)]
mod tests;
