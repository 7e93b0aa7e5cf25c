//! The user's flags for rustc, and the files, programs and processors that they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{CompileSettings, Snapshot};
use crate::sys::error::Result;
use crate::sys::fs;
use crate::sys::process::Environment;

impl Snapshot<'_> {
    /// The environment of a compile: the user's variables, overridden by those of `build.env`. Keys and compiles both read
    /// variables from here.
    pub(super) fn environment(&self, compile: &CompileSettings) -> Environment {
        let mut environment = self.cargo.environment.clone();
        for (name, value) in &compile.env {
            environment.set(name, value);
        }
        environment
    }

    /// The user's `SOURCE_DATE_EPOCH`; `None` when it is not set or 0, which is the default.
    pub fn source_date_epoch(&self) -> Option<&str> {
        self.cargo
            .environment
            .get("SOURCE_DATE_EPOCH")
            .map(str::trim)
            .filter(|epoch| !matches!(*epoch, "" | "0"))
    }

    /// The user's flags for a target, by cargo's rules.
    pub(super) async fn user_rustflags(
        &self,
        environment: &Environment,
        triple: &str,
    ) -> Result<Vec<String>> {
        if !self.config.has_cfg_rustflags() {
            return Ok(self.config.rustflags(environment, triple, |_| false));
        }
        let applies = self
            .toolchain
            .cfg(self.cargo, &self.workspace.root, triple)
            .await?;
        Ok(self.config.rustflags(environment, triple, applies))
    }

    /// The host's processor as rustc detects it, when flags select `target-cpu=native`: such a binary may not run on
    /// another processor.
    ///
    /// # Errors
    /// `ToolMissing`.
    pub async fn processor(
        &self,
        compile: &CompileSettings,
        triples: &[String],
    ) -> Result<Option<String>> {
        let environment = self.environment(compile);
        let mut processors = BTreeSet::new();
        for triple in triples {
            let mut flags = self.user_rustflags(&environment, triple).await?;
            flags.extend(self.config.profile_rustflags(&self.root_manifest));
            if is_native(&self.expanded(flags)) {
                processors.insert(
                    self.toolchain
                        .processor(self.cargo, &self.workspace.root, triple)
                        .await?,
                );
            }
        }
        Ok((!processors.is_empty()).then(|| processors.into_iter().collect::<Vec<_>>().join("\n")))
    }

    /// The existing files that flags, linkers and wrappers name, by their names as inputs. Programs outside of the workspace
    /// are left out.
    pub(super) fn named_files(
        &self,
        environment: &Environment,
        triples: &[&str],
        in_container: bool,
    ) -> BTreeMap<String, PathBuf> {
        let mut files = BTreeMap::new();
        let root = &self.workspace.root;
        let mut add = |role: &str, named: &Path| {
            let path = fs::absolute(root, named);
            if path.is_file() {
                files.insert(
                    format!("{role}: {}", self.portable(&named.to_string_lossy())),
                    path,
                );
            }
        };
        let mut programs: Vec<PathBuf> = self
            .config
            .wrappers(environment, in_container)
            .into_iter()
            .map(|(_, path)| path)
            .collect();
        for triple in triples {
            programs.extend(self.config.linker(environment, triple, in_container));
            // It is not known here whether a `cfg(…)` applies, so the files of both cases are included.
            let mut flags = [true, false]
                .map(|applies| self.config.rustflags(environment, triple, |_| applies))
                .concat();
            flags.extend(self.config.profile_rustflags(&self.root_manifest));
            let named = NamedByFlags::parse(&flags, &|path| self.read_named_file(path));
            named
                .files
                .iter()
                .for_each(|file| add("file of rustflags", Path::new(file)));
            programs.extend(named.programs.into_iter().map(PathBuf::from));
        }
        let is_in_workspace = |program: &PathBuf| {
            program.components().count() > 1 && fs::absolute(root, program).starts_with(root)
        };
        programs
            .iter()
            .filter(|program| is_in_workspace(program))
            .for_each(|program| add("program", program));
        files
    }

    /// The files outside of the workspace root that a container compile needs besides packages: cargo's configuration, and
    /// what flags name.
    pub fn configured_paths(&self, compile: &CompileSettings, triple: &str) -> BTreeSet<PathBuf> {
        let named = self
            .named_files(&self.environment(compile), &[triple], true)
            .into_values();
        named
            .chain(self.config.files().map(Path::to_owned))
            .filter(|path| !path.starts_with(&self.workspace.root))
            .collect()
    }

    /// Flags with `@file` replaced by the file's lines.
    fn expanded(&self, flags: Vec<String>) -> Vec<String> {
        let mut all = Vec::new();
        for flag in flags {
            match flag
                .strip_prefix('@')
                .and_then(|path| self.read_named_file(path))
            {
                Some(text) => all.extend(text.lines().map(str::to_owned)),
                None => all.push(flag),
            }
        }
        all
    }

    /// The text of a file that a flag names; `None` when it cannot be read.
    fn read_named_file(&self, path: &str) -> Option<String> {
        fs::read_to_string(&fs::absolute(&self.workspace.root, Path::new(path))).ok()
    }
}

/// Whether the last `target-cpu` is `native`.
fn is_native(flags: &[String]) -> bool {
    let options = codegen_options(flags);
    let mut processors = options.iter().filter_map(|option| {
        option
            .strip_prefix("target-cpu")
            .or_else(|| option.strip_prefix("target_cpu"))
    });
    processors
        .next_back()
        .is_some_and(|value| value.trim_start_matches(['=', ' ']) == "native")
}

/// The options of `-C`, `-Z` and `--codegen`, joined or as separate arguments.
fn codegen_options(flags: &[String]) -> Vec<&str> {
    let mut options = Vec::new();
    let mut flags = flags.iter().map(String::as_str);
    while let Some(flag) = flags.next() {
        match flag {
            "-C" | "-Z" | "--codegen" => options.extend(flags.next()),
            _ => options.extend(
                ["-C", "-Z", "--codegen="]
                    .into_iter()
                    .find_map(|start| flag.strip_prefix(start)),
            ),
        }
    }
    options
}

/// The files and programs that flags name, as written.
#[derive(Default)]
struct NamedByFlags {
    files: BTreeSet<String>,
    programs: BTreeSet<String>,
}

impl NamedByFlags {
    /// `read` returns the text of a file with further flags.
    fn parse(flags: &[String], read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut named = Self::default();
        named.add(flags, read);
        named
    }

    fn add(&mut self, flags: &[String], read: &dyn Fn(&str) -> Option<String>) {
        for file in flags.iter().filter_map(|flag| flag.strip_prefix('@')) {
            if self.files.insert(file.to_owned())
                && let Some(text) = read(file)
            {
                self.add(&text.lines().map(str::to_owned).collect::<Vec<_>>(), read);
            }
        }
        let externs = flags
            .iter()
            .zip(flags.iter().skip(1))
            .filter(|(flag, _)| *flag == "--extern")
            .map(|(_, value)| value.as_str());
        let externs = externs.chain(
            flags
                .iter()
                .filter_map(|flag| flag.strip_prefix("--extern=")),
        );
        self.files
            .extend(externs.filter_map(|value| Some(value.split_once('=')?.1.to_owned())));
        for option in codegen_options(flags) {
            let Some((key, value)) = option.split_once('=') else {
                continue;
            };
            match key.replace('_', "-").as_str() {
                "linker" => drop(self.programs.insert(value.to_owned())),
                "link-arg" | "pre-link-arg" | "post-link-arg" => self.add_linker_word(value, read),
                "link-args" | "pre-link-args" | "post-link-args" => {
                    value
                        .split_whitespace()
                        .for_each(|word| self.add_linker_word(word, read));
                }
                _ => drop(self.files.insert(value.to_owned())),
            }
        }
    }

    /// Linker arguments name files by themselves, after `-T`, after `=`, and in a response file after `@`.
    fn add_linker_word(&mut self, word: &str, read: &dyn Fn(&str) -> Option<String>) {
        for part in word
            .strip_prefix("-Wl,")
            .map_or(vec![word], |parts| parts.split(',').collect())
        {
            if let Some(list) = part.strip_prefix('@') {
                if self.files.insert(list.to_owned())
                    && let Some(text) = read(list)
                {
                    text.split_whitespace().for_each(|word| {
                        self.add_linker_word(word.trim_matches(['"', '\'']), read)
                    });
                }
                continue;
            }
            let values = [
                part.strip_prefix("-T"),
                part.split_once('=').map(|(_, value)| value),
            ];
            self.files.extend(
                values
                    .into_iter()
                    .flatten()
                    .chain([part])
                    .map(|file| file.trim_start_matches('=').to_owned()),
            );
        }
    }
}

#[cfg(test)]
mod tests;
