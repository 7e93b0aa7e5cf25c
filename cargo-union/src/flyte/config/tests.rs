#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tempfile::TempDir;
use union_build::diag::Severity;

use super::*;

/// A user's directories and variables.
struct Home {
    root: TempDir,
    environment: Environment,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("HOME", root.path().join("home"));
        Self { root, environment }.file("work/.keep", "")
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.environment.set(name, value);
        self
    }

    fn load_with(
        &self,
        change: impl FnOnce(&mut ConfigRequest<'_>),
    ) -> Result<(FlyteConfig, Vec<Diagnostic>)> {
        let directory = self.root.path().join("work");
        let mut request = ConfigRequest {
            environment: &self.environment,
            directory: &directory,
            file: None,
            endpoint: None,
            org: None,
        };
        change(&mut request);
        load(&request)
    }

    /// The config of a user without problems.
    #[track_caller]
    fn config(&self) -> FlyteConfig {
        let (config, problems) = self.load_with(|_| {}).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        config
    }

    /// Code, message and place of the only problem.
    #[track_caller]
    fn problem(&self) -> (Code, String, String) {
        let (_, problems) = self.load_with(|_| {}).unwrap();
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        let place = problem.labels[0].origin.to_string();
        (
            problem.code,
            problem.message.clone(),
            place.rsplit('/').next().unwrap().to_owned(),
        )
    }
}

/// A user with this config in the home directory.
fn home_with_config(text: &str) -> Home {
    Home::new().file("home/.flyte/config.yaml", text)
}

fn text(value: &Option<Sourced<String>>) -> Option<&str> {
    value.as_ref().map(|value| value.value.as_str())
}

const EXAMPLE: &str = "admin: {endpoint: dns:///acme.example.test, authType: Pkce}
image: {builder: remote, registry: ghcr.io/acme}
task: {project: flytesnacks, domain: development}
";

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
fn invalid_yaml_is_an_error_with_its_line() {
    let (code, _, place) =
        home_with_config("admin:\n  endpoint: [dns:///a.example.test\ntask: {}\n").problem();
    assert_eq!(code, Code::FlyteConfigSyntax);
    assert!(place.starts_with("config.yaml:3:"), "{place}");
    let (code, ..) = Home::new().file("work/config.yaml", "admin: {\n").problem();
    assert_eq!(code, Code::FlyteConfigSyntax);
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

#[test]
fn all_problems_of_a_config_are_reported() {
    let (_, problems) = home_with_config(
        "admin: {endpoint: 'ftp://x', insecureSkipVerify: perhaps, authType: [a]}",
    )
    .load_with(|_| {})
    .unwrap();
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn yaml_anchors_merges_and_duplicate_keys_are_resolved() {
    let merged = "base: &base {endpoint: a.example.test, clientId: base}\nadmin:\n  <<: *base\n  clientId: own\ntask: {project: a, project: b}\n";
    let config = home_with_config(merged).config();
    assert_eq!(
        config.endpoint.as_ref().unwrap().value.host(),
        "a.example.test"
    );
    assert_eq!(
        (text(&config.auth.client_id), text(&config.project)),
        (Some("own"), Some("b"))
    );
}

#[test]
fn hostile_yaml_is_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..60 {
        bomb.push_str(&format!(
            "a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n",
            level - 1
        ));
    }
    assert_eq!(
        text(
            &home_with_config(&format!("{bomb}task: {{project: p}}"))
                .config()
                .project
        ),
        Some("p")
    );
    let (code, ..) =
        home_with_config(&format!("admin: {}{}", "[".repeat(5000), "]".repeat(5000))).problem();
    assert_eq!(code, Code::FlyteConfigSyntax);
    let (code, ..) = home_with_config("task: &a {project: *a}").problem();
    assert_eq!(code, Code::FlyteConfigSyntax);
    let (code, ..) = home_with_config("task: {}\n---\ntask: {}\n").problem();
    assert_eq!(code, Code::FlyteConfigSyntax);
}

const FILE: &str = "# é\nadmin:\n  endpoint: dns:///acme.example.test\n  insecure: false\n  authType: &a ClientSecret\n  \
    command: [vault, \"read\", '-field=x']\n  scopes:\n  - all\n  - *a\n  caCertFilePath: ~/ca.pem\ntask: {org: acme, project: p}\nimage:\n  registry: ghcr.io/acme\n";

proptest! {
    #[test]
    fn arbitrary_configs_are_read_or_refused(file in prop_oneof![4 => union_tests::arbitrary::spoiled(FILE), 1 => union_tests::arbitrary::text()]) {
        let home = Home::new().file("home/.flyte/config.yaml", &file);
        let (config, problems) = home.load_with(|_| {}).unwrap();
        config.settings();
        for label in problems.iter().flat_map(|problem| &problem.labels) {
            if let Origin::File(file, span) = &label.origin {
                prop_assert!(file.text.get(span.clone()).is_some(), "{span:?}");
            }
        }
    }

    #[test]
    fn arbitrary_variables_are_read_or_refused(values in proptest::collection::vec((proptest::sample::select(VARIABLES), union_tests::arbitrary::text()), 0..4)) {
        let mut home = Home::new();
        for (name, value) in values.into_iter().filter(|(_, value)| !value.contains('\0')) {
            home = home.env(name, value);
        }
        let (config, _) = home.load_with(|_| {}).unwrap();
        config.settings();
        if let Some(endpoint) = &config.endpoint {
            // `Client::new` relies on a valid URL.
            prop_assert!(crate::http::Url::parse(&endpoint.value.to_string()).is_ok(), "{}", endpoint.value);
        }
    }
}

const VARIABLES: &[&str] = &[
    "FLYTE_ADMIN_ENDPOINT",
    "FLYTE_ADMIN_ENDPOINT",
    "FLYTE_ADMIN_INSECURE",
    "FLYTE_ADMIN_INSECURESKIPVERIFY",
    "FLYTE_ADMIN_CACERTFILEPATH",
    "FLYTE_AUTH_TYPE",
    "FLYTE_ADMIN_CLIENTSECRETENVVAR",
    "FLYTE_AUTH_COMMAND",
    "FLYTE_ADMIN_SCOPES",
    "FLYTE_API_KEY",
    "FLYTE_TASK_ORG",
    "FLYTECTL_CONFIG_NOT_READ",
];

#[test]
fn deeply_nested_yaml_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let file = format!(
            "admin: \n  {}{}\n",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        let home = Home::new().file("home/.flyte/config.yaml", &file);
        assert!(!home.load_with(|_| {}).unwrap().1.is_empty(), "{open}");
    }
}

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
