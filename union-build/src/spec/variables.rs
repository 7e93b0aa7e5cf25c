//! References to variables in the values of an image's `env`: `$NAME`, `${NAME}`, and `$$` for a dollar.
//!
//! A reference is to a variable of the base image or of an extended image, as with `ENV` in a Dockerfile.
//! Values of a valid spec refer only to variables of the base image, and always as `${NAME}`.

/// The variable that every container runtime sets when the image does not.
pub const PATH: &str = "PATH";

/// The value of `PATH` that container runtimes set when the image does not.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariablePart<'a> {
    /// Text without a dollar.
    Text(&'a str),
    /// `$$`.
    Dollar,
    /// The value of a variable.
    Variable(&'a str),
}

/// Splits a value into its parts.
///
/// # Errors
/// The rest of the value, from the first dollar that begins neither a reference nor `$$`.
pub fn parts(value: &str) -> Result<Vec<VariablePart<'_>>, &str> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        let (text, from_dollar) = rest.split_at(dollar);
        if !text.is_empty() {
            parts.push(VariablePart::Text(text));
        }
        let (part, after) = reference(from_dollar).ok_or(from_dollar)?;
        parts.push(part);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(VariablePart::Text(rest));
    }
    Ok(parts)
}

/// The names of the variables that a value refers to; empty when it is malformed.
pub fn names(value: &str) -> Vec<&str> {
    let variable = |part| match part {
        VariablePart::Variable(name) => Some(name),
        VariablePart::Text(_) | VariablePart::Dollar => None,
    };
    parts(value)
        .unwrap_or_default()
        .into_iter()
        .filter_map(variable)
        .collect()
}

/// Replaces all references in a value.
///
/// # Errors
/// The name of the first variable for which `lookup` returns `None`.
pub fn expand(value: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    // The validation of the manifest has rejected a malformed value; it stays as it is.
    let Ok(parts) = parts(value) else {
        return Ok(value.to_owned());
    };
    let mut expanded = String::new();
    for part in parts {
        match part {
            VariablePart::Text(text) => expanded.push_str(text),
            VariablePart::Dollar => expanded.push('$'),
            VariablePart::Variable(name) => {
                expanded.push_str(&lookup(name).ok_or_else(|| name.to_owned())?)
            }
        }
    }
    Ok(expanded)
}

/// Whether builders that quote or expand a value produce the same result as builders that do not.
pub fn is_plain(value: &str) -> bool {
    !value.contains(|letter: char| {
        letter.is_whitespace() || letter.is_control() || "\"'\\$`".contains(letter)
    })
}

/// Replaces the references that `extended` resolves, by values of the same form. The others remain
/// references to variables of the base image.
pub(super) fn expand_extended(value: &str, extended: impl Fn(&str) -> Option<String>) -> String {
    let Ok(parts) = parts(value) else {
        return value.to_owned();
    };
    parts
        .into_iter()
        .map(|part| match part {
            VariablePart::Text(text) => text.to_owned(),
            VariablePart::Dollar => "$$".to_owned(),
            VariablePart::Variable(name) => {
                extended(name).unwrap_or_else(|| format!("${{{name}}}"))
            }
        })
        .collect()
}

/// The reference at the start of a text that begins with a dollar, and the rest of the text.
fn reference(text: &str) -> Option<(VariablePart<'_>, &str)> {
    let after = text.strip_prefix('$')?;
    if let Some(after) = after.strip_prefix('$') {
        return Some((VariablePart::Dollar, after));
    }
    if let Some(braced) = after.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        return is_name(name).then_some((VariablePart::Variable(name), after));
    }
    let end = after
        .find(|letter: char| !is_letter(letter))
        .unwrap_or(after.len());
    let (name, after) = after.split_at(end);
    is_name(name).then_some((VariablePart::Variable(name), after))
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_expand_with_and_without_braces() {
        let lookup = |name: &str| Some(format!("<{name}>"));
        for (value, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("/opt/bin:$PATH", "/opt/bin:<PATH>"),
            ("${A}b$C.d", "<A>b<C>.d"),
            ("$A$B", "<A><B>"),
            ("$$A and $${B}", "$A and ${B}"),
            ("é$_x1é", "é<_x1>é"),
        ] {
            assert_eq!(expand(value, lookup), Ok(expanded.to_owned()), "{value}");
        }
        assert_eq!(expand("$A", |_| None), Err("A".to_owned()));
    }

    #[test]
    fn other_dollars_are_refused_with_what_follows() {
        for (value, rest) in [
            ("a$", "$"),
            ("5$ each", "$ each"),
            ("$1", "$1"),
            ("${A", "${A"),
            ("${A:-b}", "${A:-b}"),
            ("${}", "${}"),
            ("$é", "$é"),
        ] {
            assert_eq!(parts(value), Err(rest), "{value}");
        }
    }

    #[test]
    fn expand_extended_leaves_other_references_to_the_base() {
        let extended = |name: &str| (name == "A").then(|| "$$5:${PATH}".to_owned());
        assert_eq!(
            expand_extended("$A:${B}:$$", extended),
            "$$5:${PATH}:${B}:$$"
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_round_trips_with_doubled_dollars(text in ".{0,20}") {
            let written = text.replace('$', "$$");
            prop_assert_eq!(expand(&written, |_| None), Ok(text.clone()));
            prop_assert_eq!(expand_extended(&written, |_| None), written);
            let _ = parts(&text);
        }
    }
}
