//! Where users keep their logins: the files of Docker and of podman.
//!
//! The `docker_credential` crate reads the same files, but knows no logins of a path inside of a
//! registry, cannot say which file served a host, waits forever for a helper, and repeats a helper's
//! output in its errors; so they are read here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use union_build::diag::Code;

use super::Login;
use crate::base::fs;
use crate::base::secret::Secret;
use crate::publish::failure::Failure;

/// What a file says about a repository.
#[derive(Debug)]
pub(super) enum Entry {
    /// A login.
    Login(Login),
    /// Ask this helper, under this name.
    Helper {
        /// `docker-credential-<program>`.
        program: String,
        /// What the helper knows the registry by.
        server: String,
    },
}

/// One file.
pub(super) struct File {
    path: PathBuf,
    config: Config,
}

/// No `Debug`: it holds secrets.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl File {
    /// Reads a file; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let Some(text) = fs::read_if_exists(path)? else { return Ok(None) };
        // serde's own message would repeat the value at fault, which may be a secret.
        let invalid = |error: serde_json::Error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Failure::new(Code::CredentialsInvalid, format!("`{}` is not a Docker config.json: {place}", path.display()))
                .help(format!("Correct or remove `{}`.", path.display()))
        };
        let config = if text.trim().is_empty() { Config::default() } else { serde_json::from_str(&text).map_err(invalid)? };
        Ok(Some(Self { path: path.to_owned(), config }))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about a repository, in the order in which it is to be tried: for the
    /// longest path first, and the store of everything last.
    pub(super) fn entries(&self, registry: &str, path: &str) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for name in names(registry, path) {
            let helper = self.config.cred_helpers.iter().find(|(key, program)| normal(key) == name && !program.is_empty());
            entries.extend(helper.map(|(key, program)| Entry::Helper { program: program.clone(), server: key.clone() }));
            for (key, auth) in self.config.auths.iter().filter(|(key, _)| normal(key) == name) {
                entries.extend(self.login(key, auth)?.map(Entry::Login));
            }
        }
        let store = self.config.creds_store.as_ref().filter(|program| !program.is_empty());
        entries.extend(store.map(|program| Entry::Helper { program: program.clone(), server: store_name(registry).to_owned() }));
        Ok(entries)
    }

    fn login(&self, key: &str, auth: &Auth) -> Result<Option<Login>, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&auth.identitytoken) {
            return Ok(Some(Login::Identity(Secret::new(token))));
        }
        if let Some(encoded) = given(&auth.auth) {
            let login = decode(&encoded).ok_or_else(|| {
                Failure::new(
                    Code::CredentialsInvalid,
                    format!("the login for `{key}` in `{}` is not base64 of `user:password`", self.path.display()),
                )
            })?;
            return Ok(Some(login));
        }
        Ok(given(&auth.username)
            .zip(given(&auth.password))
            .map(|(user, password)| Login::Password { user, password: Secret::new(password) }))
    }
}

/// The names under which a repository's login may be, the longest first.
fn names(registry: &str, path: &str) -> Vec<String> {
    let mut name = format!("{}/{path}", normal(registry));
    let mut names = vec![name.clone()];
    while let Some(slash) = name.rfind('/') {
        name.truncate(slash);
        names.push(name.clone());
    }
    names
}

/// A key as podman would write it: `https://index.docker.io/v1/` is `docker.io`, `https://ghcr.io/v2/` is `ghcr.io`.
fn normal(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    // Docker puts a scheme before hosts only, and cuts whatever stands behind them.
    let name = bare.map_or(key, |bare| bare.split('/').next().unwrap_or(bare)).trim_end_matches('/');
    let name = name.strip_suffix("/v1").or_else(|| name.strip_suffix("/v2")).unwrap_or(name);
    let (host, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    format!("{host}{rest}")
}

/// How Docker names a registry to its store.
fn store_name(registry: &str) -> &str {
    if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry }
}

fn decode(encoded: &str) -> Option<Login> {
    let engine = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    let text = String::from_utf8(engine.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    // Docker once padded passwords with zeros.
    Some(Login::Password { user: user.to_owned(), password: Secret::new(password.trim_end_matches('\0').to_owned()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<File, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        File::read(&path).map(Option::unwrap)
    }

    fn first(text: &str, registry: &str, path: &str) -> String {
        match file(text).unwrap().entries(registry, path).unwrap().into_iter().next() {
            Some(Entry::Login(Login::Password { user, password })) => format!("{user}:{}", password.reveal()),
            Some(Entry::Login(Login::Identity(token))) => format!("token {}", token.reveal()),
            Some(Entry::Helper { program, server }) => format!("ask {program} for {server}"),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_longest_path_serves() {
        let text = r#"{"auths": {
            "quay.io": {"auth": "aG9zdDox"},
            "quay.io/acme": {"auth": "YWNtZTox"},
            "quay.io/acme/app": {"auth": "YXBwOjE"}
        }}"#;
        for (path, login) in [("acme/app", "app:1"), ("acme/app/worker", "app:1"), ("acme/application", "acme:1"), ("other", "host:1")] {
            assert_eq!(first(text, "quay.io", path), login, "{path}");
        }
        assert_eq!(first(text, "ghcr.io", "acme/app"), "nothing");
    }

    #[test]
    fn docker_hub_is_known_by_its_old_address() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOjE="}, "https://ghcr.io/v2/": {"identitytoken": "abc"}}}"#;
        assert_eq!(first(text, "docker.io", "library/debian"), "hub:1");
        assert_eq!(first(text, "ghcr.io", "acme/app"), "token abc");
    }

    #[test]
    fn a_helper_of_a_host_comes_before_a_login_and_the_store_comes_last() {
        let text = r#"{"auths": {"a.io": {}, "b.io": {"username": "u", "password": "p"}, "c.io": {"auth": "dTpw"}},
                       "credHelpers": {"c.io": "c-login"}, "credsStore": "desktop"}"#;
        assert_eq!(first(text, "a.io", "x"), "ask desktop for a.io");
        assert_eq!(first(text, "b.io", "x"), "u:p");
        assert_eq!(first(text, "c.io", "x"), "ask c-login for c.io");
        assert_eq!(first(text, "docker.io", "x"), "ask desktop for https://index.docker.io/v1/");
    }

    #[test]
    fn a_password_may_hold_a_colon_and_an_empty_file_holds_nothing() {
        assert_eq!(first(r#"{"auths": {"a.io": {"auth": "dTpwOnE="}}}"#, "a.io", "x"), "u:p:q");
        assert_eq!(first("", "a.io", "x"), "nothing");
    }

    #[test]
    fn a_broken_file_is_named_and_its_secrets_are_not() {
        for text in [
            r#"{"auths": "hunter2"}"#,
            r#"{"auths": {"a.io": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"a.io": {"password": {"hunter2": 1}}}}"#,
        ] {
            let failure = file(text).and_then(|file| file.entries("a.io", "x")).unwrap_err();
            assert_eq!(failure.code, Code::CredentialsInvalid);
            assert!(failure.cause.contains("config.json"), "{}", failure.cause);
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
    }
}
