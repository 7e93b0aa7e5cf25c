//! Formatting of sizes, lists and tables for messages.

/// Formats a number of bytes with decimal units: `512 B`, `5.2 MB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Formats names in backticks: `` `a`, `b` and `c` ``; `none` when there are none.
pub fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// The byte offset of each character of a text, and of its end, for parsers that count characters.
pub fn char_offsets(text: &str) -> Vec<usize> {
    text.char_indices()
        .map(|(offset, _)| offset)
        .chain([text.len()])
        .collect()
}

/// A row of a list, both of a table and of a JSON document.
pub trait TableRow {
    /// The names of the columns.
    const HEAD: &'static [&'static str];

    /// The text of each column.
    fn cells(&self) -> Vec<String>;
}

/// Formats the rows of a list, each column as wide as its widest cell.
pub fn rows<R: TableRow>(rows: &[R]) -> String {
    // A control character in a name of a server could move the terminal's cursor.
    let printable = |cell: String| cell.chars().filter(|letter| !letter.is_control()).collect();
    let cells = rows
        .iter()
        .map(|row| row.cells().into_iter().map(printable).collect());
    let head = R::HEAD.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let format_line = |line: &Vec<String>| {
        let padded = line
            .iter()
            .enumerate()
            .map(|(column, text)| format!("{text:width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(format_line).collect()
}

/// The text of an optional value in a table.
pub fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// Formats a table, each column as wide as its widest cell.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().count();
    let column_width = |column: usize| {
        rows.iter()
            .map(|row| width(&row[column]))
            .max()
            .unwrap_or_default()
            .max(width(head[column]))
    };
    let widths: [usize; N] = std::array::from_fn(column_width);
    let line = |cells: [&str; N]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(text, width)| format!("{text:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rows = rows
        .iter()
        .map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(head)).chain(rows).collect()
}

/// Text of a server or a file for messages: without control characters except line breaks and tabs, which could move
/// the terminal's cursor, trimmed, and of at most `longest` characters.
pub fn printable(text: &str, longest: usize) -> String {
    let mut letters = text
        .trim()
        .chars()
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'));
    let mut printable: String = letters.by_ref().take(longest).collect();
    if letters.next().is_some() {
        printable.push('…');
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_are_aligned() {
        let rows = [
            ["é".to_owned(), "1".to_owned()],
            ["long name".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["NAME", "N"], &rows),
            "NAME       N\né          1\nlong name\n"
        );
    }

    #[test]
    fn bytes_have_one_decimal_digit() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(5_250_000), "5.2 MB");
        assert_eq!(bytes(999_950_000), "1.0 GB");
    }

    #[test]
    fn printable_text_has_no_control_characters_and_an_end() {
        assert_eq!(
            printable(" a\u{1b}[31m\tb\nc\u{9b}d\0 ", 99),
            "a[31m\tb\ncd"
        );
        assert_eq!(printable("abc", 3), "abc");
        assert_eq!(printable("abcd", 3), "abc…");
    }

    #[test]
    fn names_are_joined_with_commas_and_and() {
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(list::<&str>([]), "none");
    }
}
