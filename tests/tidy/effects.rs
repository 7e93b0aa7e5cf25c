//! Effect boundaries: the files that may use an effect (processes, network, output) or a large dependency.

use crate::source::{File, flat, macros, places};

/// A path that may be used only in some files, with the reason.
struct Boundary {
    path: &'static [&'static str],
    files: &'static [&'static str],
    because: &'static str,
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        path: &["bollard"],
        files: ENGINE,
        because: "only `engine` uses the engine's API",
    },
    Boundary {
        path: &["bollard_buildkit_proto"],
        files: ENGINE,
        because: "only `engine` uses the engine's API",
    },
    Boundary {
        path: &["hyper"],
        files: ENGINE,
        because: "other modules use `http`; only `engine` needs a client of its own",
    },
    Boundary {
        path: &["tonic"],
        files: GRPC,
        because: "gRPC is for BuildKit and for workers; the backend is called with Connect",
    },
    Boundary {
        path: &["tonic_prost"],
        files: GRPC,
        because: "gRPC is for BuildKit and for workers; the backend is called with Connect",
    },
    Boundary {
        path: &["reqwest"],
        files: &["cargo-union/src/http/"],
        because: "only `http` opens connections",
    },
    Boundary {
        path: &["prost"],
        files: &["cargo-union/src/flyte/"],
        because: "only `flyte` uses the backend's messages",
    },
    Boundary {
        path: &["prost_types"],
        files: &["cargo-union/src/flyte/idl/"],
        because: "only `flyte::idl` uses well-known types",
    },
    Boundary {
        path: &["crate", "flyte", "idl"],
        files: &["cargo-union/src/flyte/"],
        because: "only `flyte` uses the backend's messages",
    },
    Boundary {
        path: &["getrandom"],
        files: &["cargo-union/src/sys/random.rs"],
        because: "random bytes come from `sys::random`",
    },
    Boundary {
        path: &["saphyr_parser"],
        files: &[
            "cargo-union/src/flyte/config/yaml.rs",
            "cargo-union/src/pipeline/yaml_files.rs",
        ],
        because: "only the Flyte config and the files of `resolve` are YAML",
    },
    Boundary {
        path: &["anyhow"],
        files: &["cargo-union/src/command/"],
        because: "the modules below have errors of their own types",
    },
    Boundary {
        path: &["clap"],
        files: CLI,
        because: "only `cli` declares the command line",
    },
    Boundary {
        path: &["clap_cargo"],
        files: COLOURS,
        because: "cargo's colours are for help and for the user interface",
    },
    Boundary {
        path: &["clap_complete"],
        files: CLI,
        because: "only `cli` declares the command line",
    },
    Boundary {
        path: &["clap_mangen"],
        files: CLI,
        because: "only `cli` declares the command line",
    },
    Boundary {
        path: &["indicatif"],
        files: &["cargo-union/src/ui/"],
        because: "only `ui` prints",
    },
    Boundary {
        path: &["annotate_snippets"],
        files: &["cargo-union/src/ui/"],
        because: "only `ui` prints",
    },
    Boundary {
        path: &["cargo_metadata"],
        files: &["cargo-union/src/workspace/"],
        because: "only `workspace` reads cargo's metadata",
    },
    Boundary {
        path: &["tracing"],
        files: TRACERS,
        because: "only requests have spans; users are informed by a `Reporter`",
    },
    Boundary {
        path: &["tracing_subscriber"],
        files: &["cargo-union/src/ui/"],
        because: "only `ui` prints",
    },
    Boundary {
        path: &["std", "io", "stdout"],
        files: PRINTERS,
        because: "only `ui` prints",
    },
    Boundary {
        path: &["std", "io", "stderr"],
        files: STDERR_USERS,
        because: "only `ui` prints",
    },
    Boundary {
        path: &["io", "stdout"],
        files: PRINTERS,
        because: "only `ui` prints",
    },
    Boundary {
        path: &["io", "stderr"],
        files: STDERR_USERS,
        because: "only `ui` prints",
    },
    Boundary {
        path: &["std", "process", "Command"],
        files: PROCESS_STARTERS,
        because: "programs are started through `sys::process`",
    },
    Boundary {
        path: &["process", "Command"],
        files: PROCESS_STARTERS,
        because: "programs are started through `sys::process`",
    },
    Boundary {
        path: &["tokio", "process"],
        files: PROCESS_STARTERS,
        because: "programs are started through `sys::process`",
    },
];

const ENGINE: &[&str] = &["cargo-union/src/engine/"];
const GRPC: &[&str] = &["cargo-union/src/engine/", "cargo-union/src/flyte/actions/"];

/// `lib.rs` calls `cli`'s parser.
const CLI: &[&str] = &["cargo-union/src/cli/", "cargo-union/src/lib.rs"];
const COLOURS: &[&str] = &["cargo-union/src/cli/", "cargo-union/src/ui/"];

/// `emit` prints the directives of a build script, which cargo reads from stdout.
const PRINTERS: &[&str] = &["cargo-union/src/ui/", "union-build/src/emit.rs"];

/// `ui` prints the spans. In `publish`, uploads and downloads set the attempt that a request belongs to.
const TRACERS: &[&str] = &[
    "cargo-union/src/http/",
    "cargo-union/src/engine/",
    "cargo-union/src/flyte/rpc/",
    "cargo-union/src/publish/registry/pull.rs",
    "cargo-union/src/publish/registry/upload.rs",
    "cargo-union/src/ui/trace.rs",
];

/// `settings` checks whether stderr is a terminal, for colours.
const STDERR_USERS: &[&str] = &[
    "cargo-union/src/ui/",
    "cargo-union/src/settings/",
    "union-build/src/emit.rs",
];

/// `union-build` does not depend on `sys`; it runs cargo to get the target directory.
const PROCESS_STARTERS: &[&str] = &["cargo-union/src/sys/process", "union-build/src/"];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// The forbidden uses in a file of the tool or of `union-build`. Tests are exempt.
pub(crate) fn problems(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    let (code, _) = file.code_and_tests();
    for place in places(code.clone()) {
        for boundary in BOUNDARIES
            .iter()
            .filter(|boundary| place.starts_with(boundary.path) && !is_one_of(file, boundary.files))
        {
            problems.push(file.problem(
                place.line,
                format!(
                    "`{}` is allowed only in {}: {}",
                    boundary.path.join("::"),
                    boundary.files.join(", "),
                    boundary.because
                ),
            ));
        }
    }
    for (name, line) in macros(code.clone()) {
        if PRINTING.contains(&name.as_str()) && !is_one_of(file, PRINTERS) {
            problems.push(file.problem(
                line,
                format!(
                    "`{name}!` is allowed only in {}: other modules must not print",
                    PRINTERS.join(", ")
                ),
            ));
        }
    }
    for row in flat(code).windows(4) {
        if let [dot, unwrap, open, close] = row
            && [&dot.0, &unwrap.0, &open.0, &close.0] == [".", "unwrap", "(", ")"]
        {
            problems
                .push(file.problem(unwrap.1, "`unwrap` outside of tests: handle the error, or `expect` the invariant that excludes it"));
        }
    }
    problems
}

fn is_one_of(file: &File, files: &[&str]) -> bool {
    files.iter().any(|allowed| file.path.starts_with(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_problems(path: &str, text: &str) -> usize {
        problems(&File::new(path, text)).len()
    }

    #[test]
    fn forbidden_uses_are_reported() {
        for text in [
            "use bollard::Docker;",
            "fn a() { reqwest::get(\"x\"); }",
            "use clap::Parser;",
            "use crate::flyte::idl::task::TaskSpec;",
            "use std::{fs, process::Command};",
            "fn a() { std::process::Command::new(\"ls\"); }",
            "fn a() { println!(\"x\"); }",
            "fn a() { write!(std::io::stdout(), \"x\"); }",
            "use std::io; fn a() { io::stderr().lock(); }",
            "fn a() { b().unwrap(); }",
            "fn a() { b!(x.unwrap()) }",
        ] {
            assert_eq!(
                count_problems("cargo-union/src/build/a.rs", text),
                1,
                "{text}"
            );
        }
    }

    #[test]
    fn allowed_files_tests_and_comments_are_not_reported() {
        for (path, text) in [
            (
                "union-build/src/spec/load/tests.rs",
                "fn a() { b().unwrap() }",
            ),
            ("cargo-union/src/engine/images.rs", "use bollard::Docker;"),
            ("cargo-union/src/ui/mod.rs", "fn a() { eprintln!(\"x\"); }"),
            ("cargo-union/src/sys/process", "use std::process::Command;"),
            (
                "cargo-union/src/build/a.rs",
                "/// `println!(x.unwrap())`\nfn a(b: Child) { b.unwrap_or(c); b.stdout; std::process::id(); }",
            ),
            (
                "cargo-union/src/build/a.rs",
                "#[cfg(test)]\nmod tests { fn a() { println!(\"{}\", b().unwrap()); } }",
            ),
        ] {
            assert_eq!(count_problems(path, text), 0, "{path}: {text}");
        }
    }
}
