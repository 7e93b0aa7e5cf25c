//! The keyring of Linux desktops (Secret Service), through `secret-tool`, with the entries of Python's `keyring`.

use super::{KeyringTool, KeyringUnavailable, USER};

pub(super) const PROGRAM: &str = "secret-tool";

/// The attribute that Python's `keyring` sets, so that each replaces the entries of the other.
const APPLICATION: [&str; 2] = ["application", "Python keyring library"];

pub(super) async fn read(
    tool: &KeyringTool,
    service: &str,
    user: &str,
) -> Result<Option<String>, KeyringUnavailable> {
    let output = tool
        .run(["lookup", "service", service, "username", user], "")
        .await?;
    match output.failed {
        None => Ok(Some(output.stdout)),
        // A missing entry has no message; a message means that the keyring cannot be used.
        Some(failed) if failed.stderr.trim().is_empty() => Ok(None),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}

pub(super) async fn write(
    tool: &KeyringTool,
    service: &str,
    secret: &str,
) -> Result<(), KeyringUnavailable> {
    forget(tool, service, USER).await?;
    let label = format!("--label=Password for '{USER}' on '{service}'");
    let attributes = [
        "store",
        &label,
        APPLICATION[0],
        APPLICATION[1],
        "service",
        service,
        "username",
        USER,
    ];
    let output = tool.run(attributes, secret).await?;
    output
        .failed
        .map_or(Ok(()), |failed| Err(KeyringUnavailable(failed.to_string())))
}

pub(super) async fn forget(
    tool: &KeyringTool,
    service: &str,
    user: &str,
) -> Result<bool, KeyringUnavailable> {
    let output = tool
        .run(["clear", "service", service, "username", user], "")
        .await?;
    match output.failed {
        None => Ok(true),
        Some(failed) if failed.stderr.trim().is_empty() => Ok(false),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}
