//! Templates in the words of a command line: `{{.inputs.NAME}}`.
//!
//! The backend replaces them when the task runs, and so does a local run. Names are not case-sensitive,
//! and blanks are allowed inside of the braces.

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Literal text.
    Text(String),
    /// The value of an input.
    Input(String),
    /// A value that only the backend has, such as `{{.outputPrefix}}`: its name.
    Backend(&'static str),
    /// An unknown template: its name.
    Unknown(String),
}

impl TemplatePart {
    /// The name of the input; `None` for other parts.
    pub fn into_input(self) -> Option<String> {
        match self {
            Self::Input(name) => Some(name),
            _ => None,
        }
    }
}

/// The templates that only the backend replaces.
pub const OF_THE_BACKEND: [&str; 9] = [
    "input",
    "inputPrefix",
    "outputPrefix",
    "rawOutputDataPrefix",
    "checkpointOutputPrefix",
    "prevCheckpointPrefix",
    "perRetryUniqueKey",
    "taskTemplatePath",
    "namespace",
];

/// Splits a word into parts. Braces without a dot behind them are text: other programs have templates too.
pub fn pieces(word: &str) -> Vec<TemplatePart> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, name, after)) = next(rest) {
        text.push_str(before);
        if !text.is_empty() {
            pieces.push(TemplatePart::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece(name));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(TemplatePart::Text(text));
    }
    pieces
}

/// The text before the next template, its name without the dot, and the rest.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find("{{")?;
        let close = open + text[open..].find("}}")?;
        if let Some(name) = text[open + 2..close].trim().strip_prefix(['.', '$']) {
            return Some((&text[..open], name, &text[close + 2..]));
        }
        from = open + 1;
    }
}

fn piece(name: &str) -> TemplatePart {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("inputs.") {
        return TemplatePart::Input(name["inputs.".len()..].to_owned());
    }
    match OF_THE_BACKEND
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name))
    {
        Some(known) => TemplatePart::Backend(known),
        None => TemplatePart::Unknown(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_text_inputs_and_backend_templates() {
        let text = |text: &str| TemplatePart::Text(text.to_owned());
        let input = |name: &str| TemplatePart::Input(name.to_owned());
        for (word, expected) in [
            ("--x={{.inputs.x}}", vec![text("--x="), input("x")]),
            (
                "{{ .Inputs.a_b }}{{$inputs.c}}!",
                vec![input("a_b"), input("c"), text("!")],
            ),
            (
                "{{.outputprefix}}",
                vec![TemplatePart::Backend("outputPrefix")],
            ),
            (
                "{{.imputs.x}}",
                vec![TemplatePart::Unknown("imputs.x".to_owned())],
            ),
            (
                "{{ user }} and {{.inputs.x",
                vec![text("{{ user }} and {{.inputs.x")],
            ),
            ("{{{.inputs.x}}}", vec![text("{"), input("x"), text("}")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(word), expected, "{word}");
        }
    }
}
