//! Commands as one line that means the same wherever it is put into a Dockerfile.

use union_build::spec;

use crate::image::remote_spec::BuildSecret;

/// Where commands find secrets, as with an engine.
const SECRETS: &str = "/run/secrets";

/// A command as it is typed, when nothing in it can mean something to a Dockerfile; else a shell that reads
/// it from a text.
fn line(command: &str) -> String {
    let command = command.trim();
    let is_plain =
        !command.contains(['\n', '\r']) && !command.contains("<<") && !command.starts_with(['-', '[', '#']) && !command.ends_with('\\');
    if is_plain { command.to_owned() } else { shell(command) }
}

/// A command that finds its secrets in files, as it does with an engine. They come in variables, and are
/// gone before the step ends.
pub(super) fn with_secrets(command: &str, secrets: &[spec::SecretSpec]) -> (String, Vec<BuildSecret>) {
    let given: Vec<BuildSecret> = secrets
        .iter()
        .enumerate()
        .map(|(position, secret)| BuildSecret { key: secret.id.value.clone(), variable: format!("UNION_SECRET_{position}") })
        .collect();
    if given.is_empty() {
        return (line(command), given);
    }
    let written: Vec<String> =
        given.iter().map(|secret| format!("printf %s \"${}\" > {SECRETS}/{}", secret.variable, secret.key)).collect();
    let names: Vec<&str> = given.iter().map(|secret| secret.variable.as_str()).collect();
    let files: Vec<String> = given.iter().map(|secret| format!("{SECRETS}/{}", secret.key)).collect();
    let line = format!(
        "mkdir -p {SECRETS} && (umask 077; {}) && (unset {}; exec {}); code=$?; rm -f {}; exit $code",
        written.join(" && "),
        names.join(" "),
        shell(command.trim()),
        files.join(" "),
    );
    (line, given)
}

/// A shell that reads a command of any form from a text of one line.
fn shell(command: &str) -> String {
    let text = command.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\'', "'\\''");
    // Behind a blank, what begins with a dash is no option of the shell.
    let guard = if text.starts_with(['-', '+']) { " " } else { "" };
    format!("/bin/sh -c \"$(printf %b '{guard}{text}')\"")
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
    fn a_command_is_left_as_it_is_where_that_is_safe() {
        assert_eq!(line("ldconfig && echo 'a \"b\"' $HOME"), "ldconfig && echo 'a \"b\"' $HOME");
        for odd in ["-x", "[ -f a ] && b", "# a", "a\nb", "cat <<E", "a \\"] {
            assert!(line(odd).starts_with("/bin/sh -c \"$(printf %b '"), "{odd}");
            assert!(!line(odd).contains('\n'), "{odd}");
        }
    }

    /// Runs a line as a step does.
    fn run(line: &str, variables: &[(&str, &str)]) -> (String, bool) {
        let mut environment = Environment::default();
        environment.set("PATH", "/usr/bin:/bin");
        variables.iter().for_each(|(name, value)| environment.set(*name, value));
        let mut command = ProcessCommand::new("/bin/sh", Path::new("/"), &environment);
        command.args(["-c", line]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let output = runtime.block_on(command.output()).unwrap();
        match output.success() {
            Ok(stdout) => (String::from_utf8(stdout).unwrap(), true),
            Err(failed) => (failed.to_string(), false),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_a_shell_reads_back_is_what_was_typed(text in "[ -~\n]{0,40}") {
            let quoted = format!("printf %s '{}'", text.replace('\'', "'\\''"));
            prop_assert_eq!(run(&shell(&quoted), &[]).0, text);
        }
    }

    #[test]
    fn what_begins_with_a_dash_is_no_option() {
        assert_eq!(run(&line("-x 2>/dev/null || echo a"), &[]), ("a\n".to_owned(), true));
    }

    #[test]
    fn secrets_are_files_while_the_command_runs_and_gone_after_it() {
        let id = format!("test-{}", std::process::id());
        let secret =
            SecretSpec { id: Sourced { value: id.clone(), origin: Origin::Default }, source: SecretSource::Backend, required: true };
        let command = format!("[ -z \"$UNION_SECRET_0\" ] && cat /run/secrets/{id}\nexit 3");
        let (line, given) = with_secrets(&command, std::slice::from_ref(&secret));
        assert_eq!(given, [BuildSecret { key: id.clone(), variable: "UNION_SECRET_0".to_owned() }]);
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        let line = line.replace(SECRETS, here);
        let command = line.replace("exit 3", "exit 0");
        assert_eq!(run(&command, &[("UNION_SECRET_0", "hunter2 %s\\n")]), ("hunter2 %s\\n".to_owned(), true));
        assert!(run(&line, &[("UNION_SECRET_0", "a")]).0.contains("exit code 3"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
