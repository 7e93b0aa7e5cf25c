//! The patterns of `inputs` and `exclude`.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use union_build::diag::Code;
use union_build::spec::Pattern;

use crate::sys::error::{Error, Result};
use crate::sys::fs;

pub(super) fn is_glob(typed: &str) -> bool {
    typed.contains(['*', '?', '[', '{'])
}

/// The `exclude` patterns of an image.
#[derive(Clone, Debug, Default)]
pub(in crate::workspace) struct ExcludePatterns(Vec<(PathBuf, Gitignore)>);

impl ExcludePatterns {
    /// # Errors
    /// `InvalidValue`.
    pub(in crate::workspace) fn new(patterns: &[Pattern]) -> Result<Self> {
        let matcher = |pattern: &Pattern| {
            let (folder, glob) = globbed(pattern);
            Ok((folder.clone(), matcher(pattern, &folder, &glob)?))
        };
        Ok(Self(patterns.iter().map(matcher).collect::<Result<_>>()?))
    }

    pub(in crate::workspace) fn has(&self, file: &Path) -> bool {
        self.0.iter().any(|(folder, matcher)| matches(matcher, folder, file))
    }
}

/// A pattern's plain leading folders, which may be `..`, and its glob below them. As in `.gitignore`
/// a glob without a slash holds at any depth.
pub(super) fn globbed(pattern: &Pattern) -> (PathBuf, String) {
    let typed = pattern.glob.value.strip_prefix("./").unwrap_or(&pattern.glob.value);
    let parts: Vec<&str> = typed.split('/').collect();
    let is_plain = |part: &&str| !is_glob(part);
    let plain = parts[..parts.len() - 1].iter().take_while(|part| is_plain(part)).count();
    let folder = fs::absolute(&pattern.folder, Path::new(&parts[..plain].join("/")));
    let glob = parts[plain..].join("/");
    (folder, if plain == 0 { glob } else { format!("/{glob}") })
}

pub(super) fn matcher(pattern: &Pattern, folder: &Path, glob: &str) -> Result<Gitignore> {
    let invalid = |cause: ignore::Error| {
        let tried = format!("the pattern `{}` at {} is not valid", pattern.glob.value, pattern.glob.origin);
        Error::new(Code::InvalidValue, tried).because(cause)
    };
    let mut builder = GitignoreBuilder::new(folder);
    builder.add_line(None, glob).map_err(invalid)?;
    builder.build().map_err(invalid)
}

pub(super) fn matches(matcher: &Gitignore, folder: &Path, file: &Path) -> bool {
    file.starts_with(folder) && matcher.matched_path_or_any_parents(file, false).is_ignore()
}
