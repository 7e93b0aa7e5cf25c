//! Errors for unknown keys and words, with a suggestion of what was probably meant.

use crate::diag::{Code, Diagnostic, Origin, nearest};
use crate::spec::schema::{SchemaLevel, levels};
use crate::spec::toml_text;

/// The problem of a word that an enum does not have; `None` when it has it.
pub(in crate::spec) fn check_word(
    path: &str,
    words: &[&str],
    typed: &str,
    origin: &Origin,
) -> Option<Diagnostic> {
    if words.contains(&typed) {
        return None;
    }
    let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let problem = Diagnostic::error(
        Code::InvalidValue,
        format!("`{typed}` is not a value of `{path}`"),
        origin,
        "not one of the values",
    );
    let list = format!("the values are {}", list.join(", "));
    Some(match nearest(typed, words.iter().copied()) {
        Some(word) => problem
            .help(format!("did you mean `{word}`? {list}"))
            .suggest(origin, toml_text::string(word)),
        None => problem.help(list),
    })
}

/// An error for a key that a table does not have.
pub(super) fn unknown_key(
    path: &str,
    level: &'static SchemaLevel,
    name: &str,
    origin: &Origin,
) -> Diagnostic {
    let kebab = name.replace('_', "-").to_lowercase();
    if let Some((_, reason)) = level.refused.iter().find(|(refused, _)| *refused == kebab) {
        let message = format!("`{name}` of the Python SDK is not supported");
        return Diagnostic::error(Code::Refused, message, origin, "refused")
            .help(format!("remove it: {reason}"));
    }
    let table = if path == "union" {
        "`[package.metadata.union]`".to_owned()
    } else {
        format!("`{path}`")
    };
    let problem = Diagnostic::error(
        Code::UnknownKey,
        format!("`{name}` is not a key of {table}"),
        origin,
        "unknown key",
    );
    let keys = level
        .keys
        .iter()
        .map(|key| key.name)
        .collect::<Vec<_>>()
        .join(", ");
    let keys = format!("its keys are {keys}");
    let alias = level
        .aliases
        .iter()
        .find(|(alias, _)| *alias == kebab)
        .map(|(_, meant)| *meant);
    let exact = level.key(&kebab).map(|key| key.name);
    if let Some(meant) = exact.or(alias) {
        return problem
            .help(format!("did you mean `{meant}`?"))
            .suggest(origin, meant);
    }
    let others = levels()
        .into_iter()
        .filter(|other| other.path != level.path && other.key(&kebab).is_some());
    let others: Vec<String> = others
        .map(|other| {
            if other.path.is_empty() {
                "`[package.metadata.union]` itself".to_owned()
            } else {
                format!("`{}`", other.path)
            }
        })
        .collect();
    if !others.is_empty() {
        return problem.help(format!(
            "`{kebab}` belongs to {}; {keys}",
            others.join(" or ")
        ));
    }
    match nearest(name, level.keys.iter().map(|key| key.name)) {
        Some(meant) => problem
            .help(format!("did you mean `{meant}`?"))
            .suggest(origin, meant),
        None => problem.help(keys),
    }
}
