//! `.dockerignore`: what of a Dockerfile's folder is no part of its build context.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use union_build::diag::Code;

use crate::base::error::{Error, Result};
use crate::base::fs;

/// The rules of a `.dockerignore`; the last that fits a path, or a folder above it, counts.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    rules: Vec<(GlobMatcher, bool)>,
}

impl Ignored {
    /// Reads the rules for a Dockerfile: a file of its own name beside it, else the folder's.
    pub(super) fn read(folder: &Path, dockerfile: &Path) -> Result<Self> {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        let own = fs::read_if_exists(Path::new(&own))?;
        let text = match own {
            Some(text) => Some(text),
            None => fs::read_if_exists(&folder.join(".dockerignore"))?,
        };
        Self::parse(&text.unwrap_or_default())
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rule = |line: &str| {
            let (pattern, leaves_out) = line.strip_prefix('!').map_or((line, true), |pattern| (pattern.trim(), false));
            let pattern = pattern.trim_start_matches("./").trim_matches('/');
            let glob =
                GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build().map_err(|cause| {
                    Error::new(Code::InvalidValue, format!("could not read `{line}` in a .dockerignore")).because(cause)
                })?;
            Ok((glob.compile_matcher(), leaves_out))
        };
        Ok(Self { rules: lines.map(rule).collect::<Result<_>>()? })
    }

    /// Whether a path, relative to the folder, is left out.
    pub(super) fn has(&self, path: &str) -> bool {
        let fits = |glob: &GlobMatcher| Path::new(path).ancestors().any(|above| !above.as_os_str().is_empty() && glob.is_match(above));
        self.rules.iter().rev().find(|(glob, _)| fits(glob)).is_some_and(|(_, leaves_out)| *leaves_out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rule_that_fits_counts() {
        let ignored = Ignored::parse("# notes\n*.md\n!README.md\n/target/\n**/*.log\nsecret?\ndocs/*\n!docs/keep\n").unwrap();
        for (path, left_out) in [
            ("a.md", true),
            ("README.md", false),
            ("deep/a.md", false),
            ("target", true),
            ("target/debug/x", true),
            ("deep/target", false),
            ("a.log", true),
            ("deep/er/a.log", true),
            ("secret1", true),
            ("secret", false),
            ("docs/a", true),
            ("docs/keep", false),
            ("docs", false),
        ] {
            assert_eq!(ignored.has(path), left_out, "{path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        assert_eq!(Ignored::parse("[a").unwrap_err().code(), Code::InvalidValue);
    }
}
