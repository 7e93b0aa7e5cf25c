//! Makes the output of programs safe for the terminal.

/// How many bytes are written at once.
const PART: usize = 64 << 10;

/// Writes a line of a program's output in parts. Sequences that set colours are passed on to a terminal and left out
/// otherwise; other control characters are replaced by visible characters, since they could move the cursor, change the
/// terminal's title or send input to this process.
pub(super) fn write_harmless(line: &str, colors: bool, mut write: impl FnMut(&str)) {
    let mut part = String::new();
    let mut rest = line;
    let mut is_coloured = false;
    while let Some(letter) = rest.chars().next() {
        let length = match color_sequence(rest) {
            Some(length) => {
                is_coloured = colors;
                part.push_str(if colors { &rest[..length] } else { "" });
                length
            }
            None => {
                part.push(visible(letter));
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
        if part.len() >= PART {
            write(&part);
            part.clear();
        }
    }
    // Resets a colour that the program has not reset.
    part.push_str(if is_coloured { "\x1b[0m\n" } else { "\n" });
    write(&part);
}

/// The length of a sequence at the start that sets colours and styles: `ESC [ parameters m` (ECMA-48, SGR).
fn color_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|letter: char| !matches!(letter, '0'..='9' | ';' | ':'))?;
    parameters[end..].starts_with('m').then_some(end + 3)
}

/// A letter, or the visible character for a control character.
fn visible(letter: char) -> char {
    match letter {
        '\t' => '\t',
        '\u{7f}' => '\u{2421}',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}'),
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_line(line: &str, colors: bool) -> String {
        let mut written = String::new();
        write_harmless(line, colors, |part| written.push_str(part));
        written
    }

    #[test]
    fn colours_are_for_terminals_only_and_end_with_the_line() {
        let line = "a \x1b[1;31mred\x1b[m b";
        assert_eq!(format_line(line, false), "a red b\n");
        assert_eq!(format_line(line, true), "a \x1b[1;31mred\x1b[m b\x1b[0m\n");
        assert_eq!(format_line("plain\té", true), "plain\té\n");
    }

    #[test]
    fn other_control_sequences_become_visible() {
        for (line, expected) in [
            ("\x1b[2Ja", "␛[2Ja\n"),
            ("\x1b]0;title\x07", "␛]0;title␇\n"),
            ("10%\r20%", "10%␍20%\n"),
            ("\u{9b}31m\x7f\0\x1b", "\u{fffd}31m␡␀␛\n"),
            ("\x1b[31", "␛[31\n"),
            ("\x1b[", "␛[\n"),
        ] {
            assert_eq!(format_line(line, true), expected);
            assert_eq!(format_line(line, false), expected);
        }
    }

    #[test]
    fn long_line_is_written_in_parts() {
        let line = "é".repeat(200_000);
        let mut parts = Vec::new();
        write_harmless(&line, false, |part| parts.push(part.to_owned()));
        assert!(parts.len() > 5 && parts.iter().all(|part| part.len() <= PART + 4));
        assert_eq!(parts.concat(), line + "\n");
    }
}
