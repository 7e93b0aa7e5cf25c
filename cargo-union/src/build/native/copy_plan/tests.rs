#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use union_build::diag::Origin;

use super::*;
use crate::image::index::LayerChange;

/// A workspace with the files `a` and `b` and the directory `tree`, and a merged-usr base.
struct CopyContext {
    directory: tempfile::TempDir,
    index: FileIndex,
}

impl CopyContext {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("tree/bin/deep")).unwrap();
        for file in ["a", "b", "tree/bin/tool"] {
            std::fs::write(directory.path().join(file), file).unwrap();
        }
        let mut index = FileIndex::default();
        let file = || FsEntry::File(None);
        let base = [
            ("usr/bin/sh", file()),
            ("bin", FsEntry::Link("usr/bin".to_owned())),
            ("etc/motd", file()),
        ];
        index.apply(&base.map(|(path, node)| LayerChange::Put(path.to_owned(), node)));
        Self { directory, index }
    }

    fn copy(&mut self, pairs: &[(&str, &str)]) -> Result<Vec<String>> {
        fn placed<T>(value: T) -> spec::Sourced<T> {
            spec::Sourced {
                value,
                origin: Origin::Default,
            }
        }
        let from = |name: &str| -> PathBuf { self.directory.path().join(name) };
        let copies = pairs.iter().map(|(name, to)| spec::Copy {
            from: placed(from(name)),
            typed: (*name).to_owned(),
            to: placed((*to).to_owned()),
            mode: None,
            owner: None,
            exclude: Vec::new(),
        });
        let files = MeasuredFiles::new(&crate::sys::cache::Cache::new(
            self.directory.path().join("cache"),
        ));
        let roots = SourceRoots {
            workspace: self.directory.path().to_owned(),
            ..SourceRoots::default()
        };
        let entries = super::copies(
            "default",
            &copies.collect::<Vec<_>>(),
            (&roots, &files),
            "srv/app",
            &mut self.index,
        )?;
        Ok(entries
            .into_iter()
            .map(|entry| match entry.kind {
                EntryKind::File(from, _) => format!(
                    "{} = {}",
                    entry.path,
                    from.file_name().unwrap().to_str().unwrap()
                ),
                _ => format!("{}/", entry.path),
            })
            .collect())
    }
}

#[test]
fn copy_to_bin_of_a_merged_usr_base_is_placed_in_usr_bin() {
    assert_eq!(
        CopyContext::new().copy(&[("a", "/bin/x")]).unwrap(),
        ["usr/bin/x = a"]
    );
    assert_eq!(
        CopyContext::new().copy(&[("tree", "/")]).unwrap(),
        ["usr/bin/deep/", "usr/bin/tool = tool"]
    );
}

#[test]
fn relative_copy_is_placed_in_the_working_directory_of_the_base() {
    assert_eq!(
        CopyContext::new().copy(&[("a", "conf/x")]).unwrap(),
        ["srv/", "srv/app/", "srv/app/conf/", "srv/app/conf/x = a"]
    );
    assert_eq!(
        CopyContext::new().copy(&[("tree", "./")]).unwrap()[2..],
        [
            "srv/app/bin/",
            "srv/app/bin/deep/",
            "srv/app/bin/tool = tool"
        ]
    );
}

#[test]
fn only_missing_directories_become_entries() {
    assert_eq!(
        CopyContext::new()
            .copy(&[("a", "/etc/app/conf/x")])
            .unwrap(),
        ["etc/app/", "etc/app/conf/", "etc/app/conf/x = a"]
    );
    assert_eq!(
        CopyContext::new().copy(&[("a", "/etc/x")]).unwrap(),
        ["etc/x = a"]
    );
}

#[test]
fn later_copy_replaces_an_earlier_one() {
    let mut context = CopyContext::new();
    assert_eq!(
        context.copy(&[("a", "/srv/x"), ("b", "/srv/x")]).unwrap(),
        ["srv/", "srv/x = b"]
    );
    assert_eq!(context.copy(&[("a", "/srv/y")]).unwrap(), ["srv/y = a"]);
    let error = context.copy(&[("a", "/srv/x/below")]).unwrap_err();
    assert_eq!(error.code(), Code::CopyConflict);
}

#[test]
fn replacing_a_directory_by_a_file_or_a_file_by_a_directory_is_a_conflict() {
    for pair in [
        ("a", "/etc"),
        ("a", "/bin"),
        ("tree", "/etc/motd"),
        ("a", "/etc/motd/x"),
    ] {
        assert_eq!(
            CopyContext::new().copy(&[pair]).unwrap_err().code(),
            Code::CopyConflict,
            "{pair:?}"
        );
    }
}
