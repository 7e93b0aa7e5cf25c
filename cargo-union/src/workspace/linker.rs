//! Chooses the linker for a target on this machine; a pure function of a [`LinkerContext`].
//!
//! rustc calls `cc` by default, which links for the host's system and architecture only. A cross linker is searched
//! under the names of C cross compilers: in `CC_<target>`, then on the PATH.

use std::collections::BTreeSet;

/// The properties of the machine that the choice of a linker depends on.
pub(super) struct LinkerContext<'a> {
    /// The triple that rustc runs on.
    pub(super) host: &'a str,
    /// Whether the user has set a linker for the target, by cargo's configuration, a variable or a flag.
    pub(super) is_named: bool,
    /// Reads an environment variable.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a program is on the PATH.
    pub(super) has: &'a dyn Fn(&str) -> bool,
}

/// The linker for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Linker {
    /// rustc's default, or the linker that the user has set.
    Own,
    /// A cross linker, which has to be passed to cargo.
    Cross {
        program: String,
        /// Whether a variable names it; otherwise it was found on the PATH under a conventional name.
        is_chosen: bool,
    },
    /// Not found; the programs that were tried.
    Missing(Vec<String>),
}

impl Linker {
    /// Chooses the linker for a target triple.
    pub(super) fn choose(triple: &str, machine: &LinkerContext<'_>) -> Self {
        if machine.is_named || is_linked_by_default(machine.host, triple) {
            return Self::Own;
        }
        let underscored = triple.replace(['-', '.'], "_");
        let variables = [
            format!("CC_{triple}"),
            format!("CC_{underscored}"),
            "TARGET_CC".to_owned(),
        ];
        // cargo takes a program without arguments as a linker.
        let from_variables = variables
            .iter()
            .filter_map(|name| (machine.variable)(name))
            .filter(|value| !value.trim().contains(char::is_whitespace));
        let conventional = compiler_names(triple);
        let names = from_variables
            .chain(conventional.iter().cloned())
            .map(|name| name.trim().to_owned());
        let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        match names.iter().find(|name| (machine.has)(name)) {
            Some(program) => Self::Cross {
                program: program.clone(),
                is_chosen: !conventional.contains(program),
            },
            None => {
                let mut seen = BTreeSet::new();
                Self::Missing(
                    names
                        .into_iter()
                        .filter(|name| seen.insert(name.clone()))
                        .collect(),
                )
            }
        }
    }
}

/// Whether rustc's default linker on a host links for a target: on Linux of the same architecture, when the C library
/// is the host's, or musl, which is part of the target's standard library.
fn is_linked_by_default(host: &str, triple: &str) -> bool {
    let architecture = |triple: &str| triple.split('-').next().map(str::to_owned);
    let libc = |triple: &str| triple.rsplit('-').next().map(str::to_owned);
    let both_linux = host.contains("-linux-") && triple.contains("-linux-");
    host == triple
        || (both_linux
            && architecture(host) == architecture(triple)
            && (libc(host) == libc(triple) || triple.contains("-musl")))
}

/// The conventional names of C compilers that link for a target: the GNU name that distributions use, and the triple's.
fn compiler_names(triple: &str) -> Vec<String> {
    let parts: Vec<&str> = triple.split('-').collect();
    let gnu = match parts[..] {
        // Debian's compiler of that name targets armv7.
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

    /// The choice on a host with these programs and variables.
    fn choose(host: &str, triple: &str, programs: &[&str], variables: &[(&str, &str)]) -> Linker {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Linker::choose(
            triple,
            &LinkerContext {
                host,
                is_named: false,
                variable: &variable,
                has: &|name| programs.contains(&name),
            },
        )
    }

    fn cross(name: &str) -> Linker {
        Linker::Cross {
            program: name.to_owned(),
            is_chosen: name == "my-gcc",
        }
    }

    #[test]
    fn default_linker_serves_the_host_and_musl() {
        for (host, triple, own) in [
            (AMD, AMD, true),
            (AMD, "x86_64-unknown-linux-musl", true),
            (
                "x86_64-alpine-linux-musl",
                "x86_64-unknown-linux-musl",
                true,
            ),
            ("x86_64-alpine-linux-musl", AMD, false),
            ("x86_64-unknown-linux-musl", AMD, false),
            ("x86_64-apple-darwin", AMD, false),
            ("x86_64-apple-darwin", "x86_64-unknown-linux-musl", false),
            ("aarch64-apple-darwin", ARM, false),
            ("aarch64-apple-darwin", "aarch64-apple-darwin", true),
            (AMD, ARM, false),
            (AMD, "i686-unknown-linux-gnu", false),
        ] {
            assert_eq!(
                choose(host, triple, &["cc", "gcc"], &[]) == Linker::Own,
                own,
                "{host} {triple}"
            );
        }
    }

    #[test]
    fn cross_linker_is_found_by_conventional_names() {
        for (host, triple, program) in [
            (AMD, ARM, "aarch64-linux-gnu-gcc"),
            (
                AMD,
                "armv7-unknown-linux-gnueabihf",
                "arm-linux-gnueabihf-gcc",
            ),
            (AMD, "riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu-gcc"),
            (AMD, "aarch64-unknown-linux-musl", "aarch64-linux-musl-gcc"),
            ("aarch64-apple-darwin", AMD, "x86_64-unknown-linux-gnu-gcc"),
            ("x86_64-alpine-linux-musl", AMD, "x86_64-linux-gnu-gcc"),
        ] {
            assert_eq!(choose(host, triple, &["cc", program], &[]), cross(program));
        }
        assert!(matches!(
            choose(
                AMD,
                "arm-unknown-linux-gnueabihf",
                &["arm-linux-gnueabihf-gcc"],
                &[]
            ),
            Linker::Missing(_)
        ));
    }

    #[test]
    fn cc_variables_take_precedence_over_conventional_names() {
        let programs = ["aarch64-linux-gnu-gcc", "my-gcc"];
        for name in [
            "CC_aarch64-unknown-linux-gnu",
            "CC_aarch64_unknown_linux_gnu",
            "TARGET_CC",
        ] {
            assert_eq!(
                choose(AMD, ARM, &programs, &[(name, "my-gcc")]),
                cross("my-gcc"),
                "{name}"
            );
        }
        for value in ["ccache my-gcc", "absent", ""] {
            assert_eq!(
                choose(AMD, ARM, &programs, &[("TARGET_CC", value)]),
                cross("aarch64-linux-gnu-gcc"),
                "{value}"
            );
        }
    }

    #[test]
    fn missing_linker_lists_candidates_and_a_named_linker_is_left_to_cargo() {
        let candidates = ["aarch64-linux-gnu-gcc", "aarch64-unknown-linux-gnu-gcc"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(choose(AMD, ARM, &["cc"], &[]), Linker::Missing(candidates));
        let machine = LinkerContext {
            host: AMD,
            is_named: true,
            variable: &|_| None,
            has: &|_| false,
        };
        assert_eq!(Linker::choose(ARM, &machine), Linker::Own);
    }
}
