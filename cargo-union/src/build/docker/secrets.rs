//! The secrets of a build: read when they are needed, and redacted from logs and messages.

use std::collections::BTreeMap;

use union_build::diag::Code;
use union_build::spec::{self, SecretSource};

use super::writer::AUTHORITY_ID;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;

/// BuildKit's limit for a secret, in bytes.
const LARGEST: usize = 500 * 1024;

/// Secrets by id.
#[derive(Clone, Debug, Default)]
pub(super) struct BuildSecrets(BTreeMap<String, Secret<Vec<u8>>>);

impl BuildSecrets {
    /// Reads every secret that specs declare. Optional secrets may be absent.
    ///
    /// # Errors
    /// `SecretMissing` with the variable or file; never with the value of a secret.
    pub(super) fn read(specs: &[spec::ImageSpec], environment: &Environment) -> Result<Self> {
        let mut secrets = BTreeMap::new();
        for spec in specs {
            for secret in &spec.secrets {
                if let Some(value) = read(spec, secret, environment)? {
                    secrets.insert(secret.id.value.clone(), Secret::new(value));
                }
            }
        }
        Ok(Self(secrets))
    }

    /// Adds the CA certificates that build steps trust. They are not secret, but are mounted like secrets.
    pub(super) fn with_authority(mut self, authority: Option<Vec<u8>>) -> Self {
        self.0
            .extend(authority.map(|bytes| (AUTHORITY_ID.to_owned(), Secret::new(bytes))));
        self
    }

    /// The values by ID, for the engine.
    pub(super) fn values(&self) -> BTreeMap<String, Secret<Vec<u8>>> {
        self.0.clone()
    }

    /// Redacts secrets in a line. A multi-line value is matched line by line, because programs print it that way;
    /// very short lines are not considered secret.
    pub(super) fn scrub(&self, line: &str) -> String {
        let mut texts = self.texts();
        texts.retain(|(text, _)| line.contains(text.as_str()));
        let mut scrubbed = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            // The longest one: after a shorter one, the rest of the longer one would be shown.
            let found = texts
                .iter()
                .filter(|(text, _)| rest.starts_with(text.as_str()))
                .max_by_key(|(text, _)| text.len());
            match found {
                Some((text, id)) => {
                    scrubbed.push_str(&format!("<secret {id}>"));
                    rest = &rest[text.len()..];
                }
                None => {
                    scrubbed.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        scrubbed
    }

    /// The texts that are redacted, with the IDs of their secrets.
    fn texts(&self) -> Vec<(String, &str)> {
        const SHORTEST: usize = 4;
        let mut texts = Vec::new();
        for (id, secret) in self.0.iter().filter(|(id, _)| *id != AUTHORITY_ID) {
            let value = String::from_utf8_lossy(secret.reveal());
            let lines = value
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= SHORTEST);
            let whole = Some(value.trim()).filter(|value| !value.is_empty());
            texts.extend(lines.chain(whole).map(|text| (text.to_owned(), &**id)));
        }
        texts
    }
}

fn read(
    spec: &spec::ImageSpec,
    secret: &spec::SecretSpec,
    environment: &Environment,
) -> Result<Option<Vec<u8>>> {
    let id = &secret.id.value;
    let required = secret.required;
    let missing = || {
        Error::new(
            Code::SecretMissing,
            format!("the secret `{id}` of image `{}` has no value", spec.key),
        )
    };
    let value = match &secret.source {
        SecretSource::Env(name) => match environment.get(name).filter(|value| !value.is_empty()) {
            Some(value) => value.as_bytes().to_vec(),
            None if !required => return Ok(None),
            None => {
                let error =
                    missing().because(format!("the environment variable {name} is not set"));
                return Err(error.help(format!(
                    "Set {name}, or write `required = false` if the build can do without it."
                )));
            }
        },
        SecretSource::File(path) => match std::fs::read(path) {
            Ok(value) => value,
            Err(cause) if !required && cause.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(cause) => return Err(missing().because(fs::unreadable(path, cause))),
        },
        // A local build cannot read it; the check of the manifest reports this earlier.
        SecretSource::Backend => return Err(missing().because("it is a secret of the backend")),
    };
    if value.len() > LARGEST {
        let why = format!(
            "it has {} bytes, and engines accept at most {LARGEST}",
            value.len()
        );
        return Err(Error::new(
            Code::SecretMissing,
            format!("the secret `{id}` of image `{}` cannot be used", spec.key),
        )
        .because(why));
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_secret_is_redacted() {
        let secret = |value: &str| Secret::new(value.as_bytes().to_vec());
        let secrets = BuildSecrets(
            [
                ("token".to_owned(), secret("hunter2\n")),
                ("key".to_owned(), secret("-----BEGIN\nMIIabc\nx\n")),
            ]
            .into(),
        );
        assert_eq!(
            secrets.scrub("curl -H 'hunter2' x hunter2"),
            "curl -H '<secret token>' x <secret token>"
        );
        assert_eq!(secrets.scrub("MIIabc and x"), "<secret key> and x");
        assert_eq!(secrets.scrub("nothing here"), "nothing here");
    }

    #[test]
    fn secret_that_contains_another_one_is_redacted_whole() {
        let secret = |value: &str| Secret::new(value.as_bytes().to_vec());
        let secrets = BuildSecrets(BTreeMap::from([
            ("a".to_owned(), secret("pass")),
            ("b".to_owned(), secret("passphrase")),
            ("c".to_owned(), secret("e")),
        ]));
        assert_eq!(
            secrets.scrub("pass passphrase é"),
            "<secret a> <secret b> é"
        );
    }
}
