//! The keys of the config and their variables, once.

/// A key: its place in the file, and the variables that override it, the preferred one first.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted: `admin.endpoint`.
    pub(super) path: &'static str,
    pub(super) variables: &'static [&'static str],
}

pub(super) const ENDPOINT: Key = Key { path: "admin.endpoint", variables: &["FLYTE_ADMIN_ENDPOINT"] };
pub(super) const INSECURE: Key = Key { path: "admin.insecure", variables: &["FLYTE_ADMIN_INSECURE"] };
pub(super) const SKIP_VERIFY: Key = Key { path: "admin.insecureSkipVerify", variables: &["FLYTE_ADMIN_INSECURESKIPVERIFY"] };
pub(super) const CA_FILE: Key = Key { path: "admin.caCertFilePath", variables: &["FLYTE_ADMIN_CACERTFILEPATH"] };
pub(super) const DISABLE_KEYRING: Key = Key { path: "admin.disableKeyring", variables: &["FLYTE_ADMIN_DISABLEKEYRING"] };
pub(super) const AUTH_TYPE: Key = Key { path: "admin.authType", variables: &["FLYTE_AUTH_TYPE", "FLYTE_ADMIN_AUTHTYPE"] };
pub(super) const CLIENT_ID: Key = Key { path: "admin.clientId", variables: &["FLYTE_ADMIN_CLIENTID"] };
pub(super) const SECRET_FILE: Key = Key { path: "admin.clientSecretLocation", variables: &["FLYTE_ADMIN_CLIENTSECRETLOCATION"] };
pub(super) const SECRET_VARIABLE: Key = Key { path: "admin.clientSecretEnvVar", variables: &["FLYTE_ADMIN_CLIENTSECRETENVVAR"] };
pub(super) const COMMAND: Key = Key { path: "admin.command", variables: &["FLYTE_AUTH_COMMAND", "FLYTE_ADMIN_COMMAND"] };
pub(super) const PROXY_COMMAND: Key =
    Key { path: "admin.proxyCommand", variables: &["FLYTE_AUTH_PROXY_COMMAND", "FLYTE_ADMIN_PROXYCOMMAND"] };
pub(super) const SCOPES: Key = Key { path: "admin.scopes", variables: &["FLYTE_ADMIN_SCOPES"] };
pub(super) const ORG: Key = Key { path: "task.org", variables: &["FLYTE_TASK_ORG"] };
pub(super) const PROJECT: Key = Key { path: "task.project", variables: &["FLYTE_TASK_PROJECT"] };
pub(super) const DOMAIN: Key = Key { path: "task.domain", variables: &["FLYTE_TASK_DOMAIN"] };
pub(super) const REGISTRY: Key = Key { path: "image.registry", variables: &["FLYTE_IMAGE_REGISTRY"] };

/// The sections of a Flyte config. A file that has none of them is not one.
pub(super) const SECTIONS: &[&str] = &["admin", "console", "task", "image", "local"];
