//! Arbitrary files and variables.

use proptest::prelude::*;

use super::*;

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
