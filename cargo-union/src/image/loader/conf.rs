//! `/etc/ld.so.conf`: the folders from which `ldconfig` makes the loader's cache.
//!
//! The loader itself never reads it. It tells whether `ldconfig` would make a library known.

use crate::image::index::FileIndex;

/// How deep files may include one another.
const DEPTH: usize = 8;

/// The folders that an image's configuration names, in order.
pub(crate) fn folders(files: &FileIndex) -> Vec<&str> {
    let mut folders = Vec::new();
    read(files, "etc/ld.so.conf", DEPTH, &mut folders);
    folders
}

fn read<'a>(files: &'a FileIndex, path: &str, depth: usize, folders: &mut Vec<&'a str>) {
    let Some(text) = files.text(path).filter(|_| depth > 0) else { return };
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.split_once(char::is_whitespace) {
            Some(("include", patterns)) => {
                for pattern in patterns.split_whitespace() {
                    let relative = if pattern.starts_with('/') { "" } else { "etc/" };
                    for path in matching(files, &format!("{relative}{}", pattern.trim_start_matches('/'))) {
                        read(files, &path, depth - 1, folders);
                    }
                }
            }
            Some(("hwcap", _)) => {}
            // A folder may say for which C library it is: `/lib=libc6`.
            _ => folders.extend(line.split('=').next().filter(|folder| !folder.is_empty())),
        }
    }
}

/// The files that a pattern with at most one `*`, in its last part, names.
fn matching(files: &FileIndex, pattern: &str) -> Vec<String> {
    let Some((start, end)) = pattern.split_once('*') else { return vec![pattern.to_owned()] };
    let is_match = |path: &&str| {
        let middle = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
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
            files.put(path, FsEntry::File(Some(IndexedFile::Text((*text).to_owned()))));
        }
        files
    }

    #[test]
    fn included_files_come_where_they_are_included_in_the_order_of_their_names() {
        let files = image(&[
            ("etc/ld.so.conf", "# first\n/opt/first # why\ninclude /etc/ld.so.conf.d/*.conf\ninclude more.conf\n\n/opt/last=libc6\n"),
            ("etc/ld.so.conf.d/b.conf", "/opt/b\nhwcap 0 nosegneg\n"),
            ("etc/ld.so.conf.d/a.conf", "/opt/a\n"),
            ("etc/ld.so.conf.d/old/c.conf", "/opt/c\n"),
            ("etc/more.conf", "/opt/more\n"),
        ]);
        assert_eq!(folders(&files), ["/opt/first", "/opt/a", "/opt/b", "/opt/more", "/opt/last"]);
    }

    #[test]
    fn files_that_include_themselves_and_files_that_are_absent_are_no_end() {
        assert_eq!(folders(&image(&[("etc/ld.so.conf", "include /etc/ld.so.conf\ninclude /nowhere")])), [""; 0]);
        assert_eq!(folders(&image(&[])), [""; 0]);
    }
}
