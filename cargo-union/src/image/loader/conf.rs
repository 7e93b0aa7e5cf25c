//! `/etc/ld.so.conf`: the directories from which `ldconfig` creates the loader's cache.
//!
//! The loader itself never reads it. It shows whether running `ldconfig` would add a library to the cache.

use crate::image::index::FileIndex;

/// The maximum depth of includes.
const DEPTH: usize = 8;

/// The configured directories of an image, in order.
pub(crate) fn directories(files: &FileIndex) -> Vec<&str> {
    let mut directories = Vec::new();
    read(files, "etc/ld.so.conf", DEPTH, &mut directories);
    directories
}

fn read<'a>(files: &'a FileIndex, path: &str, depth: usize, directories: &mut Vec<&'a str>) {
    let Some(text) = files.text(path).filter(|_| depth > 0) else {
        return;
    };
    for line in text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
    {
        match line.split_once(char::is_whitespace) {
            Some(("include", patterns)) => {
                for pattern in patterns.split_whitespace() {
                    let relative = if pattern.starts_with('/') { "" } else { "etc/" };
                    for path in matching(
                        files,
                        &format!("{relative}{}", pattern.trim_start_matches('/')),
                    ) {
                        read(files, &path, depth - 1, directories);
                    }
                }
            }
            Some(("hwcap", _)) => {}
            // A directory may be followed by a C library: `/lib=libc6`.
            _ => directories.extend(
                line.split('=')
                    .next()
                    .filter(|directory| !directory.is_empty()),
            ),
        }
    }
}

/// The files that match a pattern with at most one `*`, in its last component.
fn matching(files: &FileIndex, pattern: &str) -> Vec<String> {
    let Some((start, end)) = pattern.split_once('*') else {
        return vec![pattern.to_owned()];
    };
    let is_match = |path: &&str| {
        let middle = path
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end));
        middle.is_some_and(|middle| !middle.contains('/'))
    };
    files.paths().filter(is_match).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::index::{FsEntry, IndexedFile};

    fn image(texts: &[(&str, &str)]) -> FileIndex {
        let mut files = FileIndex::default();
        for (path, text) in texts {
            files.put(
                path,
                FsEntry::File(Some(IndexedFile::Text((*text).to_owned()))),
            );
        }
        files
    }

    #[test]
    fn included_files_are_read_in_place_sorted_by_name() {
        let files = image(&[
            (
                "etc/ld.so.conf",
                "# first\n/opt/first # why\ninclude /etc/ld.so.conf.d/*.conf\ninclude more.conf\n\n/opt/last=libc6\n",
            ),
            ("etc/ld.so.conf.d/b.conf", "/opt/b\nhwcap 0 nosegneg\n"),
            ("etc/ld.so.conf.d/a.conf", "/opt/a\n"),
            ("etc/ld.so.conf.d/old/c.conf", "/opt/c\n"),
            ("etc/more.conf", "/opt/more\n"),
        ]);
        assert_eq!(
            directories(&files),
            ["/opt/first", "/opt/a", "/opt/b", "/opt/more", "/opt/last"]
        );
    }

    #[test]
    fn recursive_includes_and_missing_files_are_ignored() {
        assert_eq!(
            directories(&image(&[(
                "etc/ld.so.conf",
                "include /etc/ld.so.conf\ninclude /nowhere"
            )])),
            [""; 0]
        );
        assert_eq!(directories(&image(&[])), [""; 0]);
    }
}
