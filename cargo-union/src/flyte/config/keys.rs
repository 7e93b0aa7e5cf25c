//! The keys of the config with their variables and documentation, from which the reference page is generated.

/// A key, and the variables that override it, in order of precedence.
#[derive(Debug)]
pub(super) struct ConfigKey {
    /// Dotted path in the file: `admin.endpoint`.
    pub(super) path: &'static str,
    pub(super) variables: &'static [&'static str],
    doc: &'static str,
}

macro_rules! keys {
    ($($name:ident = $path:literal, [$($variable:literal),+], $doc:literal;)*) => {
        $(pub(super) const $name: ConfigKey = ConfigKey { path: $path, variables: &[$($variable),+], doc: $doc };)*

        /// All keys, in the order of the page.
        const ALL: &[ConfigKey] = &[$($name),*];
    };
}

keys! {
    ENDPOINT = "admin.endpoint", ["FLYTE_ADMIN_ENDPOINT", "FLYTE_PLATFORM_URL"], "The backend: `host[:port]`, also after `dns:///`, `https://` or `http://`.";
    INSECURE = "admin.insecure", ["FLYTE_ADMIN_INSECURE", "FLYTE_PLATFORM_INSECURE"], "Connect without encryption, and so without a login; the same as `http://`.";
    SKIP_VERIFY = "admin.insecureSkipVerify", ["FLYTE_ADMIN_INSECURESKIPVERIFY", "FLYTE_PLATFORM_INSECURE_SKIP_VERIFY"], "Accept any certificate, unless `admin.caCertFilePath` names an authority.";
    CA_FILE = "admin.caCertFilePath", ["FLYTE_ADMIN_CACERTFILEPATH", "FLYTE_PLATFORM_CA_CERT_FILE_PATH"], "PEM file of the authorities that are trusted instead of all others, also for logins.";
    AUTH_TYPE = "admin.authType", ["FLYTE_AUTH_TYPE", "FLYTE_ADMIN_AUTHTYPE", "FLYTE_CREDENTIALS_AUTH_MODE"], "How to log in: `Pkce` (a browser; the default), `DeviceFlow` (a code for another device), `ClientSecret`, `ExternalCommand`.";
    CLIENT_ID = "admin.clientId", ["FLYTE_ADMIN_CLIENTID", "FLYTE_CREDENTIALS_CLIENT_ID"], "The client of a login with a secret.";
    SECRET_VARIABLE = "admin.clientSecretEnvVar", ["FLYTE_ADMIN_CLIENTSECRETENVVAR", "FLYTE_CREDENTIALS_CLIENT_SECRET_ENV_VAR"], "Name of the variable that holds its secret; wins over the file when it is set.";
    SECRET_FILE = "admin.clientSecretLocation", ["FLYTE_ADMIN_CLIENTSECRETLOCATION", "FLYTE_CREDENTIALS_CLIENT_SECRET_LOCATION"], "File that holds its secret.";
    SECRET = "admin.clientSecret", ["FLYTE_CREDENTIALS_CLIENT_SECRET"], "Its secret itself, which flytekit's INI files may hold as `client_secret`; the variable and the file are safer.";
    COMMAND = "admin.command", ["FLYTE_AUTH_COMMAND", "FLYTE_ADMIN_COMMAND", "FLYTE_CREDENTIALS_COMMAND"], "Program and arguments that print a token: a list, a JSON array, or words in shell syntax.";
    PROXY_COMMAND = "admin.proxyCommand", ["FLYTE_AUTH_PROXY_COMMAND", "FLYTE_ADMIN_PROXYCOMMAND", "FLYTE_CREDENTIALS_PROXY_COMMAND"], "The same for a proxy before the backend; its token goes as `proxy-authorization`.";
    SCOPES = "admin.scopes", ["FLYTE_ADMIN_SCOPES", "FLYTE_CREDENTIALS_SCOPES"], "Scopes to request instead of those that the backend names.";
    AUDIENCE = "admin.audience", ["FLYTE_ADMIN_AUDIENCE", "FLYTE_CREDENTIALS_AUDIENCE"], "Audience to request instead of the one that the backend names.";
    DISABLE_KEYRING = "admin.disableKeyring", ["FLYTE_ADMIN_DISABLEKEYRING"], "Do not store logins.";
    ORG = "task.org", ["FLYTE_TASK_ORG"], "The organization; without it, the first label of a host that has more than two.";
    PROJECT = "task.project", ["FLYTE_TASK_PROJECT"], "The project, where the manifest names none.";
    DOMAIN = "task.domain", ["FLYTE_TASK_DOMAIN"], "The domain, where the manifest names none.";
    BUILDER = "image.builder", ["FLYTE_IMAGE_BUILDER"], "Who builds images, unless the manifest sets it: `remote` is the backend; `local` and `local-podman` leave the choice to `builder = \"auto\"`.";
    REGISTRY = "image.registry", ["FLYTE_IMAGE_REGISTRY"], "The registry, where the manifest names none.";
}

/// The sections of a Flyte config. A file without any of them is not a Flyte config.
pub(super) const SECTIONS: &[&str] = &["admin", "console", "task", "image", "local"];

/// The reference page, `docs/flyte-config.md`.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# The Flyte config

Made from the table in `cargo-union/src/flyte/config/keys.rs`.

One file is read, the first of: `--config FILE`, `./config.yaml` (when it is about Flyte), `./.flyte/config.yaml`,
`.flyte/config.yaml` at the root of the git repository, `$UCTL_CONFIG`, `$FLYTECTL_CONFIG`, `~/.union/config.yaml`,
`~/.flyte/config.yaml`, `./flytekit.config`, `~/.flyte/config`. The last two, and a file that was named and does not end in
`.yaml` or `.yml`, may be INI files of flytekit, which are only read: `[platform]`, `[credentials]` and `[local]`. Variables come
before the file, `FLYTE_API_KEY` before both, flags before everything.
`cargo union config` shows each value with its source.

| key | variable | meaning |
|---|---|---|
",
    );
    for key in ALL {
        page.push_str(&format!(
            "| `{}` | {} | {} |\n",
            key.path,
            key.variables.join(", "),
            key.doc
        ));
    }
    page.push_str(
        "
`FLYTE_API_KEY` is base64 of `endpoint:client id:secret:org`: a backend and a login with a secret in one.

## Logins

A login starts only when the backend requires it; a call that is refused is made once more with new credentials. Logins of users
are kept in the system's keyring, under the name that the Python SDK uses, so that one login serves both: through
`secret-tool` on Linux, `security` on macOS. Without a keyring they are in a file that only the user may read, in
`$XDG_STATE_HOME/cargo-union/logins` (`~/.local/state`). Tokens of a client's secret and of a program are not stored. A
command that has no terminal never waits for a user: give it a secret, a program or `FLYTE_API_KEY`.

## Differences from the Python SDK

- Variables are read without a file too, and an empty one counts as unset.
- `false`, `no`, `off` and `0` are false everywhere, and other words are errors.
- A file that is not YAML is an error with its line.
- `http://` disables encryption; `https://` together with `insecure` is an error.
- An API key may have either alphabet of base64, a scheme, a port, and colons in its secret.
- Certificates are checked in the same way for logins as for calls, and `proxyCommand` has a header of its own.
- A client's secret never replaces the user's login in the keyring.
- flytekit's own entries of the keyring, `access_token` and `refresh_token`, are read after those of this tool and of the SDK of
  Flyte 2, and removed by `logout`.
",
    );
    page
}
