//! The keychain of macOS, through Apple's `security`, as in the Python SDK: access to an entry is bound to the
//! signature of a program, and this program is the same for both.

use super::{KeyringTool, KeyringUnavailable, USER};

/// An absolute path, so that no other program of this name gets tokens.
pub(super) const PROGRAM: &str = "/usr/bin/security";
/// The exit code when there is no such entry.
const NOT_FOUND: Option<i32> = Some(44);
/// The maximum length of a line that it reads, with the line break.
const LONGEST: usize = 4095;

pub(super) async fn read(
    tool: &KeyringTool,
    service: &str,
    user: &str,
) -> Result<Option<String>, KeyringUnavailable> {
    let output = tool
        .run(
            ["find-generic-password", "-a", user, "-s", service, "-w"],
            "",
        )
        .await?;
    match output.failed {
        None => Ok(Some(output.stdout.trim_end_matches('\n').to_owned())),
        Some(failed) if failed.code == NOT_FOUND => Ok(None),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}

pub(super) async fn write(
    tool: &KeyringTool,
    service: &str,
    secret: &str,
) -> Result<(), KeyringUnavailable> {
    let line = add_command(service, secret).ok_or_else(|| {
        KeyringUnavailable("the tokens are too long for the keychain's program".to_owned())
    })?;
    // A changed entry would still belong to the program that created it; a new one belongs to `security`.
    forget(tool, service, USER).await?;
    let output = tool.run(["-i"], &line).await?;
    match output.failed {
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
        // `security -i` exits with 0 even when a command failed.
        None if read(tool, service, USER).await?.as_deref() == Some(secret) => Ok(()),
        None => Err(KeyringUnavailable(
            "the keychain did not store the tokens".to_owned(),
        )),
    }
}

pub(super) async fn forget(
    tool: &KeyringTool,
    service: &str,
    user: &str,
) -> Result<bool, KeyringUnavailable> {
    let output = tool
        .run(["delete-generic-password", "-a", user, "-s", service], "")
        .await?;
    match output.failed {
        None => Ok(true),
        Some(failed) if failed.code == NOT_FOUND => Ok(false),
        Some(failed) => Err(KeyringUnavailable(failed.to_string())),
    }
}

/// A command for its standard input, because arguments are visible to all users. `None` when it would be truncated.
fn add_command(service: &str, secret: &str) -> Option<String> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let line = format!(
        "add-generic-password -a {USER} -s {} -w {}\n",
        quoted(service),
        quoted(secret)
    );
    (line.len() <= LONGEST && !secret.contains(['\n', '\r'])).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keychain_command_is_quoted_and_limited_in_length() {
        let expected =
            "add-generic-password -a tokens -s \"host:1\" -w \"{\\\"a\\\":\\\"b\\\\\\\\c\\\"}\"\n";
        assert_eq!(
            add_command("host:1", r#"{"a":"b\\c"}"#).as_deref(),
            Some(expected)
        );
        assert_eq!(add_command("host", &"x".repeat(LONGEST)), None);
        assert_eq!(add_command("host", "a\nb"), None);
    }
}
