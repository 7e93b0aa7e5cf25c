//! The toolchain, its targets and linkers, and the keys of cargo's configuration.

use std::collections::BTreeMap;

use crate::build::ImageChain;
use crate::image::platform::Platform;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::options::WorkspaceOptions;
use crate::pipeline::resolve::{compile_settings, linkage};
use crate::sys::words;
use crate::workspace::launcher::usual_target;
use crate::workspace::targets::target_for;
use crate::workspace::{CompileMode, CompileSettings, Snapshot, Toolchain, Workspace};

use super::check::Check;

const AREA: &str = "toolchain";

/// The checks of this machine.
pub(super) struct MachineReport {
    pub(super) checks: Vec<Check>,
    /// The images whose crates are compiled in a container.
    pub(super) in_container: Vec<String>,
}

/// Checks the compiler and, for each platform of an image, its standard library and its linker.
pub(super) async fn check(
    options: &WorkspaceOptions,
    workspace: Option<&Workspace>,
    packages: &[UnionPackage],
) -> MachineReport {
    let mut report = MachineReport {
        checks: Vec::new(),
        in_container: Vec::new(),
    };
    let (cargo, cache) = (&options.cargo, &options.cache);
    let Some(workspace) = workspace else {
        let toolchain = Toolchain::of_directory(cargo, &cargo.directory, cache).await;
        report.checks.push(match toolchain {
            Ok(toolchain) => compiler(&toolchain),
            Err(error) => Check::of_error(AREA, "rustc", &error),
        });
        report.checks.push(Check::skipped(
            AREA,
            "targets",
            "there is no workspace whose images name platforms",
        ));
        return report;
    };
    let snapshot = match Snapshot::of_machine(cargo, workspace, cache).await {
        Ok(snapshot) => snapshot,
        Err(error) => {
            report.checks.push(Check::of_error(AREA, "rustc", &error));
            return report;
        }
    };
    report.checks.push(compiler(snapshot.toolchain()));
    report.check_targets(&snapshot, packages);
    report.checks.extend(configuration(&snapshot, workspace));
    report
}

fn compiler(toolchain: &Toolchain) -> Check {
    Check::ok(
        AREA,
        "rustc",
        format!("{} on {}", toolchain.release, toolchain.host),
    )
}

impl MachineReport {
    fn check_targets(&mut self, snapshot: &Snapshot<'_>, packages: &[UnionPackage]) {
        // Images of the same target and settings share a line.
        let mut lines: BTreeMap<String, Check> = BTreeMap::new();
        for package in packages {
            let images = &package.spec.images;
            for image in images.values() {
                let has_code = !package.spec.binaries_of(&image.key).is_empty();
                let has_launcher = package.spec.has_launcher(&image.key);
                if !has_code && !has_launcher {
                    continue;
                }
                let chain = ImageChain::resolve(images, image);
                let compile = compile_settings(image, linkage(image, chain.base()));
                let platforms = image.platforms.iter();
                // Validation has rejected other words.
                for platform in platforms.filter_map(|platform| platform.parse::<Platform>().ok()) {
                    let (check, needs_container) = if has_code {
                        target(snapshot, &platform, &compile)
                    } else {
                        (launcher_target(snapshot, &platform), false)
                    };
                    let key = format!("{} {}", check.name, check.detail);
                    lines.insert(key, check);
                    if needs_container {
                        self.in_container
                            .push(format!("{}/{}", package.name(), image.key));
                    }
                }
            }
        }
        if lines.is_empty() && !packages.is_empty() {
            let reason = "no image has binaries or the launcher";
            lines.insert(String::new(), Check::skipped(AREA, "targets", reason));
        }
        self.checks.extend(lines.into_values());
        self.in_container.dedup();
    }
}

/// The check of a platform for which a crate is compiled, and whether that takes a container.
fn target(
    snapshot: &Snapshot<'_>,
    platform: &Platform,
    compile: &CompileSettings,
) -> (Check, bool) {
    let mode = compile.compile_mode;
    let triple = match target_for(platform, compile.linkage, snapshot.toolchain(), mode) {
        Ok(triple) => triple,
        Err(error) => return (Check::of_error(AREA, platform.to_string(), &error), false),
    };
    if mode == CompileMode::Container {
        let detail = "compiled in a container, not by this toolchain";
        return (Check::skipped(AREA, triple, detail), true);
    }
    if mode == CompileMode::Zig {
        return (zig_target(snapshot, &triple), false);
    }
    if !snapshot.toolchain().has_target(&triple) {
        let detail = "its standard library is not installed: the crate is compiled in a container";
        let help = format!("Run `rustup target add {triple}` to compile on this machine.");
        return (Check::warning(AREA, triple, detail, help), true);
    }
    let can_use_zig = mode == CompileMode::Auto && snapshot.can_make_with_zig(&triple);
    match snapshot.check_linker(&triple, compile) {
        Ok(()) => (linker(snapshot, &triple, compile), false),
        Err(_) if can_use_zig => (zig_target(snapshot, &triple), false),
        Err(error) if mode == CompileMode::Auto => {
            let check = Check::of_error(AREA, triple, &error).softened();
            (check, true)
        }
        Err(error) => (Check::of_error(AREA, triple, &error), false),
    }
}

fn zig_target(snapshot: &Snapshot<'_>, triple: &str) -> Check {
    if snapshot.can_make_with_zig(triple) {
        return Check::ok(AREA, triple, "installed, linked by cargo-zigbuild");
    }
    let help = format!(
        "Install zig and cargo-zigbuild, and run `rustup target add {triple}`; or set another `build.compile`."
    );
    let detail = if snapshot.toolchain().has_target(triple) {
        "cargo-zigbuild is not installed, and `compile = \"zig\"`"
    } else {
        "its standard library is not installed"
    };
    Check::error(AREA, triple, detail, help)
}

/// Whether the linker that rustc will start exists.
fn linker(snapshot: &Snapshot<'_>, triple: &str, compile: &CompileSettings) -> Check {
    let program = snapshot.linker_program(triple, compile);
    let shown = program.name.display();
    if program.exists {
        return Check::ok(AREA, triple, format!("installed, linked by `{shown}`"));
    }
    Check::error(
        AREA,
        triple,
        format!("the linker `{shown}` is not on the PATH"),
        "Install a C compiler (on Debian, the package `gcc`), or name the linker in cargo's configuration.",
    )
}

fn launcher_target(snapshot: &Snapshot<'_>, platform: &Platform) -> Check {
    let triple = usual_target(platform, snapshot.toolchain());
    if snapshot.toolchain().has_target(&triple) {
        return Check::ok(AREA, triple, "installed, for the launcher of tasks");
    }
    let help = format!(
        "Run `rustup target add {triple}`, or set `launcher = false` in the table of the image."
    );
    let detail = "its standard library is not installed, which the launcher of tasks needs";
    Check::error(AREA, triple, detail, help)
}

/// The keys of cargo's configuration. Keys in files outside of the workspace change the tags on this machine only.
fn configuration(snapshot: &Snapshot<'_>, workspace: &Workspace) -> Vec<Check> {
    let name = "cargo config";
    let is_local = |key: &String| {
        [
            "build.target",
            "build.target-dir",
            "build.build-dir",
            "source",
        ]
        .contains(&key.as_str())
    };
    let mut checks = Vec::new();
    for (file, keys) in snapshot.config_keys() {
        let is_inside = file.starts_with(&workspace.root);
        let changes_keys = keys.iter().any(|key| !is_local(key));
        let detail = format!("{} in `{}`", words::list(&keys), file.display());
        checks.push(match is_inside || !changes_keys {
            true => Check::ok(AREA, name, detail),
            false => Check::warning(
                AREA,
                name,
                format!("{detail}, outside of the workspace: other machines compute other tags"),
                format!(
                    "Move what the images need into `{}`.",
                    workspace.root.join(".cargo/config.toml").display()
                ),
            ),
        });
    }
    if checks.is_empty() {
        let detail = "no key that changes a compile is set";
        checks.push(Check::ok(AREA, name, detail));
    }
    checks
}
