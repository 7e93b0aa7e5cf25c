//! Finds the config file: the first candidate that exists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use union_build::diag::{Code, Diagnostic, Origin, SourceFile};

use super::ConfigRequest;
use super::ini;
use super::keys::SECTIONS;
use super::yaml::{self, YamlNode};
use crate::sys::error::Result;
use crate::sys::fs;

#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) source: Arc<SourceFile>,
    /// `None` when it is empty, or has a problem that was reported.
    pub(super) root: Option<YamlNode>,
}

/// A path where a config file may be.
struct ConfigCandidate {
    path: PathBuf,
    /// Whether the user named it: then it must exist, and is taken to be a Flyte config.
    named: bool,
}

/// Finds and parses the config file.
///
/// # Errors
/// U0004 (`FileUnreadable`).
pub(super) fn find(
    request: &ConfigRequest<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Result<Option<ConfigFile>> {
    for candidate in candidates(request) {
        let text = if candidate.named {
            Some(fs::read_to_string(&candidate.path)?)
        } else {
            fs::read_if_exists(&candidate.path)?
        };
        let Some(text) = text else { continue };
        let is_yaml = candidate
            .path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        let source = SourceFile::new(candidate.path, text);
        if !is_yaml && ini::is_ini(&source.text) {
            let root = Some(ini::parse(&source.text));
            return Ok(Some(ConfigFile { source, root }));
        }
        match yaml::parse(&source.text) {
            Ok(root) if candidate.named || root.as_ref().is_some_and(has_sections) => {
                return Ok(Some(ConfigFile { source, root }));
            }
            Err(wrong) if candidate.named || has_section_line(&source.text) => {
                let place = Origin::File(source.clone(), wrong.span);
                problems.push(Diagnostic::error(
                    Code::FlyteConfigSyntax,
                    "the Flyte config is not valid YAML",
                    &place,
                    wrong.why,
                ));
                return Ok(Some(ConfigFile { source, root: None }));
            }
            // Many projects have a `config.yaml` for another tool.
            _ => {}
        }
    }
    Ok(None)
}

fn candidates(request: &ConfigRequest<'_>) -> Vec<ConfigCandidate> {
    let optional = |path: PathBuf| ConfigCandidate { path, named: false };
    let named = |path: &Path| ConfigCandidate {
        path: fs::absolute(request.directory, path),
        named: true,
    };
    if let Some(file) = request.file {
        return vec![named(file)];
    }
    let set_path = |name: &str| {
        request
            .environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(Path::new)
    };
    let repository = request
        .directory
        .ancestors()
        .find(|directory| directory.join(".git").exists());
    let mut candidates = vec![
        optional(request.directory.join("config.yaml")),
        optional(request.directory.join(".flyte/config.yaml")),
    ];
    candidates.extend(repository.map(|root| optional(root.join(".flyte/config.yaml"))));
    candidates.extend(set_path("UCTL_CONFIG").map(named));
    candidates.extend(set_path("FLYTECTL_CONFIG").map(named));
    if let Some(home) = set_path("HOME") {
        candidates.extend(
            [".union/config.yaml", ".flyte/config.yaml"].map(|path| optional(home.join(path))),
        );
    }
    // The INI files of flytekit, which prefers them.
    candidates.push(optional(request.directory.join("flytekit.config")));
    candidates.extend(set_path("HOME").map(|home| optional(home.join(".flyte/config"))));
    candidates
}

fn has_sections(root: &YamlNode) -> bool {
    SECTIONS.iter().any(|section| root.get(section).is_some())
}

/// Whether a text that is not YAML has a section of a Flyte config.
fn has_section_line(text: &str) -> bool {
    let is_section = |line: &str| {
        SECTIONS.iter().any(|section| {
            line.strip_prefix(section)
                .is_some_and(|rest| rest.trim_start().starts_with(':'))
        })
    };
    text.lines().any(is_section)
}
