//! Pages made from the command line's own declaration: completions, the manual.

use clap::CommandFactory as _;

use super::Cli;

/// A completion script.
pub fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cargo-union", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page of the tool and of each verb, in roff.
pub fn manual() -> String {
    let mut page = Vec::new();
    let command = Cli::command();
    let verbs = command.get_subcommands().cloned().map(|verb| {
        let name = format!("cargo-union-{}", verb.get_name());
        verb.name(name)
    });
    for command in std::iter::once(command.clone()).chain(verbs) {
        clap_mangen::Man::new(command).render(&mut page).expect("a Vec takes everything that is written");
    }
    String::from_utf8_lossy(&page).into_owned()
}

/// The JSON schema of `[package.metadata.union]`.
pub fn schema() -> String {
    format!("{:#}\n", union_build::spec::schema::json_schema())
}
