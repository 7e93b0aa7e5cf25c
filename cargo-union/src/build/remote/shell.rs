//! Encodes commands as single lines that have no special meaning in a Dockerfile.

use union_build::spec;

use crate::image::remote_spec::BuildSecret;

/// The directory of secrets, the same as with an engine.
const SECRETS: &str = "/run/secrets";

/// The command itself, if nothing in it is special in a Dockerfile; else a shell that decodes it.
fn single_line(command: &str) -> String {
    let command = command.trim();
    let is_plain = !command.contains(['\n', '\r'])
        && !command.contains("<<")
        && !command.starts_with(['-', '[', '#'])
        && !command.ends_with('\\');
    if is_plain {
        command.to_owned()
    } else {
        shell(command)
    }
}

/// A line that runs a command with its secrets in files, as with an engine. The backend passes secrets in variables;
/// the line writes the files before the command and removes them after it.
pub(super) fn with_secrets(
    command: &str,
    secrets: &[spec::SecretSpec],
) -> (String, Vec<BuildSecret>) {
    let secrets: Vec<BuildSecret> = secrets
        .iter()
        .enumerate()
        .map(|(position, secret)| BuildSecret {
            key: secret.id.value.clone(),
            variable: format!("UNION_SECRET_{position}"),
        })
        .collect();
    if secrets.is_empty() {
        return (single_line(command), secrets);
    }
    let writes: Vec<String> = secrets
        .iter()
        .map(|secret| {
            format!(
                "printf %s \"${}\" > {SECRETS}/{}",
                secret.variable, secret.key
            )
        })
        .collect();
    let variables: Vec<&str> = secrets
        .iter()
        .map(|secret| secret.variable.as_str())
        .collect();
    let files: Vec<String> = secrets
        .iter()
        .map(|secret| format!("{SECRETS}/{}", secret.key))
        .collect();
    let line = format!(
        "mkdir -p {SECRETS} && (umask 077; {}) && (unset {}; exec {}); code=$?; rm -f {}; exit $code",
        writes.join(" && "),
        variables.join(" "),
        shell(command.trim()),
        files.join(" "),
    );
    (line, secrets)
}

/// A shell invocation that decodes any command from a single line.
fn shell(command: &str) -> String {
    let text = command
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\'', "'\\''");
    // The shell would take a leading dash for an option.
    let space = if text.starts_with(['-', '+']) {
        " "
    } else {
        ""
    };
    format!("/bin/sh -c \"$(printf %b '{space}{text}')\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use union_build::diag::Origin;
    use union_build::spec::{SecretSource, SecretSpec, Sourced};

    use super::*;
    use crate::sys::process::{Environment, ProcessCommand};

    #[test]
    fn plain_commands_are_not_encoded() {
        assert_eq!(
            single_line("ldconfig && echo 'a \"b\"' $HOME"),
            "ldconfig && echo 'a \"b\"' $HOME"
        );
        for odd in ["-x", "[ -f a ] && b", "# a", "a\nb", "cat <<E", "a \\"] {
            assert!(
                single_line(odd).starts_with("/bin/sh -c \"$(printf %b '"),
                "{odd}"
            );
            assert!(!single_line(odd).contains('\n'), "{odd}");
        }
    }

    /// Runs a line as the shell of a build step would.
    fn run(line: &str, variables: &[(&str, &str)]) -> (String, bool) {
        let mut environment = Environment::default();
        environment.set("PATH", "/usr/bin:/bin");
        variables
            .iter()
            .for_each(|(name, value)| environment.set(*name, value));
        let mut command = ProcessCommand::new("/bin/sh", Path::new("/"), &environment);
        command.args(["-c", line]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let output = runtime.block_on(command.output()).unwrap();
        match output.success() {
            Ok(stdout) => (String::from_utf8(stdout).unwrap(), true),
            Err(error) => (error.to_string(), false),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn encoded_commands_are_decoded_unchanged(text in "[ -~\n]{0,40}") {
            let quoted = format!("printf %s '{}'", text.replace('\'', "'\\''"));
            prop_assert_eq!(run(&shell(&quoted), &[]).0, text);
        }
    }

    #[test]
    fn leading_dash_is_not_an_option_of_the_shell() {
        assert_eq!(
            run(&single_line("-x 2>/dev/null || echo a"), &[]),
            ("a\n".to_owned(), true)
        );
    }

    #[test]
    fn secret_files_exist_only_while_the_command_runs() {
        let id = format!("test-{}", std::process::id());
        let secret = SecretSpec {
            id: Sourced {
                value: id.clone(),
                origin: Origin::Default,
            },
            source: SecretSource::Backend,
            required: true,
        };
        let command = format!("[ -z \"$UNION_SECRET_0\" ] && cat /run/secrets/{id}\nexit 3");
        let (line, secrets) = with_secrets(&command, std::slice::from_ref(&secret));
        assert_eq!(
            secrets,
            [BuildSecret {
                key: id.clone(),
                variable: "UNION_SECRET_0".to_owned()
            }]
        );
        let directory = tempfile::tempdir().unwrap();
        let line = line.replace(SECRETS, directory.path().to_str().unwrap());
        let command = line.replace("exit 3", "exit 0");
        assert_eq!(
            run(&command, &[("UNION_SECRET_0", "hunter2 %s\\n")]),
            ("hunter2 %s\\n".to_owned(), true)
        );
        assert!(
            run(&line, &[("UNION_SECRET_0", "a")])
                .0
                .contains("exit code 3")
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
