//! Variables, flags and the endpoint.

use union_build::diag::Severity;

use super::*;

#[test]
fn variables_are_read_without_a_file_and_empty_ones_are_unset() {
    let config = Home::new()
        .env("FLYTE_ADMIN_ENDPOINT", "acme.example.test")
        .env("FLYTE_ADMIN_CLIENTID", "me")
        .config();
    assert_eq!(config.endpoint.unwrap().value.host(), "acme.example.test");
    assert_eq!(text(&config.auth.client_id), Some("me"));
    let config = home_with_config(EXAMPLE)
        .env("FLYTE_TASK_PROJECT", "")
        .config();
    assert_eq!(text(&config.project), Some("flytesnacks"));
}

#[test]
fn switches_accept_all_words_in_variables_and_quotes() {
    for (file, variable, plain) in [
        ("", Some("false"), false),
        ("", Some("0"), false),
        ("", Some("True"), true),
        (", insecure: 'false'", None, false),
        (", insecure: no", None, false),
        (", insecure: yes", None, true),
        (", insecure: true", Some("off"), false),
    ] {
        let mut home = home_with_config(&format!("admin: {{endpoint: localhost:8090{file}}}"));
        if let Some(variable) = variable {
            home = home.env("FLYTE_ADMIN_INSECURE", variable);
        }
        assert_eq!(
            home.config().endpoint.unwrap().value.is_plain(),
            plain,
            "{file} {variable:?}"
        );
    }
    let (code, message, place) =
        home_with_config("admin:\n  insecureSkipVerify: maybe\n").problem();
    assert_eq!(
        (code, place.as_str()),
        (Code::FlyteConfigInvalid, "config.yaml:2:23")
    );
    assert!(
        message.contains("`maybe`") && message.contains("admin.insecureSkipVerify"),
        "{message}"
    );
}

#[test]
fn endpoint_scheme_must_not_contradict_insecure() {
    let plain = |text: &str| {
        home_with_config(text)
            .config()
            .endpoint
            .unwrap()
            .value
            .to_string()
    };
    assert_eq!(
        plain("admin: {endpoint: 'http://localhost:8090'}"),
        "http://localhost:8090"
    );
    assert_eq!(
        plain("admin: {endpoint: 'dns:///localhost:8090', insecure: true}"),
        "http://localhost:8090"
    );
    let (code, message, _) =
        home_with_config("admin: {endpoint: 'https://localhost:8090', insecure: true}").problem();
    assert_eq!(code, Code::EndpointInvalid);
    assert!(message.contains("insecure"), "{message}");
    let (code, message, _) =
        home_with_config("admin: {endpoint: 'https://acme.example.test/console'}").problem();
    assert_eq!(code, Code::EndpointInvalid);
    assert!(message.contains("the address of a page"), "{message}");
}

#[test]
fn flags_take_precedence() {
    let home = home_with_config(EXAMPLE)
        .env("FLYTE_ADMIN_ENDPOINT", "other.example.test")
        .env("FLYTE_TASK_ORG", "other");
    let (config, _) = home
        .load_with(|request| {
            request.endpoint = Some("flag.example.test");
            request.org = Some("mine");
        })
        .unwrap();
    assert_eq!(
        config.endpoint.unwrap(),
        Sourced {
            value: BackendEndpoint::parse("flag.example.test").unwrap(),
            origin: Origin::Flag("--endpoint")
        }
    );
    assert_eq!(
        config.org.unwrap(),
        Sourced {
            value: "mine".to_owned(),
            origin: Origin::Flag("--org")
        }
    );
}

#[test]
fn differing_variables_of_one_setting_are_a_warning() {
    let home = Home::new()
        .env("FLYTE_AUTH_TYPE", "Pkce")
        .env("FLYTE_ADMIN_AUTHTYPE", "DeviceFlow");
    let (config, problems) = home.load_with(|_| {}).unwrap();
    assert_eq!(config.auth.kind.value, AuthType::Pkce);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].severity, Severity::Warning);
}
