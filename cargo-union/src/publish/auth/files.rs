//! Where users keep their logins: the files and variables of Docker and of podman.
//!
//! The `docker_credential` crate reads the same files, but knows no logins of a path inside of a
//! registry, cannot say which file served a host, waits forever for a helper, and repeats a helper's
//! output in its errors; so they are read here, as leniently as Go reads JSON: names of keys in any
//! case, `null` for nothing, and only what is asked for has to have the right type.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use union_build::diag::Code;

use super::RegistryLogin;
use crate::http::error::clean;
use crate::publish::failure::RegistryFailure;
use crate::sys::fs::unreadable;
use crate::sys::secret::Secret;

/// The longest config that is read.
const LONGEST: u64 = 16 << 20;

/// A place where logins may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFile {
    /// A file that a setting names.
    Named {
        /// The file.
        path: PathBuf,
        /// The setting, as a user would write it.
        setting: &'static str,
        /// Whether an absent file is an error, as a broken one always is.
        required: bool,
    },
    /// Docker's config.json at its usual place.
    Docker(PathBuf),
    /// Podman's auth.json at one of its usual places.
    Podman(PathBuf),
    /// A file with nothing but the content of `auths`: `~/.dockercfg`.
    Legacy(PathBuf),
    /// A variable that holds what such a file would hold.
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        text: Secret<String>,
    },
}

/// What a config says about a repository.
#[derive(Debug)]
pub(super) enum CredentialEntry {
    /// A login.
    Login(RegistryLogin),
    /// Ask this helper, under this name.
    Helper {
        /// `docker-credential-<program>`.
        program: String,
        /// What the helper knows the registry by.
        server: String,
    },
    /// An entry that is no login, and why.
    Unusable(String),
}

/// What a source holds. No `Debug`: these are secrets.
#[derive(Default)]
pub(super) struct DockerConfig {
    auths: Map<String, Value>,
    helpers: Map<String, Value>,
    store: Option<String>,
    /// Whether a login for a path of a registry serves all of it, where there is no better one.
    serves_whole_hosts: bool,
}

/// A source that cannot be used.
#[derive(Debug)]
pub(super) struct UnreadableFile {
    /// What is wrong with it.
    pub(super) failure: RegistryFailure,
    /// Whether that is an error, and not a warning.
    pub(super) is_error: bool,
}

impl CredentialFile {
    /// Whether the user named it, so that what is wrong with it is an error.
    pub(super) fn is_named(&self) -> bool {
        matches!(self, Self::Named { .. })
    }

    /// Reads it; `None` when there is nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self) -> Result<Option<DockerConfig>, UnreadableFile> {
        let unread = |failure, is_error| UnreadableFile { failure, is_error };
        let text = match self {
            Self::Variable { text, .. } => Some(text.reveal().clone()),
            Self::Docker(path) | Self::Podman(path) | Self::Legacy(path) | Self::Named { path, .. } => {
                read_text(path).map_err(|cause| unread(unreadable(path, cause).into(), self.is_named()))?
            }
        };
        match (text, self) {
            (Some(text), _) => self.parse(&text).map(Some).map_err(|why| {
                let failure = RegistryFailure::new(Code::CredentialsInvalid, format!("{self} is not a Docker config.json: {why}"));
                unread(failure.help(format!("Correct or remove {self}.")), self.is_named())
            }),
            (None, Self::Named { path, setting, required }) => {
                let cause = format!("`{}`, which `{setting}` names, does not exist", path.display());
                Err(unread(RegistryFailure::new(Code::CredentialsInvalid, cause), *required))
            }
            (None, _) => Ok(None),
        }
    }

    fn parse(&self, text: &str) -> Result<DockerConfig, String> {
        if text.trim().is_empty() {
            return Ok(DockerConfig::default());
        }
        // As Docker does: the first value counts, whatever stands behind it.
        let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
        // serde's own message could repeat the value at fault, which may be a secret.
        let place = |error: serde_json::Error| format!("line {}, column {}", error.line(), error.column());
        let document = object("the document", first.transpose().map_err(place)?.as_ref())?;
        if matches!(self, Self::Legacy(_)) {
            return Ok(DockerConfig { auths: document, ..DockerConfig::default() });
        }
        let store = match field(&document, "credsStore") {
            None => None,
            Some(Value::String(store)) => Some(store.clone()),
            Some(_) => return Err("`credsStore` is not a string".to_owned()),
        };
        let auths = object("`auths`", field(&document, "auths"))?;
        let helpers = object("`credHelpers`", field(&document, "credHelpers"))?;
        let serves_whole_hosts = matches!(self, Self::Docker(_) | Self::Variable { .. });
        Ok(DockerConfig { auths, helpers, store: store.filter(|store| !store.is_empty()), serves_whole_hosts })
    }
}

impl fmt::Display for CredentialFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { path, .. } | Self::Docker(path) | Self::Podman(path) | Self::Legacy(path) => write!(f, "`{}`", path.display()),
            Self::Variable { name, .. } => write!(f, "the variable {name}"),
        }
    }
}

impl DockerConfig {
    /// What it says about a repository, in the order in which it is to be tried: helpers of the registry
    /// as Docker and podman do, then logins for the longest path first, and the store of everything.
    /// In Docker's files, a login for another path of the registry comes last: Docker cuts paths off.
    pub(super) fn entries(&self, registry: &str, path: &str) -> Vec<CredentialEntry> {
        let names = names(registry, path);
        let mut entries = Vec::new();
        for name in &names {
            entries.extend(self.helpers.iter().filter(|(key, _)| normal(key) == *name).filter_map(|(key, program)| helper(key, program)));
        }
        for name in &names {
            entries.extend(self.auths.iter().filter(|(key, _)| normal(key) == *name).filter_map(|(key, auth)| login(key, auth)));
        }
        entries.extend(
            self.store
                .as_ref()
                .map(|program| CredentialEntry::Helper { program: program.clone(), server: store_name(registry).to_owned() }),
        );
        let host = normal(registry);
        let elsewhere = |key: &str| {
            let key = normal(key);
            self.serves_whole_hosts && key.split('/').next() == Some(&*host) && !names.contains(&key)
        };
        let others = self.auths.iter().filter(|(key, _)| elsewhere(key)).filter_map(|(key, auth)| login(key, auth));
        entries.extend(others.filter(|entry| matches!(entry, CredentialEntry::Login(_))));
        entries
    }
}

/// Reads a file as text, whatever its encoding; `None` when there is none.
pub(super) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LONGEST => Err(io::Error::other(format!("it has more than {LONGEST} bytes"))),
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // A home that is a file, such as /dev/null, is a home without files.
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// The members of an object; `null` and nothing have none.
fn object(what: &str, value: Option<&Value>) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(format!("{what} is not an object")),
    }
}

/// A member that is not `null`, by its name in any case.
pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let any_case = || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(any_case).filter(|value| !value.is_null())
}

fn helper(key: &str, program: &Value) -> Option<CredentialEntry> {
    match program {
        Value::Null => None,
        Value::String(program) if program.is_empty() => None,
        Value::String(program) => Some(CredentialEntry::Helper { program: program.clone(), server: key.to_owned() }),
        _ => Some(CredentialEntry::Unusable(format!("the helper for `{}` is not the name of a program", clean(key)))),
    }
}

/// The login of an entry; `None` when it has none, as where a helper keeps it.
fn login(key: &str, auth: &Value) -> Option<CredentialEntry> {
    let unusable = |why: &str| Some(CredentialEntry::Unusable(format!("the login for `{}` {why}", clean(key))));
    let auth = match auth {
        Value::Null => return None,
        Value::Object(auth) => auth,
        _ => return unusable("is not an object"),
    };
    let mut texts = [None, None, None, None, None];
    for (text, name) in texts.iter_mut().zip(["identitytoken", "registrytoken", "auth", "username", "password"]) {
        *text = match field(auth, name) {
            None => None,
            Some(Value::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
            Some(_) => return unusable(&format!("has a `{name}` that is not a string")),
        };
    }
    match texts {
        [Some(token), ..] => Some(CredentialEntry::Login(RegistryLogin::Identity(Secret::new(token.to_owned())))),
        [None, Some(token), ..] => Some(CredentialEntry::Login(RegistryLogin::Bearer(Secret::new(token.to_owned())))),
        [None, None, Some(encoded), ..] => match decode(encoded) {
            Some(login) => Some(CredentialEntry::Login(login)),
            None => unusable("is not base64 of `user:password`"),
        },
        [.., Some(user), Some(password)] => {
            Some(CredentialEntry::Login(RegistryLogin::Password { user: user.to_owned(), password: Secret::new(password.to_owned()) }))
        }
        _ => None,
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

fn decode(encoded: &str) -> Option<RegistryLogin> {
    let engine = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    // `base64` breaks lines, and Go reads over their ends.
    let encoded: String = encoded.split_ascii_whitespace().collect();
    let text = String::from_utf8(engine.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':').filter(|(user, _)| !user.is_empty())?;
    // Docker once padded passwords with zeros.
    Some(RegistryLogin::Password { user: user.to_owned(), password: Secret::new(password.trim_matches('\0').to_owned()) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Docker's file with a text, and what is to be kept for as long as it is read.
    fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, CredentialFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (folder, CredentialFile::Docker(path))
    }

    fn variable(text: &str) -> CredentialFile {
        CredentialFile::Variable { name: "DOCKER_AUTH_CONFIG", text: Secret::new(text.to_owned()) }
    }

    fn entries(text: &str, registry: &str, path: &str) -> Vec<String> {
        let config = variable(text).read().unwrap().unwrap();
        config.entries(registry, path).into_iter().map(shown).collect()
    }

    fn shown(entry: CredentialEntry) -> String {
        match entry {
            CredentialEntry::Login(RegistryLogin::Password { user, password }) => format!("{user}:{}", password.reveal()),
            CredentialEntry::Login(RegistryLogin::Identity(token)) => format!("token {}", token.reveal()),
            CredentialEntry::Login(RegistryLogin::Bearer(token)) => format!("bearer {}", token.reveal()),
            CredentialEntry::Helper { program, server } => format!("ask {program} for {server}"),
            CredentialEntry::Unusable(why) => why,
        }
    }

    fn first(text: &str, registry: &str, path: &str) -> String {
        entries(text, registry, path).into_iter().next().unwrap_or_else(|| "nothing".to_owned())
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
    fn a_login_of_another_path_serves_the_whole_host_in_dockers_file_only() {
        let text = r#"{"auths": {"quay.io/acme": {"auth": "YWNtZTox"}}, "credsStore": "desktop"}"#;
        assert_eq!(entries(text, "quay.io", "other"), ["ask desktop for quay.io", "acme:1"]);
        let (_folder, CredentialFile::Docker(path)) = file(text) else { unreachable!() };
        let podman = CredentialFile::Podman(path).read().unwrap().unwrap();
        assert_eq!(podman.entries("quay.io", "other").len(), 1);
    }

    #[test]
    fn docker_hub_is_known_by_its_old_address() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOjE="}, "https://ghcr.io/v2/": {"identitytoken": "abc"}}}"#;
        assert_eq!(first(text, "docker.io", "library/debian"), "hub:1");
        assert_eq!(first(text, "ghcr.io", "acme/app"), "token abc");
    }

    #[test]
    fn a_helper_of_a_host_comes_before_a_login_and_the_store_comes_last() {
        let text = r#"{"auths": {"a.io": {}, "b.io": {"username": "u", "password": "p"}, "c.io": {"auth": "dTpw"}, "c.io/x": {"auth": "dTpw"}},
                       "credHelpers": {"c.io": "c-login"}, "credsStore": "desktop"}"#;
        assert_eq!(first(text, "a.io", "x"), "ask desktop for a.io");
        assert_eq!(first(text, "b.io", "x"), "u:p");
        assert_eq!(first(text, "c.io", "x"), "ask c-login for c.io");
        assert_eq!(first(text, "docker.io", "x"), "ask desktop for https://index.docker.io/v1/");
    }

    #[test]
    fn a_password_may_hold_a_colon_and_base64_may_have_line_ends() {
        assert_eq!(first(r#"{"auths": {"a.io": {"auth": "dTpw\nOnE=\n"}}}"#, "a.io", "x"), "u:p:q");
        assert_eq!(first(r#"{"auths": {"a.io": {"registrytoken": "abc"}}}"#, "a.io", "x"), "bearer abc");
    }

    #[test]
    fn null_and_empty_values_are_nothing() {
        for text in [
            "",
            " \n",
            "null",
            "{}",
            r#"{"auths": null}"#,
            r#"{"auths": {"a.io": null}, "credHelpers": null, "credsStore": null}"#,
            r#"{"auths": {"a.io": {"auth": null}}, "credHelpers": {"a.io": null}, "credsStore": ""}"#,
            r#"{"auths": {"a.io": {"auth": "", "identitytoken": ""}}, "credHelpers": {"a.io": ""}}"#,
            r#"{"auths": {"a.io": {"username": "u"}}}"#,
        ] {
            assert_eq!(entries(text, "a.io", "x"), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_go_reads_is_read() {
        // Names in any case, one name twice, and anything behind the first value.
        for text in [
            r#"{"Auths": {"a.io": {"Auth": "dTpw"}}}"#,
            r#"{"auths": {}, "auths": {"a.io": {"auth": "dTpw"}}}"#,
            r#"{"auths": {"a.io": {"auth": "dTpw"}}} }"#,
            r#"{"auths": {"a.io": {"auth": "dTpw", "email": 5}, "b.io": 7}, "proxies": []}"#,
        ] {
            assert_eq!(entries(text, "a.io", "x"), ["u:p"], "{text}");
        }
        let (_folder, source) = file(b"{\"HttpHeaders\": {\"a\": \"\xff\"}, \"auths\": {\"a.io\": {\"auth\": \"dTpw\"}}}");
        assert_eq!(source.read().unwrap().unwrap().entries("a.io", "x").len(), 1);
    }

    #[test]
    fn a_file_of_before_docker_had_a_folder_is_read() {
        let (_folder, CredentialFile::Docker(path)) = file(r#"{"https://a.io/v1/": {"auth": "dTpw", "email": ""}}"#) else {
            unreachable!()
        };
        let config = CredentialFile::Legacy(path).read().unwrap().unwrap();
        assert_eq!(config.entries("a.io", "x").into_iter().map(shown).collect::<Vec<_>>(), ["u:p"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_no_file_and_one_that_cannot_be_read_is_named() {
        let (folder, CredentialFile::Docker(path)) = file("{}") else { unreachable!() };
        assert!(CredentialFile::Docker(path.join("config.json")).read().unwrap().is_none());
        assert!(CredentialFile::Docker(folder.path().join("none")).read().unwrap().is_none());
        let unread = CredentialFile::Docker(folder.path().to_owned()).read().err().unwrap();
        assert_eq!((unread.failure.code, unread.is_error), (Code::FileUnreadable, false));
        let named = CredentialFile::Named { path: folder.path().join("none"), setting: "registry-config", required: true };
        let unread = named.read().err().unwrap();
        assert_eq!((unread.failure.code, unread.is_error), (Code::CredentialsInvalid, true));
        assert!(unread.failure.cause.contains("registry-config"), "{unread:?}");
    }

    #[test]
    fn a_broken_source_is_named_and_its_secrets_are_not() {
        for text in
            ["hunter2", r#"["hunter2"]"#, r#"{"auths": "hunter2"}"#, r#"{"credHelpers": ["hunter2"]}"#, r#"{"credsStore": {"hunter2": 1}}"#]
        {
            let failure = variable(text).read().err().unwrap().failure;
            assert_eq!(failure.code, Code::CredentialsInvalid);
            assert!(failure.cause.contains("DOCKER_AUTH_CONFIG"), "{}", failure.cause);
            assert!(!format!("{failure:?} {:?}", variable(text)).contains("hunter2"), "{failure:?}");
        }
    }

    #[test]
    fn an_entry_that_is_no_login_matters_for_its_own_host_only() {
        for entry in [
            r#""hunter2""#,
            r#"{"auth": "hunter2!"}"#,
            r#"{"auth": "aHVudGVyMg=="}"#,
            r#"{"auth": "OmEK"}"#,
            r#"{"password": {"hunter2": 1}}"#,
        ] {
            let text = format!(r#"{{"auths": {{"a.io": {entry}, "b.io": {{"auth": "dTpw"}}}}}}"#);
            let found = first(&text, "a.io", "x");
            assert!(found.contains("the login for `a.io`") && !found.contains("hunter2"), "{found}");
            assert_eq!(entries(&text, "b.io", "x"), ["u:p"]);
        }
        assert!(first(r#"{"credHelpers": {"a.io": 5}}"#, "a.io", "x").contains("the helper for `a.io`"));
    }

    /// Any JSON, with the words of a config at hand.
    fn json() -> impl Strategy<Value = Value> {
        let word = || {
            prop::sample::select(vec![
                "auths",
                "auth",
                "credHelpers",
                "credsStore",
                "a.io",
                "a.io/x",
                "identitytoken",
                "https://a.io/v1/",
                "ä",
            ])
        };
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            word().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((word(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_and_any_json_is_read_or_refused(text in ".{0,40}", document in json(), path in "[a-z/]{0,12}") {
            for text in [text, document.to_string()] {
                for source in [variable(&text), CredentialFile::Variable { name: "X", text: Secret::new(format!("{{\"auths\":{text}}}")) }] {
                    if let Ok(Some(config)) = source.read() {
                        config.entries("a.io", &path);
                        config.entries("docker.io", &path);
                    }
                }
            }
        }
    }
}
