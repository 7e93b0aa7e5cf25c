//! Writes a Flyte config, as the Flyte CLI does: `create config`.

use std::path::{Path, PathBuf};

use union_build::diag::Code;

use crate::flyte::config::BackendEndpoint;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// The values of a config to write.
#[derive(Clone, Debug, Default)]
pub struct NewFlyteConfig {
    /// `--endpoint`, in any form that the config takes.
    pub endpoint: String,
    /// `--insecure`
    pub insecure: bool,
    /// `--org`; `None` is the first label of a host that has more than two.
    pub org: Option<String>,
    /// `--project`
    pub project: Option<String>,
    /// `--domain`
    pub domain: Option<String>,
    /// `--auth-type`
    pub auth_type: Option<String>,
    /// `--image-builder`
    pub builder: Option<String>,
    /// `--registry`
    pub registry: Option<String>,
    /// `--output`: the file, absolute.
    pub output: PathBuf,
    /// `--force`: an existing file is overwritten.
    pub force: bool,
}

/// Writes the config.
///
/// # Errors
/// `EndpointInvalid`; `FileUnwritable`, also for a file that exists, without `--force`.
pub(crate) fn write(new: &NewFlyteConfig) -> Result<()> {
    let text = render(new)?;
    if !new.force && is_taken(&new.output) {
        return Err(Error::new(
            Code::FileUnwritable,
            format!("could not write `{}`", new.output.display()),
        )
        .because("the file exists")
        .help("Overwrite it with `--force`, or name another one with `--output`."));
    }
    fs::replace(&new.output, text.as_bytes())
}

/// Whether there is a file, a directory or a symbolic link at this path, also a dangling link.
fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn render(new: &NewFlyteConfig) -> Result<String> {
    let endpoint = BackendEndpoint::parse(new.endpoint.trim()).map_err(|why| {
        Error::new(
            Code::EndpointInvalid,
            format!("the endpoint `{}` {why}", new.endpoint.escape_debug()),
        )
    })?;
    let insecure = (new.insecure || endpoint.is_plain()).then(|| "true".to_owned());
    let text = |value: &Option<String>| value.as_deref().map(scalar);
    let org = new.org.as_deref().or(endpoint.org()).map(scalar);
    let sections = [
        (
            "admin",
            vec![
                (
                    "endpoint",
                    Some(scalar(&format!("dns:///{}", endpoint.host()))),
                ),
                ("insecure", insecure),
                ("authType", text(&new.auth_type)),
            ],
        ),
        (
            "image",
            vec![
                ("builder", text(&new.builder)),
                ("registry", text(&new.registry)),
            ],
        ),
        (
            "task",
            vec![
                ("org", org),
                ("project", text(&new.project)),
                ("domain", text(&new.domain)),
            ],
        ),
    ];
    let mut yaml = String::new();
    for (section, values) in sections {
        let lines: String = values
            .into_iter()
            .filter_map(|(key, value)| Some(format!("  {key}: {}\n", value?)))
            .collect();
        if !lines.is_empty() {
            yaml.push_str(&format!("{section}:\n{lines}"));
        }
    }
    Ok(yaml)
}

/// Formats a text as a YAML scalar: plain where that is safe, else as a JSON string, which is valid YAML.
fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        )
        && !text.ends_with(':')
        && text.chars().all(|letter| {
            letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '/' | ':')
        });
    match is_plain {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rendered(endpoint: &str, more: NewFlyteConfig) -> String {
        render(&NewFlyteConfig {
            endpoint: endpoint.to_owned(),
            ..more
        })
        .unwrap()
    }

    #[test]
    fn config_has_the_keys_of_the_flyte_cli() {
        assert_eq!(
            rendered("acme.example.test", NewFlyteConfig::default()),
            "admin:\n  endpoint: dns:///acme.example.test\ntask:\n  org: acme\n"
        );
        let text = |text: &str| Some(text.to_owned());
        let more = NewFlyteConfig {
            project: text("flytesnacks"),
            domain: text("development"),
            builder: text("remote"),
            registry: text("ghcr.io/acme"),
            auth_type: text("DeviceFlow"),
            ..NewFlyteConfig::default()
        };
        assert_eq!(
            rendered("http://localhost:30080", more),
            "admin:\n  endpoint: dns:///localhost:30080\n  insecure: true\n  authType: DeviceFlow\n\
             image:\n  builder: remote\n  registry: ghcr.io/acme\n\
             task:\n  project: flytesnacks\n  domain: development\n"
        );
    }

    #[test]
    fn text_that_yaml_would_read_otherwise_is_quoted() {
        for (text, expected) in [
            ("acme", "acme"),
            ("ghcr.io/a:b", "ghcr.io/a:b"),
            ("yes", "\"yes\""),
            ("1.5", "\"1.5\""),
            ("a: b", "\"a: b\""),
            ("a\nb", "\"a\\nb\""),
            ("", "\"\""),
            ("#x", "\"#x\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }

    #[test]
    fn invalid_endpoint_is_refused() {
        let new = NewFlyteConfig {
            endpoint: "https://acme.example.test/console".to_owned(),
            ..NewFlyteConfig::default()
        };
        assert_eq!(render(&new).unwrap_err().code(), Code::EndpointInvalid);
    }
}
