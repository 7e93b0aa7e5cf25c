//! Which file is read: the first that is there, and no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use union_build::diag::{Code, Diagnostic, Origin, SourceFile};

use super::ConfigRequest;
use super::keys::SECTIONS;
use super::yaml::{self, YamlNode};
use crate::sys::error::Result;
use crate::sys::fs;

/// The file that was found.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) source: Arc<SourceFile>,
    /// `None` when it is empty, or has a problem that was noted.
    pub(super) root: Option<YamlNode>,
}

/// A file that may be the one.
struct ConfigCandidate {
    path: PathBuf,
    /// Whether somebody named it, so that it has to be there and to be a Flyte config.
    named: bool,
}

/// Finds and reads the file.
///
/// # Errors
/// `FileUnreadable`.
pub(super) fn find(request: &ConfigRequest<'_>, problems: &mut Vec<Diagnostic>) -> Result<Option<ConfigFile>> {
    for candidate in candidates(request) {
        let text = if candidate.named { Some(fs::read_to_string(&candidate.path)?) } else { fs::read_if_exists(&candidate.path)? };
        let Some(text) = text else { continue };
        let source = SourceFile::new(candidate.path, text);
        match yaml::parse(&source.text) {
            Ok(root) if candidate.named || root.as_ref().is_some_and(has_sections) => return Ok(Some(ConfigFile { source, root })),
            Err(wrong) if candidate.named || looks_like_one(&source.text) => {
                let place = Origin::File(source.clone(), wrong.span);
                problems.push(Diagnostic::error(Code::FlyteConfigSyntax, "the Flyte config is not valid YAML", &place, wrong.why));
                return Ok(Some(ConfigFile { source, root: None }));
            }
            // Many a project has a `config.yaml` of its own.
            _ => {}
        }
    }
    Ok(None)
}

fn candidates(request: &ConfigRequest<'_>) -> Vec<ConfigCandidate> {
    let usual = |path: PathBuf| ConfigCandidate { path, named: false };
    let named = |path: &Path| ConfigCandidate { path: fs::absolute(request.folder, path), named: true };
    if let Some(file) = request.file {
        return vec![named(file)];
    }
    let variable = |name: &str| request.environment.get(name).filter(|value| !value.is_empty()).map(Path::new);
    let repository = request.folder.ancestors().find(|folder| folder.join(".git").exists());
    let mut candidates = vec![usual(request.folder.join("config.yaml")), usual(request.folder.join(".flyte/config.yaml"))];
    candidates.extend(repository.map(|root| usual(root.join(".flyte/config.yaml"))));
    candidates.extend(variable("UCTL_CONFIG").map(named));
    candidates.extend(variable("FLYTECTL_CONFIG").map(named));
    if let Some(home) = variable("HOME") {
        candidates.extend([".union/config.yaml", ".flyte/config.yaml"].map(|path| usual(home.join(path))));
    }
    candidates
}

fn has_sections(root: &YamlNode) -> bool {
    SECTIONS.iter().any(|section| root.get(section).is_some())
}

/// Whether a text that is not YAML would be a Flyte config if it were.
fn looks_like_one(text: &str) -> bool {
    let starts =
        |line: &str| SECTIONS.iter().any(|section| line.strip_prefix(section).is_some_and(|rest| rest.trim_start().starts_with(':')));
    text.lines().any(starts)
}
