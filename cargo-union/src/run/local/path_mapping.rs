//! Paths of a container in the texts of a task, replaced by paths of this machine.

/// Pairs of a container's path and the path on this machine.
pub(super) struct PathMapping(pub(super) Vec<(String, String)>);

impl PathMapping {
    /// A text with every whole path replaced, where the longest match wins: `/data` is replaced neither in `/database`
    /// nor, when `/data/out` has an entry of its own, in `/data/out`.
    pub(super) fn apply(&self, text: &str) -> String {
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
        let mut mapped = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let is_start = !mapped.ends_with(|before: char| is_part(before) || before == '/');
            let matches = |from: &str| {
                !from.is_empty()
                    && rest
                        .strip_prefix(from)
                        .is_some_and(|after| !after.starts_with(is_part))
            };
            let entry = self
                .0
                .iter()
                .filter(|(from, _)| is_start && matches(from))
                .max_by_key(|(from, _)| from.len());
            let length = match entry {
                Some((from, to)) => {
                    mapped.push_str(to);
                    from.len()
                }
                None => {
                    mapped.push(next);
                    next.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_are_replaced() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let mapping = PathMapping(vec![
            pair("/data", "/tmp/in"),
            pair("/data/out", "/tmp/data/out"),
            pair("/union/bin/a", "/target/a"),
        ]);
        for (text, expected) in [
            ("/data", "/tmp/in"),
            ("--in=/data/x,/data/out/y", "--in=/tmp/in/x,/tmp/data/out/y"),
            ("/database /my/data data", "/database /my/data data"),
            ("/data.csv /data-1", "/data.csv /data-1"),
            ("cp /data/a '/data/out'", "cp /tmp/in/a '/tmp/data/out'"),
            ("/union/bin/a /union/bin/ab", "/target/a /union/bin/ab"),
            ("ä/data:/data", "ä/data:/tmp/in"),
        ] {
            assert_eq!(mapping.apply(text), expected);
        }
    }
}
