//! One door per effect and per large dependency: whoever else needs it, asks there.

use crate::source::{File, flat, macros, places};

/// A path that may be named only in some files, and why.
struct Door {
    path: &'static [&'static str],
    files: &'static [&'static str],
    because: &'static str,
}

const DOORS: &[Door] = &[
    Door { path: &["bollard"], files: ENGINE, because: "the engine is spoken to in one place" },
    Door { path: &["bollard_buildkit_proto"], files: ENGINE, because: "the engine is spoken to in one place" },
    Door { path: &["hyper"], files: ENGINE, because: "only the line to an engine is a client of its own" },
    Door { path: &["tonic"], files: GRPC, because: "gRPC is for BuildKit and for workers; the backend is asked over Connect" },
    Door { path: &["tonic_prost"], files: GRPC, because: "gRPC is for BuildKit and for workers; the backend is asked over Connect" },
    Door { path: &["reqwest"], files: &["cargo-union/src/http/"], because: "only `http` opens connections" },
    Door { path: &["prost"], files: &["cargo-union/src/flyte/"], because: "only `flyte` knows the backend's messages" },
    Door { path: &["prost_types"], files: &["cargo-union/src/flyte/idl/"], because: "only `flyte::idl` knows the backend's messages" },
    Door { path: &["crate", "flyte", "idl"], files: &["cargo-union/src/flyte/"], because: "only `flyte` knows the backend's messages" },
    Door { path: &["getrandom"], files: &["cargo-union/src/sys/random.rs"], because: "chance has one source" },
    Door { path: &["saphyr_parser"], files: &["cargo-union/src/flyte/config/yaml.rs"], because: "one file knows YAML" },
    Door { path: &["anyhow"], files: &["cargo-union/src/command/"], because: "the stages below have errors of their own types" },
    Door { path: &["clap"], files: CLI, because: "only `cli` knows what can be typed" },
    Door { path: &["clap_cargo"], files: COLOURS, because: "cargo's colours are for help and for what is shown" },
    Door { path: &["clap_complete"], files: CLI, because: "only `cli` knows what can be typed" },
    Door { path: &["clap_mangen"], files: CLI, because: "only `cli` knows what can be typed" },
    Door { path: &["indicatif"], files: &["cargo-union/src/ui/"], because: "only `ui` shows anything" },
    Door { path: &["annotate_snippets"], files: &["cargo-union/src/ui/"], because: "only `ui` shows anything" },
    Door { path: &["cargo_metadata"], files: &["cargo-union/src/workspace/"], because: "only `workspace` asks cargo" },
    Door { path: &["tracing"], files: TRACERS, because: "spans are those of requests; what users read goes through a `Reporter`" },
    Door { path: &["tracing_subscriber"], files: &["cargo-union/src/ui/"], because: "only `ui` shows anything" },
    Door { path: &["std", "io", "stdout"], files: PRINTERS, because: "rooms never print" },
    Door { path: &["std", "io", "stderr"], files: ASKERS, because: "rooms never print" },
    Door { path: &["io", "stdout"], files: PRINTERS, because: "rooms never print" },
    Door { path: &["io", "stderr"], files: ASKERS, because: "rooms never print" },
    Door { path: &["std", "process", "Command"], files: STARTERS, because: "programs are started through `sys::process`" },
    Door { path: &["process", "Command"], files: STARTERS, because: "programs are started through `sys::process`" },
    Door { path: &["tokio", "process"], files: STARTERS, because: "programs are started through `sys::process`" },
];

const ENGINE: &[&str] = &["cargo-union/src/engine/"];
const GRPC: &[&str] = &["cargo-union/src/engine/", "cargo-union/src/flyte/actions/"];

/// `lib.rs` hands the words to `cli`.
const CLI: &[&str] = &["cargo-union/src/cli/", "cargo-union/src/lib.rs"];
const COLOURS: &[&str] = &["cargo-union/src/cli/", "cargo-union/src/ui/"];

/// `emit` speaks to cargo, which reads a build script's stdout.
const PRINTERS: &[&str] = &["cargo-union/src/ui/", "union-build/src/emit.rs"];

/// `ui` shows the spans of the others. Two files of `publish` say which attempt at a blob a request belongs to.
const TRACERS: &[&str] = &[
    "cargo-union/src/http/",
    "cargo-union/src/engine/",
    "cargo-union/src/flyte/rpc/",
    "cargo-union/src/publish/registry/pull.rs",
    "cargo-union/src/publish/registry/upload.rs",
    "cargo-union/src/ui/trace.rs",
];

/// `settings` asks whether stderr is a terminal, which decides about colours.
const ASKERS: &[&str] = &["cargo-union/src/ui/", "cargo-union/src/settings/", "union-build/src/emit.rs"];

/// `union-build` cannot see `sys`: it asks cargo for the target folder by itself.
const STARTERS: &[&str] = &["cargo-union/src/sys/process.rs", "union-build/src/"];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// Where a file of the tool or of `union-build` goes round a door. Tests may.
pub(crate) fn problems(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    let (code, _) = file.code_and_tests();
    for place in places(code.clone()) {
        for door in DOORS.iter().filter(|door| place.starts_with(door.path) && !is_one_of(file, door.files)) {
            problems.push(
                file.problem(place.line, format!("`{}` stands only in {}: {}", door.path.join("::"), door.files.join(", "), door.because)),
            );
        }
    }
    for (name, line) in macros(code.clone()) {
        if PRINTING.contains(&name.as_str()) && !is_one_of(file, PRINTERS) {
            problems.push(file.problem(line, format!("`{name}!` stands only in {}: rooms never print", PRINTERS.join(", "))));
        }
    }
    for row in flat(code).windows(4) {
        if let [dot, unwrap, open, close] = row
            && [&dot.0, &unwrap.0, &open.0, &close.0] == [".", "unwrap", "(", ")"]
        {
            problems.push(file.problem(unwrap.1, "no `unwrap` outside of tests: handle it, or `expect` the invariant that rules it out"));
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

    fn of(path: &str, text: &str) -> usize {
        problems(&File::new(path, text)).len()
    }

    #[test]
    fn going_round_a_door_is_reported() {
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
            assert_eq!(of("cargo-union/src/build/a.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn doors_tests_and_words_are_not_reported() {
        for (path, text) in [
            ("union-build/src/spec/load/tests.rs", "fn a() { b().unwrap() }"),
            ("cargo-union/src/engine/images.rs", "use bollard::Docker;"),
            ("cargo-union/src/ui/mod.rs", "fn a() { eprintln!(\"x\"); }"),
            ("cargo-union/src/sys/process.rs", "use std::process::Command;"),
            ("cargo-union/src/build/a.rs", "/// `println!(x.unwrap())`\nfn a(b: Child) { b.unwrap_or(c); b.stdout; std::process::id(); }"),
            ("cargo-union/src/build/a.rs", "#[cfg(test)]\nmod tests { fn a() { println!(\"{}\", b().unwrap()); } }"),
        ] {
            assert_eq!(of(path, text), 0, "{path}: {text}");
        }
    }
}
