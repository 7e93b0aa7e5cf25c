//! Additions to the text of a Cargo.toml. The user's text is not changed.

use toml::{Table, Value};
use union_build::diag::Code;

use super::conflict;
use crate::sys::error::{Error, Result};

/// A text with lines added at its end, after an empty line, with the line ends that the text has.
pub(super) fn append(text: &str, lines: &str) -> String {
    let end = line_end(text);
    let mut appended = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        appended.push_str(end);
    }
    let is_empty = text.trim_start_matches('\u{feff}').trim().is_empty();
    if !is_empty && !text.ends_with(&format!("{end}{end}")) {
        appended.push_str(end);
    }
    appended.push_str(&lines.replace('\n', end));
    appended
}

/// A manifest with the tables of a starter manifest at its end.
///
/// # Errors
/// `ScaffoldConflict` when the manifest declares `package.metadata` in a form that no table can be added to, as
/// `metadata = { docs = 1 }`; `ManifestSyntax`.
pub(super) fn add_tables(text: &str, tables: &str) -> Result<String> {
    parse(text)?;
    let added = append(text, tables);
    match parse(&added) {
        Ok(_) => Ok(added),
        Err(error) => Err(conflict(
            "could not add `[package.metadata.union]` to Cargo.toml",
            "Write `[package.metadata]` as a table of its own: `[package.metadata.NAME]` instead of an inline table or dotted keys.",
        )
        .because(error.chain().join(": "))),
    }
}

/// A manifest with a dependency in `[dependencies]` or `[build-dependencies]`: a line in the table where it exists, else
/// a new table. `None` when the manifest has the dependency.
///
/// # Errors
/// `ScaffoldConflict` with the line to add, when it cannot be added; `ManifestSyntax`.
pub(super) fn add_dependency(
    text: &str,
    table: &str,
    name: &str,
    version: &str,
) -> Result<Option<String>> {
    let mut wanted = parse(text)?;
    let entry = wanted
        .entry(table)
        .or_insert_with(|| Value::Table(Table::new()));
    let Some(dependencies) = entry.as_table_mut() else {
        return Err(unfit(table, name, version));
    };
    if dependencies.contains_key(name) {
        return Ok(None);
    }
    dependencies.insert(name.to_owned(), Value::from(version));
    let line = format!("{name} = \"{version}\"");
    let candidates = after_headers(text, table, &line)
        .into_iter()
        .chain([append(text, &format!("[{table}]\n{line}\n"))]);
    // A line that looks like a header may be part of a string, and `[table]` may be written in another form. The result
    // is therefore parsed and compared.
    let is_wanted = |candidate: &String| parse(candidate).is_ok_and(|parsed| parsed == wanted);
    match candidates.into_iter().find(is_wanted) {
        Some(added) => Ok(Some(added)),
        None => Err(unfit(table, name, version)),
    }
}

fn unfit(table: &str, name: &str, version: &str) -> Error {
    conflict(
        format!("could not add `{name}` to the `{table}` of Cargo.toml"),
        format!(
            "Add it yourself, and run the command again: `cargo add {} {name}@{version}`.",
            match table {
                "build-dependencies" => "--build",
                _ => "--",
            }
        ),
    )
}

/// The text with a line after each line that could be the table's header.
fn after_headers(text: &str, table: &str, line: &str) -> Vec<String> {
    let end = line_end(text);
    let header = format!("[{table}]");
    let mut position = 0;
    let mut candidates = Vec::new();
    for found in text.split_inclusive('\n') {
        position += found.len();
        let words = found.split('#').next().unwrap_or_default();
        if words.trim_start_matches('\u{feff}').trim() == header {
            let (before, after) = text.split_at(position);
            let gap = if found.ends_with('\n') { "" } else { end };
            candidates.push(format!("{before}{gap}{line}{end}{after}"));
        }
    }
    candidates
}

fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// A parsed manifest, also one with a byte order mark.
pub(super) fn parse(text: &str) -> Result<Table> {
    text.trim_start_matches('\u{feff}')
        .parse()
        .map_err(|cause: toml::de::Error| {
            Error::new(Code::ManifestSyntax, "could not parse Cargo.toml").because(cause)
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with_build(text: &str) -> Option<String> {
        add_dependency(text, "build-dependencies", "union-build", "0.1").unwrap()
    }

    #[test]
    fn line_ends_and_byte_order_mark_stay() {
        assert_eq!(append("a = 1", "[b]\n"), "a = 1\n\n[b]\n");
        assert_eq!(append("a = 1\n\n", "[b]\n"), "a = 1\n\n[b]\n");
        assert_eq!(append("a = 1\r\n", "[b]\n"), "a = 1\r\n\r\n[b]\r\n");
        assert_eq!(append("\u{feff}a = 1\n", "[b]\n"), "\u{feff}a = 1\n\n[b]\n");
        assert_eq!(append("", "[b]\n"), "[b]\n");
    }

    #[test]
    fn dependency_is_a_line_of_the_table_that_exists() {
        assert_eq!(
            with_build("[build-dependencies] # mine\ncc = \"1\"\n").unwrap(),
            "[build-dependencies] # mine\nunion-build = \"0.1\"\ncc = \"1\"\n"
        );
        assert_eq!(
            with_build("[build-dependencies]").unwrap(),
            "[build-dependencies]\nunion-build = \"0.1\"\n"
        );
        assert_eq!(
            with_build("a = 1\r\n[build-dependencies]\r\n").unwrap(),
            "a = 1\r\n[build-dependencies]\r\nunion-build = \"0.1\"\r\n"
        );
        assert_eq!(
            with_build("a = 1\n").unwrap(),
            "a = 1\n\n[build-dependencies]\nunion-build = \"0.1\"\n"
        );
        assert_eq!(
            with_build("[build-dependencies]\nunion-build.path = \"x\"\n"),
            None
        );
    }

    #[test]
    fn header_inside_of_a_string_is_not_a_table() {
        let text = "a = '''\n[build-dependencies]\n'''\n";
        assert_eq!(
            with_build(text).unwrap(),
            format!("{text}\n[build-dependencies]\nunion-build = \"0.1\"\n")
        );
    }

    #[test]
    fn form_that_takes_no_line_is_refused_with_what_to_add() {
        for text in [
            "build-dependencies = { cc = \"1\" }\n",
            "build-dependencies = 1\n",
        ] {
            let error =
                add_dependency(text, "build-dependencies", "union-build", "0.1").unwrap_err();
            assert_eq!(error.code(), Code::ScaffoldConflict);
            assert!(error.advice().contains("cargo add --build union-build@0.1"));
        }
        let inline = "[package]\nmetadata = { docs = 1 }\n";
        let error = add_tables(inline, "[package.metadata.union]\n").unwrap_err();
        assert_eq!(error.code(), Code::ScaffoldConflict);
        assert_eq!(
            add_tables("[package", "").unwrap_err().code(),
            Code::ManifestSyntax
        );
    }
}
