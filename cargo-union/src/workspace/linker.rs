//! Which linker makes binaries for a target on this machine: a pure decision from what the machine has.
//!
//! A compiler without words of its own calls `cc`, which links for this machine's system and architecture only. A
//! cross linker is looked for under the names that C compilers have: in `CC_<target>`, then on the PATH.

use std::collections::BTreeSet;

/// What of a machine decides.
pub(super) struct LinkerContext<'a> {
    /// The triple that its compiler runs on.
    pub(super) host: &'a str,
    /// Whether the user has named a linker for the target: cargo's configuration, a variable, a flag.
    pub(super) is_named: bool,
    /// The value of a variable.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program is on the PATH.
    pub(super) has: &'a dyn Fn(&str) -> bool,
}

/// A linker for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Linker {
    /// The compiler's own choice, or what the user has named.
    Own,
    /// A cross linker, which cargo has to be told of.
    Cross {
        program: String,
        /// Whether a variable names it; else it has a usual name and is on the PATH.
        is_chosen: bool,
    },
    /// There is none; these programs were looked for.
    Missing(Vec<String>),
}

impl Linker {
    /// Chooses one for a target.
    pub(super) fn choose(triple: &str, machine: &LinkerContext<'_>) -> Self {
        if machine.is_named || links_by_itself(machine.host, triple) {
            return Self::Own;
        }
        let underscored = triple.replace(['-', '.'], "_");
        let variables = [format!("CC_{triple}"), format!("CC_{underscored}"), "TARGET_CC".to_owned()];
        // A command with arguments is none that cargo could call.
        let of_variables =
            variables.iter().filter_map(|name| (machine.variable)(name)).filter(|value| !value.trim().contains(char::is_whitespace));
        let usual = compilers(triple);
        let names = of_variables.chain(usual.iter().cloned()).map(|name| name.trim().to_owned());
        let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        match names.iter().find(|name| (machine.has)(name)) {
            Some(found) => Self::Cross { program: found.clone(), is_chosen: !usual.contains(found) },
            None => {
                let mut seen = BTreeSet::new();
                Self::Missing(names.into_iter().filter(|name| seen.insert(name.clone())).collect())
            }
        }
    }
}

/// Whether what the compiler calls on a host links for a target: on Linux of the same architecture, where the C library
/// is the host's, or musl, which comes with the target.
fn links_by_itself(host: &str, triple: &str) -> bool {
    let machine = |triple: &str| triple.split('-').next().map(str::to_owned);
    let library = |triple: &str| triple.rsplit('-').next().map(str::to_owned);
    let both_linux = host.contains("-linux-") && triple.contains("-linux-");
    host == triple || (both_linux && machine(host) == machine(triple) && (library(host) == library(triple) || triple.contains("-musl")))
}

/// The names of C compilers that link for a target: GNU's, as distributions have it, and the target's own.
fn compilers(triple: &str) -> Vec<String> {
    let parts: Vec<&str> = triple.split('-').collect();
    let gnu = match parts[..] {
        // What Debian calls so makes programs for newer processors.
        ["arm", _, "linux", _] => None,
        [machine, _, "linux", library] => {
            let machine = match machine {
                "armv7" => "arm",
                "riscv64gc" => "riscv64",
                other => other,
            };
            Some(format!("{machine}-linux-{library}-gcc"))
        }
        _ => None,
    };
    gnu.into_iter().chain([format!("{triple}-gcc")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMD: &str = "x86_64-unknown-linux-gnu";
    const ARM: &str = "aarch64-unknown-linux-gnu";

    /// What a machine of a host triple with these programs and variables chooses.
    fn chosen(host: &str, triple: &str, programs: &[&str], variables: &[(&str, &str)]) -> Linker {
        let variable = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        Linker::choose(triple, &LinkerContext { host, is_named: false, variable: &variable, has: &|name| programs.contains(&name) })
    }

    fn cross(name: &str) -> Linker {
        Linker::Cross { program: name.to_owned(), is_chosen: name == "my-gcc" }
    }

    #[test]
    fn a_machine_links_by_itself_for_its_own_system_and_for_musl() {
        for (host, triple, own) in [
            (AMD, AMD, true),
            (AMD, "x86_64-unknown-linux-musl", true),
            ("x86_64-alpine-linux-musl", "x86_64-unknown-linux-musl", true),
            ("x86_64-alpine-linux-musl", AMD, false),
            ("x86_64-unknown-linux-musl", AMD, false),
            ("x86_64-apple-darwin", AMD, false),
            ("x86_64-apple-darwin", "x86_64-unknown-linux-musl", false),
            ("aarch64-apple-darwin", ARM, false),
            ("aarch64-apple-darwin", "aarch64-apple-darwin", true),
            (AMD, ARM, false),
            (AMD, "i686-unknown-linux-gnu", false),
        ] {
            assert_eq!(chosen(host, triple, &["cc", "gcc"], &[]) == Linker::Own, own, "{host} {triple}");
        }
    }

    #[test]
    fn a_cross_linker_is_found_by_the_names_of_c_compilers() {
        for (host, triple, program) in [
            (AMD, ARM, "aarch64-linux-gnu-gcc"),
            (AMD, "armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf-gcc"),
            (AMD, "riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu-gcc"),
            (AMD, "aarch64-unknown-linux-musl", "aarch64-linux-musl-gcc"),
            ("aarch64-apple-darwin", AMD, "x86_64-unknown-linux-gnu-gcc"),
            ("x86_64-alpine-linux-musl", AMD, "x86_64-linux-gnu-gcc"),
        ] {
            assert_eq!(chosen(host, triple, &["cc", program], &[]), cross(program));
        }
        assert!(matches!(chosen(AMD, "arm-unknown-linux-gnueabihf", &["arm-linux-gnueabihf-gcc"], &[]), Linker::Missing(_)));
    }

    #[test]
    fn variables_of_c_compilers_come_first_when_they_name_a_program() {
        let programs = ["aarch64-linux-gnu-gcc", "my-gcc"];
        for name in ["CC_aarch64-unknown-linux-gnu", "CC_aarch64_unknown_linux_gnu", "TARGET_CC"] {
            assert_eq!(chosen(AMD, ARM, &programs, &[(name, "my-gcc")]), cross("my-gcc"), "{name}");
        }
        for value in ["ccache my-gcc", "absent", ""] {
            assert_eq!(chosen(AMD, ARM, &programs, &[("TARGET_CC", value)]), cross("aarch64-linux-gnu-gcc"), "{value}");
        }
    }

    #[test]
    fn what_was_looked_for_is_said_and_what_the_user_names_is_left_to_cargo() {
        let looked = ["aarch64-linux-gnu-gcc", "aarch64-unknown-linux-gnu-gcc"].map(str::to_owned).to_vec();
        assert_eq!(chosen(AMD, ARM, &["cc"], &[]), Linker::Missing(looked));
        let machine = LinkerContext { host: AMD, is_named: true, variable: &|_| None, has: &|_| false };
        assert_eq!(Linker::choose(ARM, &machine), Linker::Own);
    }
}
