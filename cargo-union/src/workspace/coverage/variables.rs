//! Selects the environment variables that are inputs: those that code depends on, except those that cargo sets and
//! those that describe the machine.

use std::collections::BTreeSet;

use crate::sys::error::Result;
use crate::workspace::units::{CompiledUnits, UnitKind};
use crate::workspace::{Snapshot, depinfo};

/// Variables of the machine and of the user's session. Source: `rerun-if-env-changed` of build scripts on crates.io, as
/// far as such a variable only locates tools. `docs/keys.md` lists them.
const MACHINE: &[&str] = &[
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "DISPLAY",
    "EDITOR",
    "HOME",
    "HOSTNAME",
    "LANG",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "OLDPWD",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TEMP",
    "TERM",
    "TMP",
    "TMPDIR",
    "USER",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
];

/// What cargo sets for the code that it compiles, besides `CARGO_PKG_…` and `CARGO_BIN_EXE_…`. Source: the cargo
/// book, "Environment variables Cargo sets for crates".
const OF_CODE: &[&str] = &[
    "CARGO",
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// What cargo sets for the build scripts that it runs, besides whole families. Source: the cargo book, "Environment
/// variables Cargo sets for build scripts".
const OF_SCRIPTS: &[&str] = &[
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "TARGET",
];

/// Variables that are covered by other inputs.
const KEYED: &[&str] = &[
    "RUSTFLAGS",
    "SOURCE_DATE_EPOCH",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
];

/// Whether a variable is not an input when code, or a build script, depends on it.
pub(super) fn is_ignored(name: &str, in_script: bool) -> bool {
    let has_prefix = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let is_set_by_cargo = if in_script {
        OF_SCRIPTS.contains(&name)
            || has_prefix(&["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "DEP_"])
    } else {
        OF_CODE.contains(&name) || has_prefix(&["CARGO_PKG_", "CARGO_BIN_EXE_"])
    };
    name.is_empty()
        || is_set_by_cargo
        || KEYED.contains(&name)
        || MACHINE.contains(&name)
        || has_prefix(&["LC_"])
}

/// Variables that are set and that packages outside of the workspace depend on. Unset variables are not learned, since
/// a single build script of crates.io may read dozens.
pub(super) fn of_dependencies(
    snapshot: &Snapshot<'_>,
    compiled: &CompiledUnits,
    is_local: &dyn Fn(&str) -> bool,
) -> Result<BTreeSet<String>> {
    let environment = &snapshot.cargo.environment;
    let is_input =
        |name: &&str, in_script: bool| environment.has(name) && !is_ignored(name, in_script);
    let mut names = BTreeSet::new();
    for script in compiled
        .scripts
        .iter()
        .filter(|script| !is_local(&script.package))
    {
        let output = depinfo::output_of(script)?;
        names.extend(
            depinfo::watched_variables(&output)
                .filter(|name| is_input(name, true))
                .map(str::to_owned),
        );
    }
    let libraries = compiled
        .units
        .iter()
        .filter(|unit| unit.kind == UnitKind::Library && !is_local(&unit.package));
    for library in libraries {
        let notes = depinfo::notes_of(library)?;
        names.extend(
            depinfo::variables(&notes)
                .filter(|name| is_input(name, false))
                .map(str::to_owned),
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_set_by_cargo_are_not_inputs() {
        for name in [
            "OUT_DIR",
            "CARGO_PKG_VERSION",
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "HOME",
            "LC_ALL",
            "RUSTFLAGS",
        ] {
            assert!(is_ignored(name, true) && is_ignored(name, false), "{name}");
        }
        for name in [
            "PROFILE",
            "DEBUG",
            "TARGET",
            "CARGO_FEATURE_X",
            "CARGO_CFG_UNIX",
            "DEP_Z_ROOT",
        ] {
            assert!(is_ignored(name, true) && !is_ignored(name, false), "{name}");
        }
        for name in ["CARGO_X", "OPENSSL_DIR", "CC", "CARGOES", "GIT_HASH"] {
            assert!(
                !is_ignored(name, true) && !is_ignored(name, false),
                "{name}"
            );
        }
    }
}
