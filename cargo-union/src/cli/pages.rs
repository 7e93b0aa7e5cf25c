//! Text generated from the declarations: completions, the manual page, the JSON schema.

use clap::CommandFactory as _;

use super::Cli;

/// The manual pages of the tool and of each subcommand, in roff.
pub fn manual() -> String {
    let mut page = Vec::new();
    let command = Cli::command();
    let subcommands = command.get_subcommands().cloned().map(|subcommand| {
        let name = format!("cargo-union-{}", subcommand.get_name());
        subcommand.name(name)
    });
    for command in std::iter::once(command.clone()).chain(subcommands) {
        clap_mangen::Man::new(command)
            .render(&mut page)
            .expect("writing to a Vec does not fail");
    }
    String::from_utf8_lossy(&page).into_owned()
}

/// The JSON schema of `[package.metadata.union]`.
pub fn schema() -> String {
    format!("{:#}\n", union_build::spec::pages::json_schema())
}
