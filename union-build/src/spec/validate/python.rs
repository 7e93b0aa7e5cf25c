//! Reads and validates the Python keys of an image.

use std::path::PathBuf;

use super::grammar;
use super::reader::TableReader;
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::tree::TomlValue;
use crate::spec::{Python, SecretSpec, Sourced};

const KEYS: [&str; 9] = [
    "pip-packages",
    "pip-index",
    "pip-extra-index-url",
    "pip-extra-args",
    "pip-secret-mounts",
    "python-version",
    "python-exec",
    "conda-packages",
    "conda-channels",
];

/// Reads the keys; `requirements` are the Python lock files.
pub(super) fn read(reader: &mut TableReader<'_>, requirements: Vec<Sourced<PathBuf>>) -> Python {
    let used = |key: &'static str| {
        let node = reader.table.get(key)?;
        let empty = matches!(&node.value, TomlValue::List(entries) if entries.is_empty())
            || matches!(&node.value, TomlValue::Table(entries) if entries.is_empty());
        (!empty).then(|| (key, node.origin.clone()))
    };
    let from_files = requirements
        .first()
        .map(|file| ("requirements", file.origin.clone()));
    let python = Python {
        used: from_files
            .into_iter()
            .chain(KEYS.into_iter().filter_map(used))
            .collect(),
        packages: reader.texts("pip-packages", &grammar::WORD),
        requirements,
        index: reader.text("pip-index", &grammar::INDEX),
        extra_index_url: reader.texts("pip-extra-index-url", &grammar::INDEX),
        extra_args: reader.text("pip-extra-args", &grammar::TEXT),
        secret_mounts: reader.text_map("pip-secret-mounts", &grammar::SECRET_ID, &grammar::MOUNT),
        version: reader.text("python-version", &grammar::PYTHON_VERSION),
        exec: reader.text("python-exec", &grammar::ABSOLUTE),
        conda_packages: reader.texts("conda-packages", &grammar::WORD),
        conda_channels: reader.texts("conda-channels", &grammar::WORD),
    };
    check_effect(&python, reader);
    python
}

/// Checks that every secret for the installer is declared, and that every declared secret is used.
pub(super) fn check_secrets(python: &Python, secrets: &[SecretSpec], reader: &mut TableReader<'_>) {
    for (id, path) in &python.secret_mounts {
        if !secrets.iter().any(|secret| secret.id.value == *id) {
            let message =
                format!("`pip-secret-mounts` names the secret `{id}`, which is not declared");
            let problem =
                Diagnostic::error(Code::InvalidValue, message, &path.origin, "no such secret");
            reader.problems.push(problem.help(format!(
                "declare it: `secrets = [{{ id = \"{id}\", env = \"…\" }}]`"
            )));
        }
    }
    let is_seen = |key: &str| match reader.table.get(key).map(|node| &node.value) {
        Some(TomlValue::List(entries)) => !entries.is_empty(),
        other => other.is_some(),
    };
    if is_seen("commands") || is_seen("dockerfile") {
        return;
    }
    for secret in secrets
        .iter()
        .filter(|secret| !python.secret_mounts.contains_key(&secret.id.value))
    {
        let message = format!("nothing can use the secret `{}`", secret.id.value);
        let problem = Diagnostic::error(Code::InvalidValue, message, &secret.id.origin, "unused");
        reader.problems.push(problem.help(
            "`commands`, a `dockerfile` and `pip-secret-mounts` can: name it there, or remove it",
        ));
    }
}

/// Reports keys that would have no effect.
fn check_effect(python: &Python, reader: &mut TableReader<'_>) {
    let place = |key: &str| {
        python
            .used
            .iter()
            .find(|(used, _)| *used == key)
            .map(|(_, origin)| origin.clone())
    };
    let mut unused = |key: &str, needs: &str| {
        if let Some(origin) = place(key) {
            let problem = Diagnostic::error(
                Code::InvalidValue,
                format!("`{key}` has no effect without {needs}"),
                &origin,
                "unused",
            );
            reader
                .problems
                .push(problem.help(format!("remove it, or add {needs}")));
        }
    };
    if !python.needs_uv() {
        for key in [
            "pip-index",
            "pip-extra-index-url",
            "pip-extra-args",
            "pip-secret-mounts",
            "python-exec",
        ] {
            unused(key, "`pip-packages` or Python's `requirements`");
        }
    }
    if !python.needs_micromamba() {
        unused("conda-channels", "`conda-packages` or a `python-version`");
    }
    if let (Some(exec), true) = (&python.exec, python.needs_micromamba()) {
        let other: Option<Origin> = place("python-version").or_else(|| place("conda-packages"));
        let message =
            "`python-exec` names the base's own Python, and another one is to be installed";
        let problem =
            Diagnostic::error(Code::InvalidValue, message, &exec.origin, "the base's own");
        let problem = match &other {
            Some(origin) => problem.also(origin, "installs another"),
            None => problem,
        };
        reader.problems.push(problem.help("keep one of them"));
    }
}
