//! The kind of login and its settings.

use super::*;

#[test]
fn api_key_overrides_endpoint_login_and_organization() {
    use base64::Engine as _;
    let key =
        base64::engine::general_purpose::STANDARD.encode("key.example.test:robot:hunter2:tenant");
    let home = home_with_config(
        "admin: {endpoint: localhost:8090, insecure: true, authType: DeviceFlow, caCertFilePath: ca.pem}\ntask: {org: file}",
    );
    let config = home.env("FLYTE_API_KEY", key).config();
    let endpoint = config.endpoint.as_ref().unwrap();
    assert_eq!(
        (endpoint.value.to_string().as_str(), &endpoint.origin),
        ("https://key.example.test", &Origin::Env("FLYTE_API_KEY"))
    );
    assert_eq!(text(&config.org), Some("tenant"));
    assert_eq!(
        (config.auth.kind.value, text(&config.auth.client_id)),
        (AuthType::ClientSecret, Some("robot"))
    );
    assert!(
        matches!(&config.auth.secret, Some(ClientSecret::Known(secret)) if secret.reveal() == "hunter2")
    );
    assert!(
        config
            .ca_file
            .as_ref()
            .is_some_and(|file| file.ends_with("work/ca.pem")),
        "the trust of the file still counts"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    let (code, message, _) = Home::new().env("FLYTE_API_KEY", "hunter2").problem();
    assert_eq!(code, Code::ApiKeyInvalid);
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn configured_client_secret_selects_the_kind_of_login() {
    let secret = |home: Home| {
        let auth = home.config().auth;
        (auth.kind.value, format!("{:?}", auth.secret.unwrap()))
    };
    let file =
        "admin: {clientId: robot, clientSecretLocation: secret, clientSecretEnvVar: MY_SECRET}";
    let (kind, shown) = secret(home_with_config(file).env("MY_SECRET", "hunter2"));
    assert_eq!(
        (kind, shown.as_str()),
        (AuthType::ClientSecret, "Known(***)")
    );
    let (kind, shown) = secret(home_with_config(file));
    assert_eq!(kind, AuthType::ClientSecret);
    assert!(shown.contains("work/secret"), "{shown}");
    let (kind, shown) = secret(home_with_config("admin: {clientSecretEnvVar: MY_SECRET}"));
    assert_eq!(kind, AuthType::Pkce);
    assert!(
        shown.contains("Unset") && shown.contains("MY_SECRET"),
        "{shown}"
    );
}

#[test]
fn commands_and_scopes_are_lists_arrays_or_words_in_text() {
    let command = |home: Home| home.config().auth.command.unwrap().value;
    assert_eq!(
        command(home_with_config("admin:\n  command: [uctl, get-token]")),
        ["uctl", "get-token"]
    );
    assert_eq!(
        command(home_with_config("admin:\n  command: uctl get-token")),
        ["uctl", "get-token"]
    );
    assert_eq!(
        command(Home::new().env("FLYTE_ADMIN_COMMAND", r#"["uctl", "a b"]"#)),
        ["uctl", "a b"]
    );
    assert_eq!(
        command(Home::new().env("FLYTE_AUTH_COMMAND", "uctl 'a b'")),
        ["uctl", "a b"]
    );
    let scopes = |text: &str| {
        Home::new()
            .env("FLYTE_ADMIN_SCOPES", text)
            .config()
            .auth
            .scopes
            .unwrap()
            .value
    };
    assert_eq!(scopes("all, offline"), ["all", "offline"]);
    assert_eq!(scopes(r#"["all","offline"]"#), ["all", "offline"]);
    let (code, message, _) = Home::new().env("FLYTE_AUTH_COMMAND", "uctl 'a").problem();
    assert_eq!(code, Code::FlyteConfigInvalid);
    assert!(message.contains("quotes"), "{message}");
    let (code, _, place) = home_with_config("admin:\n  command: {a: b}").problem();
    assert_eq!(
        (code, place.as_str()),
        (Code::FlyteConfigInvalid, "config.yaml:2:12")
    );
}

#[test]
fn auth_type_is_one_of_five() {
    for (word, kind) in [
        ("DeviceFlow", AuthType::DeviceFlow),
        ("client_secret", AuthType::ClientSecret),
        ("headless", AuthType::DeviceFlow),
    ] {
        assert_eq!(
            Home::new()
                .env("FLYTE_AUTH_TYPE", word)
                .config()
                .auth
                .kind
                .value,
            kind
        );
    }
    assert_eq!(Home::new().config().auth.kind.value, AuthType::Pkce);
    let (code, message, _) = Home::new().env("FLYTE_AUTH_TYPE", "Kerberos").problem();
    assert_eq!(code, Code::FlyteConfigInvalid);
    assert!(message.contains("Kerberos"), "{message}");
}
