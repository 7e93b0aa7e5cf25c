//! YAML: its features, and files that are invalid or hostile.

use super::*;

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
