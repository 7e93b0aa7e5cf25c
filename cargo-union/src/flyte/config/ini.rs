//! The INI files of flytekit, as the tree of a YAML config with the same settings. They are only read.

use std::ops::Range;
use std::rc::Rc;

use super::yaml::{YamlNode, YamlValue};

/// Sections and options with the keys that replace them.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("platform", "url", "admin.endpoint"),
    ("platform", "insecure", "admin.insecure"),
    (
        "platform",
        "insecure_skip_verify",
        "admin.insecureSkipVerify",
    ),
    ("platform", "ca_cert_file_path", "admin.caCertFilePath"),
    ("credentials", "auth_mode", "admin.authType"),
    ("credentials", "client_id", "admin.clientId"),
    ("credentials", "client_secret", "admin.clientSecret"),
    (
        "credentials",
        "client_secret_location",
        "admin.clientSecretLocation",
    ),
    (
        "credentials",
        "client_secret_env_var",
        "admin.clientSecretEnvVar",
    ),
    ("credentials", "command", "admin.command"),
    ("credentials", "proxy_command", "admin.proxyCommand"),
    ("credentials", "scopes", "admin.scopes"),
    ("credentials", "audience", "admin.audience"),
    ("local", "org", "task.org"),
    ("local", "project", "task.project"),
    ("local", "domain", "task.domain"),
];

/// Whether a text is an INI file rather than YAML: its first line with content opens a section.
pub(super) fn is_ini(text: &str) -> bool {
    let content = |line: &&str| !line.is_empty() && !line.starts_with(['#', ';']);
    let first = text.lines().map(str::trim).find(content);
    first.is_some_and(|line| line.starts_with('[') && line.ends_with(']'))
}

/// The settings of an INI file, by the keys of a YAML config. Options that are not in the table are ignored, as flytekit
/// ignores them.
pub(super) fn parse(text: &str) -> YamlNode {
    let mut section = String::new();
    let mut settings: Vec<(&str, YamlNode)> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let span = start..start + line.trim_end().len();
        start += line.len();
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim().to_ascii_lowercase();
            continue;
        }
        let Some((option, value)) = line.split_once(['=', ':']) else {
            continue;
        };
        let option = option.trim().to_ascii_lowercase();
        let key = OPTIONS
            .iter()
            .find(|(known, name, _)| *known == section && *name == option);
        if let Some((_, _, key)) = key {
            settings.push((*key, text_node(value.trim(), span)));
        }
    }
    let sections = ["admin", "task"].map(|name| {
        let entries = settings.iter().filter_map(|(key, node)| {
            let key = key.strip_prefix(name)?.strip_prefix('.')?;
            Some((Rc::new(text_node(key, 0..0)), Rc::new(node.clone())))
        });
        let map = YamlNode {
            span: 0..0,
            value: YamlValue::Map(entries.collect()),
        };
        (Rc::new(text_node(name, 0..0)), Rc::new(map))
    });
    YamlNode {
        span: 0..text.len(),
        value: YamlValue::Map(sections.into()),
    }
}

fn text_node(text: &str, span: Range<usize>) -> YamlNode {
    YamlNode {
        span,
        value: YamlValue::Text(text.to_owned()),
    }
}
