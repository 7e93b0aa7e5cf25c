//! Completion scripts. The names of tasks and runs in them come from `cargo union complete`, which the scripts call.
//!
//! The scripts of `clap_complete` contain only the command line. Its engine that calls the program for every completion
//! has no stable interface, so the places of these names are replaced in the scripts of bash, zsh and fish. The scripts
//! of the other shells complete no names.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;

const PROGRAM: &str = "cargo-union";

/// The completion script for a shell.
pub fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(&script),
        _ => script,
    }
}

/// The call that prints names, one per line.
fn call(kind: &str) -> String {
    format!("$({PROGRAM} complete {kind} 2>/dev/null)")
}

/// The subcommands with a positional argument that is completed, by the ends of their labels in the script of bash. The
/// first match is used.
const POSITIONAL: [(&str, &str); 6] = [
    ("__subcmd__get__subcmd__run)", "runs"),
    ("__subcmd__logs)", "runs"),
    ("__subcmd__run)", "tasks"),
    ("__subcmd__get__subcmd__task)", "tasks"),
    ("__subcmd__abort)", "runs"),
    ("__subcmd__rerun)", "runs"),
];

/// The values of flags are words of `compgen`; a positional argument is a word among the flags.
fn bash(script: &str) -> String {
    // The labels contain the program's name with a space, but the script compares them with a value without the space.
    let script = script.replace("cargo__subcmd__union", "cargo__union");
    let mut lines: Vec<String> = Vec::new();
    let (mut of_flag, mut of_subcommand) = (None, None);
    for line in script.lines() {
        let mut line = line.to_owned();
        if let Some(kind) = of_flag {
            let words = format!("compgen -W \"{}\" -- \"${{cur}}\"", call(kind));
            line = line.replace("compgen -f \"${cur}\"", &words);
        }
        if let Some(words) = line.strip_suffix('"').filter(|_| line.contains(" opts=\""))
            && let Some(kind) = of_subcommand
        {
            line = format!("{words} {}\"", call(kind));
        }
        let label = line.trim();
        of_flag = match label {
            "--task)" => Some("tasks"),
            "--follow)" => Some("runs"),
            _ => None,
        };
        let positional = POSITIONAL
            .iter()
            .find(|(subcommand, _)| label.ends_with(subcommand));
        of_subcommand = positional.map(|(_, kind)| *kind);
        lines.push(line);
    }
    lines.join("\n") + "\n"
}

/// Each argument has a function that completes it.
fn zsh(script: &str) -> String {
    let function = |kind: &str| {
        format!(
            "_cargo_union_{kind}() {{\n    local -a names\n    names=(${{(f)\"{}\"}})\n    compadd -a names\n}}\n",
            call(kind)
        )
    };
    let replace = |line: &str| {
        let kind = if line.contains(":TASK:_default") || line.contains(":task -- ") {
            "tasks"
        } else if line.contains(":RUN:_default") || line.contains(":run -- ") {
            "runs"
        } else {
            return line.to_owned();
        };
        line.replace(":_default", &format!(":_cargo_union_{kind}"))
    };
    let mut lines: Vec<String> = script.lines().map(replace).collect();
    // The first line is the `#compdef` line; functions are inserted after it.
    lines.insert(1, format!("\n{}{}", function("tasks"), function("runs")));
    lines.join("\n") + "\n"
}

/// A flag gets a list of words; positional arguments get lines of their own.
fn fish(script: &str) -> String {
    let words = |kind: &str| format!("-f -a \"({PROGRAM} complete {kind} 2>/dev/null)\"");
    let replace = |line: &str| {
        let kind = if line.contains(" -l task -d ") {
            "tasks"
        } else if line.contains(" -l follow -d ") && line.contains(" -r") {
            "runs"
        } else {
            return line.to_owned();
        };
        format!("{line} {}", words(kind))
    };
    let condition = |command: &str| format!("__fish_cargo_union_using_subcommand {command}");
    let positional = [
        (condition("run"), "tasks"),
        (
            condition("get; and __fish_seen_subcommand_from task"),
            "tasks",
        ),
        (
            condition("get; and __fish_seen_subcommand_from run"),
            "runs",
        ),
        (condition("logs"), "runs"),
        (condition("abort"), "runs"),
        (condition("rerun"), "runs"),
    ];
    let lines = positional.iter().map(|(condition, kind)| {
        format!("complete -c {PROGRAM} -n \"{condition}\" {}", words(kind))
    });
    let lines: Vec<String> = script.lines().map(replace).chain(lines).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_call_the_program_for_the_names_of_tasks_and_runs() {
        for (shell, expected) in [
            (
                Shell::Bash,
                &[
                    "compgen -W \"$(cargo-union complete tasks 2>/dev/null)\" -- \"${cur}\"",
                    "compgen -W \"$(cargo-union complete runs 2>/dev/null)\" -- \"${cur}\"",
                ][..],
            ),
            (
                Shell::Zsh,
                &[
                    ":TASK:_cargo_union_tasks'",
                    ":RUN:_cargo_union_runs'",
                    "'::task -- The task:_cargo_union_tasks'",
                    "':run -- The run:_cargo_union_runs'",
                    "\n_cargo_union_tasks() {",
                ],
            ),
            (
                Shell::Fish,
                &[
                    "-l follow -d 'Follow an existing run, and print its outputs' -r -f -a \"(cargo-union complete runs 2>/dev/null)\"",
                    "-n \"__fish_cargo_union_using_subcommand abort\" -f -a \"(cargo-union complete runs 2>/dev/null)\"",
                ],
            ),
        ] {
            let script = script(shell);
            for line in expected {
                assert!(script.contains(line), "{shell}: no {line}");
            }
        }
        let bash = script(Shell::Bash);
        let positional = bash
            .lines()
            .filter(|line| line.contains("opts=") && line.contains("$(cargo-union complete "));
        assert_eq!(positional.count(), POSITIONAL.len());
    }
}
