//! Numbers in Go's formats, because copilot is written in Go.

/// The shortest decimal that parses to this number, without an exponent: the format of files.
pub(super) fn plain(number: f64) -> String {
    number.to_string()
}

/// Go's `%v` format, with an exponent below 1e-4 and from 1e21 on: the format of command lines.
pub(super) fn general(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-4..1e21).contains(&size) {
        return plain(number);
    }
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_formats_of_files_and_command_lines_equal_those_of_go() {
        for (number, file, word) in [
            (1.0, "1", "1"),
            (-0.5, "-0.5", "-0.5"),
            (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1000000000000000000000", "1e+21"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (0.0001, "0.0001", "0.0001"),
            (0.0, "0", "0"),
        ] {
            assert_eq!(
                (plain(number), general(number)),
                (file.to_owned(), word.to_owned())
            );
        }
    }
}
