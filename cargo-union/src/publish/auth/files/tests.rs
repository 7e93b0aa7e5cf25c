#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Docker's file with a text, and its temporary directory.
fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, CredentialFile) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, text).unwrap();
    (directory, CredentialFile::Docker(path))
}

fn variable(text: &str) -> CredentialFile {
    CredentialFile::Variable {
        name: "DOCKER_AUTH_CONFIG",
        text: Secret::new(text.to_owned()),
    }
}

fn entries(text: &str, registry: &str, path: &str) -> Vec<String> {
    let config = variable(text).read().unwrap().unwrap();
    config
        .entries(registry, path)
        .into_iter()
        .map(shown)
        .collect()
}

fn shown(entry: CredentialEntry) -> String {
    match entry {
        CredentialEntry::Login(RegistryLogin::Password { user, password }) => {
            format!("{user}:{}", password.reveal())
        }
        CredentialEntry::Login(RegistryLogin::Identity(token)) => {
            format!("token {}", token.reveal())
        }
        CredentialEntry::Login(RegistryLogin::Bearer(token)) => {
            format!("bearer {}", token.reveal())
        }
        CredentialEntry::Helper { program, server } => format!("ask {program} for {server}"),
        CredentialEntry::Unusable(why) => why,
    }
}

fn first(text: &str, registry: &str, path: &str) -> String {
    entries(text, registry, path)
        .into_iter()
        .next()
        .unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn login_with_the_longest_path_is_used() {
    let text = r#"{"auths": {
        "quay.io": {"auth": "aG9zdDox"},
        "quay.io/acme": {"auth": "YWNtZTox"},
        "quay.io/acme/app": {"auth": "YXBwOjE"}
    }}"#;
    for (path, login) in [
        ("acme/app", "app:1"),
        ("acme/app/worker", "app:1"),
        ("acme/application", "acme:1"),
        ("other", "host:1"),
    ] {
        assert_eq!(first(text, "quay.io", path), login, "{path}");
    }
    assert_eq!(first(text, "ghcr.io", "acme/app"), "nothing");
}

#[test]
fn login_of_another_path_applies_to_the_host_in_docker_config_only() {
    let text = r#"{"auths": {"quay.io/acme": {"auth": "YWNtZTox"}}, "credsStore": "desktop"}"#;
    assert_eq!(
        entries(text, "quay.io", "other"),
        ["ask desktop for quay.io", "acme:1"]
    );
    let (_directory, CredentialFile::Docker(path)) = file(text) else {
        unreachable!()
    };
    let podman = CredentialFile::Podman(path).read().unwrap().unwrap();
    assert_eq!(podman.entries("quay.io", "other").len(), 1);
}

#[test]
fn docker_hub_is_found_by_its_legacy_url() {
    let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOjE="}, "https://ghcr.io/v2/": {"identitytoken": "abc"}}}"#;
    assert_eq!(first(text, "docker.io", "library/debian"), "hub:1");
    assert_eq!(first(text, "ghcr.io", "acme/app"), "token abc");
}

#[test]
fn cred_helpers_precede_auths_and_creds_store_is_last() {
    let text = r#"{"auths": {"a.io": {}, "b.io": {"username": "u", "password": "p"}, "c.io": {"auth": "dTpw"}, "c.io/x": {"auth": "dTpw"}},
                   "credHelpers": {"c.io": "c-login"}, "credsStore": "desktop"}"#;
    assert_eq!(first(text, "a.io", "x"), "ask desktop for a.io");
    assert_eq!(first(text, "b.io", "x"), "u:p");
    assert_eq!(first(text, "c.io", "x"), "ask c-login for c.io");
    assert_eq!(
        first(text, "docker.io", "x"),
        "ask desktop for https://index.docker.io/v1/"
    );
}

#[test]
fn password_may_contain_a_colon_and_base64_line_breaks() {
    assert_eq!(
        first(
            r#"{"auths": {"a.io": {"auth": "dTpw\nOnE=\n"}}}"#,
            "a.io",
            "x"
        ),
        "u:p:q"
    );
    assert_eq!(
        first(
            r#"{"auths": {"a.io": {"registrytoken": "abc"}}}"#,
            "a.io",
            "x"
        ),
        "bearer abc"
    );
}

#[test]
fn null_and_empty_values_have_no_entries() {
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
fn parsing_is_as_lenient_as_in_go() {
    // Case-insensitive keys, duplicate keys, and anything after the first value.
    for text in [
        r#"{"Auths": {"a.io": {"Auth": "dTpw"}}}"#,
        r#"{"auths": {}, "auths": {"a.io": {"auth": "dTpw"}}}"#,
        r#"{"auths": {"a.io": {"auth": "dTpw"}}} }"#,
        r#"{"auths": {"a.io": {"auth": "dTpw", "email": 5}, "b.io": 7}, "proxies": []}"#,
    ] {
        assert_eq!(entries(text, "a.io", "x"), ["u:p"], "{text}");
    }
    let (_directory, source) =
        file(b"{\"HttpHeaders\": {\"a\": \"\xff\"}, \"auths\": {\"a.io\": {\"auth\": \"dTpw\"}}}");
    assert_eq!(
        source.read().unwrap().unwrap().entries("a.io", "x").len(),
        1
    );
}

#[test]
fn legacy_dockercfg_is_read() {
    let (_directory, CredentialFile::Docker(path)) =
        file(r#"{"https://a.io/v1/": {"auth": "dTpw", "email": ""}}"#)
    else {
        unreachable!()
    };
    let config = CredentialFile::Legacy(path).read().unwrap().unwrap();
    assert_eq!(
        config
            .entries("a.io", "x")
            .into_iter()
            .map(shown)
            .collect::<Vec<_>>(),
        ["u:p"]
    );
}

#[test]
fn missing_file_is_none_and_unreadable_file_is_an_error() {
    let (directory, CredentialFile::Docker(path)) = file("{}") else {
        unreachable!()
    };
    assert!(
        CredentialFile::Docker(path.join("config.json"))
            .read()
            .unwrap()
            .is_none()
    );
    assert!(
        CredentialFile::Docker(directory.path().join("none"))
            .read()
            .unwrap()
            .is_none()
    );
    let unreadable_file = CredentialFile::Docker(directory.path().to_owned())
        .read()
        .err()
        .unwrap();
    assert_eq!(
        (unreadable_file.failure.code, unreadable_file.is_error),
        (Code::FileUnreadable, false)
    );
    let named = CredentialFile::Named {
        path: directory.path().join("none"),
        setting: "registry-config",
        required: true,
    };
    let unreadable_file = named.read().err().unwrap();
    assert_eq!(
        (unreadable_file.failure.code, unreadable_file.is_error),
        (Code::CredentialsInvalid, true)
    );
    assert!(
        unreadable_file.failure.cause.contains("registry-config"),
        "{unreadable_file:?}"
    );
}

#[test]
fn errors_of_an_invalid_file_name_it_without_its_secrets() {
    for text in [
        "hunter2",
        r#"["hunter2"]"#,
        r#"{"auths": "hunter2"}"#,
        r#"{"credHelpers": ["hunter2"]}"#,
        r#"{"credsStore": {"hunter2": 1}}"#,
    ] {
        let failure = variable(text).read().err().unwrap().failure;
        assert_eq!(failure.code, Code::CredentialsInvalid);
        assert!(
            failure.cause.contains("DOCKER_AUTH_CONFIG"),
            "{}",
            failure.cause
        );
        assert!(
            !format!("{failure:?} {:?}", variable(text)).contains("hunter2"),
            "{failure:?}"
        );
    }
}

#[test]
fn invalid_entry_affects_only_its_own_host() {
    for entry in [
        r#""hunter2""#,
        r#"{"auth": "hunter2!"}"#,
        r#"{"auth": "aHVudGVyMg=="}"#,
        r#"{"auth": "OmEK"}"#,
        r#"{"password": {"hunter2": 1}}"#,
    ] {
        let text = format!(r#"{{"auths": {{"a.io": {entry}, "b.io": {{"auth": "dTpw"}}}}}}"#);
        let found = first(&text, "a.io", "x");
        assert!(
            found.contains("the login for `a.io`") && !found.contains("hunter2"),
            "{found}"
        );
        assert_eq!(entries(&text, "b.io", "x"), ["u:p"]);
    }
    assert!(
        first(r#"{"credHelpers": {"a.io": 5}}"#, "a.io", "x").contains("the helper for `a.io`")
    );
}

/// Arbitrary JSON that often contains keys of a config.
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
            prop::collection::vec((word(), inner), 0..5).prop_map(|members| Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_any_text_and_json_never_panics(text in ".{0,40}", document in json(), path in "[a-z/]{0,12}") {
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
