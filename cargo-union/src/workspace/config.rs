//! cargo's configuration, as far as it affects a compile.
//!
//! Files are read from the workspace root upward and from `CARGO_HOME`, and merged by cargo's rules. cargo is always run
//! in the workspace root, so a member's own `.cargo` directory and the user's working directory do not matter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value as Toml};
use union_build::diag::Code;
use union_build::key::Value;

use super::Cargo;
use super::manifest::{canonical, hash_value, patched_directories};
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::Environment;

/// The settings that the inputs from the configuration depend on.
pub(super) struct ConfigInputOptions<'a> {
    /// The target triples of the compile.
    pub(super) triples: &'a [&'a str],
    /// Replaces paths of this machine in a text by fixed names.
    pub(super) portable: &'a dyn Fn(&str) -> String,
    /// Variables of `build.env`.
    pub(super) declared: &'a BTreeMap<String, String>,
    /// Whether all targets are compiled in containers.
    pub(super) in_container: bool,
}

/// The merged configuration, and the files that it was read from.
#[derive(Debug, Default)]
pub(super) struct CargoConfig {
    table: Table,
    files: Vec<(PathBuf, Table)>,
}

impl CargoConfig {
    /// Reads the configuration files of a workspace.
    ///
    /// # Errors
    /// `FileUnreadable`, `WorkspaceInvalid`.
    pub(super) fn load(cargo: &Cargo, root: &Path) -> Result<Self> {
        let mut directories: Vec<PathBuf> = root
            .ancestors()
            .map(|directory| directory.join(".cargo"))
            .collect();
        directories.extend(cargo.home().filter(|home| !directories.contains(home)));
        let mut config = Self::default();
        for directory in directories {
            let file = ["config", "config.toml"]
                .map(|name| directory.join(name))
                .into_iter()
                .find(|path| path.is_file());
            file.map_or(Ok(()), |path| config.read_file(path))?;
        }
        for (_, file) in config.files.iter().rev() {
            merge_tables(&mut config.table, file);
        }
        Ok(config)
    }

    /// Reads a file, and then the files that it includes, which have lower precedence.
    fn read_file(&mut self, path: PathBuf) -> Result<()> {
        if self.files.iter().any(|(known, _)| *known == path) {
            return Ok(());
        }
        let table: Table =
            fs::read_to_string(&path)?
                .parse()
                .map_err(|cause: toml::de::Error| {
                    Error::new(
                        Code::WorkspaceInvalid,
                        format!("could not parse `{}`", path.display()),
                    )
                    .because(cause)
                })?;
        let path_of = |entry: &Toml| {
            entry
                .as_str()
                .or_else(|| entry.get("path")?.as_str())
                .map(PathBuf::from)
        };
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let includes: Vec<PathBuf> = match table.get("include") {
            Some(Toml::Array(entries)) => entries.iter().filter_map(path_of).collect(),
            other => other.and_then(path_of).into_iter().collect(),
        };
        self.files.push((path, table));
        // The last include has the highest precedence. A missing file is optional, or cargo reports it.
        let present = includes
            .iter()
            .rev()
            .map(|include| fs::absolute(&directory, include))
            .filter(|include| include.is_file());
        present
            .into_iter()
            .try_for_each(|include| self.read_file(include))
    }

    /// The value under a path of keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Toml> {
        let (last, tables) = path.split_last()?;
        tables
            .iter()
            .try_fold(&self.table, |table, key| table.get(*key)?.as_table())?
            .get(*last)
    }

    /// The program under a path of keys. A relative path is resolved from the parent of its file's `.cargo` directory; a
    /// bare name is a program on the PATH.
    pub(super) fn program(&self, path: &[&str]) -> Option<PathBuf> {
        let value = self.get(path)?.as_str()?;
        if !value.contains('/') {
            return Some(value.into());
        }
        let declares = |table: &Table| {
            path.iter()
                .try_fold(&Toml::Table(table.clone()), |value, key| value.get(*key))
                .is_some()
        };
        let (file, _) = self.files.iter().find(|(_, table)| declares(table))?;
        Some(fs::absolute(file.parent()?.parent()?, Path::new(value)))
    }

    /// The user's flags for rustc, by cargo's rules: the first of
    /// `CARGO_ENCODED_RUSTFLAGS`, `RUSTFLAGS`, `target.*.rustflags` and `build.rustflags` that is set.
    /// `cfg` returns whether a `cfg(…)` table applies to the target.
    pub(super) fn rustflags(
        &self,
        environment: &Environment,
        triple: &str,
        cfg: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        if let Some(encoded) = environment.get("CARGO_ENCODED_RUSTFLAGS") {
            return encoded
                .split('\x1f')
                .filter(|flag| !flag.is_empty())
                .map(str::to_owned)
                .collect();
        }
        if let Some(flags) = environment.get("RUSTFLAGS") {
            return split_words(flags);
        }
        let mut flags = string_list(self.get(&["target", triple, "rustflags"]));
        flags.extend(
            environment
                .get(&variable(triple, "RUSTFLAGS"))
                .map(split_words)
                .unwrap_or_default(),
        );
        flags.extend(
            self.cfg_tables()
                .filter(|(name, _)| cfg(name))
                .flat_map(|(_, table)| string_list(table.get("rustflags"))),
        );
        if flags.is_empty() {
            flags = string_list(self.get(&["build", "rustflags"]));
            flags.extend(
                environment
                    .get("CARGO_BUILD_RUSTFLAGS")
                    .map(split_words)
                    .unwrap_or_default(),
            );
        }
        flags
    }

    /// Whether flags depend on the target's `cfg`.
    pub(super) fn has_cfg_rustflags(&self) -> bool {
        self.cfg_tables()
            .any(|(_, table)| table.get("rustflags").is_some())
    }

    /// The inputs from the configuration except flags, by name. Paths are replaced by `portable`; values of environment
    /// variables are hashed. A container compile uses the files, but not the linkers and wrappers that variables of this
    /// machine name.
    pub(super) fn inputs(
        &self,
        environment: &Environment,
        from: &ConfigInputOptions<'_>,
    ) -> Vec<(String, Value)> {
        let ConfigInputOptions {
            triples,
            portable,
            declared,
            in_container,
        } = from;
        let mut inputs = Vec::new();
        let mut add = |name: String, value: &Toml| {
            inputs.push((
                format!("cargo config: {name}"),
                hash_value(&canonical(&portable_toml(value, portable))),
            ))
        };
        for key in ["env", "profile", "patch", "paths", "unstable"] {
            self.get(&[key])
                .into_iter()
                .for_each(|value| add(key.to_owned(), value));
        }
        let applies = |name: &str| triples.contains(&name) || name.starts_with("cfg(");
        let targets = self.get(&["target"]).and_then(Toml::as_table);
        for (name, value) in targets
            .into_iter()
            .flatten()
            .filter(|(name, _)| applies(name))
        {
            let mut value = value.clone();
            if let Some(table) = value.as_table_mut() {
                // A runner does not affect a compile. The triple's flags are a separate input. Flags of `cfg(…)` tables
                // are always included, because it is not known here whether they apply.
                table.remove("runner");
                if !name.starts_with("cfg(") {
                    table.remove("rustflags");
                }
            }
            if value.as_table().is_none_or(|table| !table.is_empty()) {
                add(format!("target.{name}"), &value);
            }
        }
        for (key, program) in self.wrappers(environment, *in_container) {
            let name = program
                .file_name()
                .unwrap_or(program.as_os_str())
                .to_string_lossy()
                .into_owned();
            inputs.push((key.to_owned(), Value::from(name)));
        }
        let linkers: Vec<String> = triples
            .iter()
            .map(|triple| variable(triple, "LINKER"))
            .collect();
        let reaches = |name: &str| {
            name.starts_with("CARGO_PROFILE_")
                || name.starts_with("CARGO_UNSTABLE_")
                || name == "RUSTC_BOOTSTRAP"
                || (!in_container && linkers.iter().any(|linker| linker == name))
        };
        // Variables of `build.env` are inputs already.
        let variables = environment
            .iter()
            .filter(|(name, _)| reaches(name) && !declared.contains_key(*name));
        inputs.extend(
            variables.map(|(name, value)| (name.to_owned(), Value::hash_of(portable(value)))),
        );
        inputs
    }

    /// The wrappers of rustc, by cargo's key. A compile cache is left out, since it does not change the result. An empty
    /// variable overrides the files and means no wrapper.
    pub(super) fn wrappers(
        &self,
        environment: &Environment,
        in_container: bool,
    ) -> Vec<(&'static str, PathBuf)> {
        let find = |key: &'static str| {
            let variable = screaming(key);
            let names = [variable.clone(), format!("CARGO_BUILD_{variable}")];
            let from_environment = names
                .iter()
                .filter(|_| !in_container)
                .find_map(|name| environment.get(name))
                .map(PathBuf::from);
            let program = from_environment.or_else(|| self.program(&["build", key]))?;
            (!program.as_os_str().is_empty() && !is_compile_cache(&program))
                .then_some((key, program))
        };
        ["rustc-wrapper", "rustc-workspace-wrapper"]
            .into_iter()
            .filter_map(find)
            .collect()
    }

    /// The linker that is configured for a target.
    pub(super) fn linker(
        &self,
        environment: &Environment,
        triple: &str,
        in_container: bool,
    ) -> Option<PathBuf> {
        let from_environment = environment
            .get(&variable(triple, "LINKER"))
            .filter(|linker| !in_container && !linker.is_empty())
            .map(PathBuf::from);
        from_environment.or_else(|| self.program(&["target", triple, "linker"]))
    }

    /// `rustflags` of all profiles, an unstable feature of cargo.
    pub(super) fn profile_rustflags(&self, manifest: &Table) -> Vec<String> {
        let profiles = [manifest.get("profile"), self.get(&["profile"])]
            .into_iter()
            .flatten()
            .filter_map(Toml::as_table);
        profiles
            .flat_map(Table::values)
            .flat_map(|profile| string_list(profile.get("rustflags")))
            .collect()
    }

    /// The files that were read.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The keys that change a compile or the directories of its results, by file, in the order of precedence.
    pub(super) fn relevant_keys(&self) -> Vec<(&Path, Vec<String>)> {
        let files = self.files.iter();
        let found = files.map(|(path, table)| (path.as_path(), relevant_keys_of(table)));
        found.filter(|(_, keys)| !keys.is_empty()).collect()
    }

    /// Directories of `[patch]`. A relative path is resolved from the parent of its file's `.cargo` directory.
    pub(super) fn patched_directories(&self) -> Vec<PathBuf> {
        self.directories_of_files(patched_directories)
    }

    /// Directories of `paths`, whose packages override those of Cargo.lock.
    pub(super) fn overriding_directories(&self) -> Vec<PathBuf> {
        self.directories_of_files(|table| {
            string_list(table.get("paths"))
                .into_iter()
                .map(PathBuf::from)
                .collect()
        })
    }

    fn directories_of_files(&self, named: impl Fn(&Table) -> Vec<PathBuf>) -> Vec<PathBuf> {
        let directories = |(file, table): &(PathBuf, Table)| {
            let base = file.parent().and_then(Path::parent)?;
            Some(
                named(table)
                    .into_iter()
                    .map(|directory| fs::absolute(base, &directory))
                    .collect::<Vec<_>>(),
            )
        };
        self.files
            .iter()
            .filter_map(directories)
            .flatten()
            .collect()
    }

    fn cfg_tables(&self) -> impl Iterator<Item = (&str, &Toml)> {
        let targets = self.get(&["target"]).and_then(Toml::as_table);
        targets
            .into_iter()
            .flatten()
            .map(|(name, table)| (name.as_str(), table))
            .filter(|(name, _)| name.starts_with("cfg("))
    }
}

/// See [`CargoConfig::relevant_keys`]. Values are left out, since `[env]` may hold secrets.
fn relevant_keys_of(table: &Table) -> Vec<String> {
    const BUILD: [&str; 7] = [
        "rustc",
        "rustc-wrapper",
        "rustc-workspace-wrapper",
        "rustflags",
        "target",
        "target-dir",
        "build-dir",
    ];
    let names = |key: &str| -> Vec<&str> {
        let values = table.get(key).and_then(Toml::as_table);
        values
            .into_iter()
            .flatten()
            .map(|(name, _)| &**name)
            .collect()
    };
    let mut keys: Vec<String> = Vec::new();
    let build = names("build");
    keys.extend(
        BUILD
            .iter()
            .filter(|key| build.contains(key))
            .map(|key| format!("build.{key}")),
    );
    for name in names("target") {
        let values = table["target"].get(name).and_then(Toml::as_table);
        let values = values.into_iter().flatten().map(|(key, _)| key);
        keys.extend(
            values
                .filter(|key| *key != "runner")
                .map(|key| format!("target.{name}.{key}")),
        );
    }
    for key in ["env", "profile"] {
        keys.extend(names(key).into_iter().map(|name| format!("{key}.{name}")));
    }
    let whole = ["patch", "paths", "source", "unstable"];
    keys.extend(
        whole
            .iter()
            .filter(|key| table.contains_key(**key))
            .map(|key| (*key).to_owned()),
    );
    keys
}

/// The variable that cargo reads for a target: `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER`.
pub(super) fn variable(triple: &str, key: &str) -> String {
    format!("CARGO_TARGET_{}_{key}", screaming(triple))
}

fn is_compile_cache(wrapper: &Path) -> bool {
    const CACHES: [&str; 5] = ["sccache", "sccache-dist", "ccache", "cachepot", "kache"];
    wrapper
        .file_stem()
        .is_some_and(|name| CACHES.iter().any(|cache| name == *cache))
}

fn screaming(name: &str) -> String {
    name.to_uppercase().replace(['-', '.'], "_")
}

/// Merges by cargo's rules: tables key by key, arrays are concatenated, other values are replaced.
fn merge_tables(to: &mut Table, stronger: &Table) {
    for (key, value) in stronger {
        match (to.get_mut(key), value) {
            (Some(Toml::Table(to)), Toml::Table(from)) => merge_tables(to, from),
            (Some(Toml::Array(to)), Toml::Array(from)) => to.extend(from.iter().cloned()),
            _ => drop(to.insert(key.clone(), value.clone())),
        }
    }
}

fn string_list(value: Option<&Toml>) -> Vec<String> {
    match value {
        Some(Toml::String(text)) => split_words(text),
        Some(Toml::Array(values)) => values
            .iter()
            .filter_map(Toml::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn split_words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn portable_toml(value: &Toml, portable: &dyn Fn(&str) -> String) -> Toml {
    match value {
        Toml::String(text) => Toml::String(portable(text)),
        Toml::Array(values) => Toml::Array(
            values
                .iter()
                .map(|value| portable_toml(value, portable))
                .collect(),
        ),
        Toml::Table(table) => Toml::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), portable_toml(value, portable)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
