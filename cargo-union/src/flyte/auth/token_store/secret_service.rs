//! The keyring of Linux desktops, through `secret-tool`: what is written here, Python's `keyring` finds.

use super::{KeyringTool, KeyringUnavailable, USER};

pub(super) const PROGRAM: &str = "secret-tool";

/// As Python's `keyring` marks what is its own, so that each replaces what the other wrote.
const APPLICATION: [&str; 2] = ["application", "Python keyring library"];

pub(super) async fn read(tool: &KeyringTool, service: &str) -> Result<Option<String>, KeyringUnavailable> {
    let ended = tool.run(["lookup", "service", service, "username", USER], "").await?;
    match ended.failed {
        None => Ok(Some(ended.stdout)),
        // Nothing is found without a word; whoever has something to say has no keyring.
        Some(failed) if failed.stderr.trim().is_empty() => Ok(None),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}

pub(super) async fn write(tool: &KeyringTool, service: &str, secret: &str) -> Result<(), KeyringUnavailable> {
    forget(tool, service).await?;
    let label = format!("--label=Password for '{USER}' on '{service}'");
    let attributes = ["store", &label, APPLICATION[0], APPLICATION[1], "service", service, "username", USER];
    let ended = tool.run(attributes, secret).await?;
    ended.failed.map_or(Ok(()), |failed| Err(KeyringUnavailable(failed.to_string())))
}

pub(super) async fn forget(tool: &KeyringTool, service: &str) -> Result<bool, KeyringUnavailable> {
    let ended = tool.run(["clear", "service", service, "username", USER], "").await?;
    match ended.failed {
        None => Ok(true),
        Some(failed) if failed.stderr.trim().is_empty() => Ok(false),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}
