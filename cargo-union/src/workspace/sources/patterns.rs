//! Patterns of `inputs` and `exclude`.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use union_build::diag::Code;
use union_build::spec::Pattern;

use crate::sys::error::{Error, Result};
use crate::sys::fs;

pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The `exclude` patterns of an image.
#[derive(Clone, Debug, Default)]
pub(in crate::workspace) struct ExcludePatterns(Vec<(PathBuf, Gitignore)>);

impl ExcludePatterns {
    /// # Errors
    /// `InvalidValue`.
    pub(in crate::workspace) fn new(patterns: &[Pattern]) -> Result<Self> {
        let matcher = |pattern: &Pattern| {
            let (directory, glob) = split_glob(pattern);
            Ok((directory.clone(), matcher(pattern, &directory, &glob)?))
        };
        Ok(Self(patterns.iter().map(matcher).collect::<Result<_>>()?))
    }

    pub(in crate::workspace) fn has(&self, file: &Path) -> bool {
        self.0
            .iter()
            .any(|(directory, matcher)| matches(matcher, directory, file))
    }
}

/// Splits a pattern into its leading directories without wildcards, which may be `..`, and the glob below them. As in
/// `.gitignore`, a glob without a slash matches at any depth.
pub(super) fn split_glob(pattern: &Pattern) -> (PathBuf, String) {
    let text = pattern
        .glob
        .value
        .strip_prefix("./")
        .unwrap_or(&pattern.glob.value);
    let parts: Vec<&str> = text.split('/').collect();
    let is_plain = |part: &&str| !is_glob(part);
    let plain = parts[..parts.len() - 1]
        .iter()
        .take_while(|part| is_plain(part))
        .count();
    let directory = fs::absolute(&pattern.directory, Path::new(&parts[..plain].join("/")));
    let glob = parts[plain..].join("/");
    (
        directory,
        if plain == 0 { glob } else { format!("/{glob}") },
    )
}

pub(super) fn matcher(pattern: &Pattern, directory: &Path, glob: &str) -> Result<Gitignore> {
    let invalid = |cause: ignore::Error| {
        let message = format!(
            "the pattern `{}` at {} is not valid",
            pattern.glob.value, pattern.glob.origin
        );
        Error::new(Code::InvalidValue, message).because(cause)
    };
    let mut builder = GitignoreBuilder::new(directory);
    builder.add_line(None, glob).map_err(invalid)?;
    builder.build().map_err(invalid)
}

pub(super) fn matches(matcher: &Gitignore, directory: &Path, file: &Path) -> bool {
    file.starts_with(directory) && matcher.matched_path_or_any_parents(file, false).is_ignore()
}
