//! Files and variables of flytekit.

use super::*;

const INI: &str = "# flytekit
[platform]
url = dns:///flyte.example.test
insecure = False

[credentials]
auth_mode = client_credentials
client_id: robot
client_secret_location = secret.txt
scopes = all, offline
audience = flyte
unknown = 1

[sdk]
project = other

[local]
project = flytesnacks
domain = development
";

#[test]
fn ini_file_of_flytekit_is_read() {
    for (file, variable) in [
        ("work/flytekit.config", None),
        ("home/.flyte/config", None),
        ("elsewhere/flyte.ini", Some("FLYTECTL_CONFIG")),
    ] {
        let mut home = Home::new().file(file, INI);
        if let Some(variable) = variable {
            let path = home.root.path().join(file);
            home = home.env(variable, path);
        }
        let config = home.config();
        assert_eq!(
            config.endpoint.as_ref().unwrap().value.to_string(),
            "https://flyte.example.test",
            "{file}"
        );
        assert_eq!(config.auth.kind.value, AuthType::ClientSecret);
        assert!(matches!(config.auth.secret, Some(ClientSecret::File(_))));
        assert_eq!(text(&config.auth.client_id), Some("robot"));
        assert_eq!(text(&config.auth.audience), Some("flyte"));
        assert_eq!(
            config.auth.scopes.as_ref().unwrap().value,
            ["all", "offline"]
        );
        assert_eq!(
            (text(&config.project), text(&config.domain)),
            (Some("flytesnacks"), Some("development"))
        );
        let origin = config.auth.client_id.unwrap().origin.to_string();
        assert!(origin.ends_with(":8:1"), "{origin}");
    }
}

#[test]
fn secret_in_an_ini_file_is_used_and_not_shown() {
    let ini = "[platform]\nurl = flyte.example.test\n[credentials]\nclient_id = robot\nclient_secret = hunter2\n";
    let config = Home::new().file("work/flytekit.config", ini).config();
    assert_eq!(config.auth.kind.value, AuthType::ClientSecret);
    assert!(
        matches!(&config.auth.secret, Some(ClientSecret::Known(secret)) if secret.reveal() == "hunter2")
    );
    let settings = config.settings();
    assert!(
        settings
            .iter()
            .all(|setting| !setting.value.contains("hunter2"))
    );
}

#[test]
fn yaml_config_comes_before_the_ini_files() {
    let home = home_with_config(EXAMPLE)
        .file("work/flytekit.config", INI)
        .file("home/.flyte/config", INI);
    assert_eq!(
        home.config().endpoint.unwrap().value.to_string(),
        "https://acme.example.test"
    );
}

#[test]
fn variables_of_flytekit_are_read() {
    let config = Home::new()
        .env("FLYTE_PLATFORM_URL", "flyte.example.test")
        .env("FLYTE_CREDENTIALS_AUTH_MODE", "DeviceFlow")
        .env("FLYTE_CREDENTIALS_CLIENT_ID", "robot")
        .config();
    assert_eq!(
        config.endpoint.unwrap().value.to_string(),
        "https://flyte.example.test"
    );
    assert_eq!(config.auth.kind.value, AuthType::DeviceFlow);
    assert_eq!(text(&config.auth.client_id), Some("robot"));
}
