#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use union_build::diag::Origin;

use super::*;
use crate::sys::fs::measure;

mod copies;
mod exclusions;
mod links;

/// A workspace of these files; a name that ends with `/` is a directory.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| tree.write(file, file));
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("workspace").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        if name.ends_with('/') {
            return std::fs::create_dir_all(path).unwrap();
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn link(&self, name: &str, target: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn roots(&self) -> SourceRoots {
        SourceRoots {
            workspace: self.path(""),
            package: self.path("app"),
            outputs: vec![self.path("out")],
        }
    }

    fn copy(&self, from: &str, exclude: &[&str]) -> spec::Copy {
        fn placed<T>(value: T) -> spec::Sourced<T> {
            spec::Sourced {
                value,
                origin: Origin::Default,
            }
        }
        let exclude = exclude
            .iter()
            .map(|pattern| placed((*pattern).to_owned()))
            .collect();
        let to = placed("/x".to_owned());
        spec::Copy {
            from: placed(self.path(from)),
            typed: from.to_owned(),
            to,
            mode: None,
            owner: None,
            exclude,
        }
    }

    fn excluding(&self, from: &str, exclude: &[&str]) -> Vec<String> {
        let shown = |item: &Item| {
            let place = item.to.strip_prefix("x/").unwrap_or(&item.to);
            match &item.kind {
                ItemKind::Directory => format!("{place}/"),
                ItemKind::File { mode: 0o644, .. } => place.to_owned(),
                ItemKind::File { mode, .. } => format!("{place} {mode:o}"),
                ItemKind::Link(target) => format!("{place} -> {target}"),
                ItemKind::Pipe | ItemKind::Device(_) => format!("{place} |"),
            }
        };
        let copy = self.copy(from, exclude);
        check(&copy, &self.roots()).unwrap();
        items(&copy, &self.roots(), &measure)
            .unwrap()
            .iter()
            .skip(1)
            .map(shown)
            .collect()
    }

    /// The items of a directory, relative to its destination.
    fn copied(&self, from: &str) -> Vec<String> {
        self.excluding(from, &[])
    }

    /// The error of a copy, which the check and the build must report alike.
    fn refused(&self, from: &str) -> (Code, String) {
        let copy = self.copy(from, &[]);
        let checked = check(&copy, &self.roots()).unwrap_err();
        let built = items(&copy, &self.roots(), &measure).unwrap_err();
        assert_eq!(
            (checked.code(), checked.chain()),
            (built.code(), built.chain()),
            "{from}"
        );
        (built.code(), built.chain().join(": "))
    }
}
