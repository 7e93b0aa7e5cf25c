//! Which file is read, and the places of its values.

use super::*;

#[test]
fn first_existing_config_file_is_read() {
    let places = [
        "work/config.yaml",
        "work/.flyte/config.yaml",
        ".flyte/config.yaml",
        "uctl.yaml",
        "flytectl.yaml",
        "home/.union/config.yaml",
        "home/.flyte/config.yaml",
    ];
    let mut home = Home::new().file(".git/HEAD", "");
    for place in places {
        home = home.file(place, &format!("task: {{project: {place}}}"));
    }
    let uctl = home.root.path().join("uctl.yaml");
    let flytectl = home.root.path().join("flytectl.yaml");
    home = home
        .env("UCTL_CONFIG", uctl)
        .env("FLYTECTL_CONFIG", flytectl);
    for place in places {
        assert_eq!(text(&home.config().project), Some(place));
        assert_eq!(home.config().domain, None, "nothing is merged");
        std::fs::remove_file(home.root.path().join(place)).unwrap();
        home.environment.remove(match place {
            "uctl.yaml" => "UCTL_CONFIG",
            "flytectl.yaml" => "FLYTECTL_CONFIG",
            _ => "NONE",
        });
    }
    assert_eq!(home.config().file, None);
}

#[test]
fn named_config_file_must_exist() {
    let home = home_with_config(EXAMPLE);
    let absent = home
        .load_with(|request| request.file = Some(Path::new("absent.yaml")))
        .unwrap_err();
    assert_eq!(absent.code(), Code::FileUnreadable);
    assert!(absent.to_string().contains("work/absent.yaml"), "{absent}");
    let named = home_with_config(EXAMPLE)
        .env("UCTL_CONFIG", "/no/such/file")
        .load_with(|_| {})
        .unwrap_err();
    assert!(named.to_string().contains("/no/such/file"), "{named}");
}

#[test]
fn config_yaml_without_flyte_sections_is_ignored() {
    for other in [
        "server: {port: 80}",
        "replicas: {{ .Values.replicas }}\nname: x",
        "- a\n- b",
        "",
    ] {
        let home = home_with_config(EXAMPLE).file("work/config.yaml", other);
        assert_eq!(text(&home.config().project), Some("flytesnacks"), "{other}");
    }
}

#[test]
fn config_values_have_their_places() {
    let config = home_with_config(EXAMPLE)
        .env("FLYTE_TASK_DOMAIN", "production")
        .config();
    let endpoint = config.endpoint.unwrap();
    assert_eq!(endpoint.value.to_string(), "https://acme.example.test");
    assert!(
        endpoint
            .origin
            .to_string()
            .ends_with("home/.flyte/config.yaml:1:19"),
        "{}",
        endpoint.origin
    );
    assert_eq!(config.org.unwrap().value, "acme");
    assert_eq!(text(&config.registry), Some("ghcr.io/acme"));
    let domain = config.domain.unwrap();
    assert_eq!(
        (domain.value.as_str(), domain.origin),
        ("production", Origin::Env("FLYTE_TASK_DOMAIN"))
    );
}
