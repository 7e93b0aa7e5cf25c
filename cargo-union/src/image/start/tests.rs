//! Tests of start failures and of their error messages.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::index::FsEntry;
use crate::image::loader::tests::{debian, elf, image, library, link, text};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const OS: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_CODENAME=bookworm\n";

fn needing(names: &[&str], interpreter: Option<&str>) -> Elf {
    Elf {
        needed: names.iter().map(|name| (*name).to_owned()).collect(),
        ..elf(interpreter)
    }
}

fn program(names: &[&str]) -> Elf {
    needing(names, Some(LOADER))
}

fn versions(elf: Elf, library: &str, versions: &[&str]) -> Elf {
    let versions = versions
        .iter()
        .map(|version| (*version).to_owned())
        .collect();
    Elf {
        versions_needed: [(library.to_owned(), versions)].into(),
        ..elf
    }
}

fn having(soname: &str, versions: &[&str]) -> FsEntry {
    let versions = versions
        .iter()
        .map(|version| (*version).to_owned())
        .collect();
    library(Elf {
        soname: Some(soname.to_owned()),
        versions,
        ..elf(None)
    })
}

fn failures(
    elf: &Elf,
    files: &FileIndex,
    library_path: &str,
    runtime_libs: &[&str],
) -> Vec<StartFailureKind> {
    let platform = "linux/amd64".parse().unwrap();
    let runtime = RuntimeConfig {
        platform: &platform,
        library_path,
        runtime_libs,
    };
    let failures = start_failures(
        ProgramFile {
            name: "hello",
            path: "/union/bin/hello",
            elf,
        },
        files,
        runtime,
    );
    failures.into_iter().map(|failure| failure.kind).collect()
}

fn missing(name: &str, needed_by: Option<&str>) -> StartFailureKind {
    StartFailureKind::NoLibrary {
        name: name.to_owned(),
        needed_by: needed_by.map(str::to_owned),
        elsewhere: None,
    }
}

/// Debian with a C library and apt.
fn base(more: &[(&str, FsEntry)]) -> FileIndex {
    let base = [
        (
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            having("libc.so.6", &["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31"]),
        ),
        ("etc/os-release", text(OS)),
        ("usr/bin/apt-get", FsEntry::File(None)),
        ("var/lib/dpkg/status", FsEntry::File(None)),
    ];
    debian(
        &base
            .into_iter()
            .chain(more.iter().cloned())
            .collect::<Vec<_>>(),
    )
}

#[test]
fn missing_dependencies_of_libraries_are_reported_once() {
    let pq = library(needing(&["libldap.so.2", "libc.so.6"], None));
    let files = base(&[
        ("usr/lib/libpq.so.5", pq.clone()),
        ("usr/lib/libodbc.so.2", pq),
    ]);
    assert_eq!(
        failures(&program(&["libpq.so.5", "libodbc.so.2"]), &files, "", &[]),
        [missing("libldap.so.2", Some("libpq.so.5"))]
    );
    assert_eq!(
        failures(&program(&["libc.so.6", "libz.so.1"]), &files, "", &[]),
        [missing("libz.so.1", None)]
    );
    assert_eq!(failures(&program(&["libc.so.6"]), &files, "", &[]), []);
}

#[test]
fn loaded_libraries_are_not_searched_again() {
    // libinner.so.1 is only in the runpath of the program, and libouter.so.1 needs it as well.
    let inner = library(Elf {
        soname: Some("libinner.so.1".to_owned()),
        ..elf(None)
    });
    let files = base(&[
        ("opt/libinner.so.1", inner),
        (
            "usr/lib/libouter.so.1",
            library(needing(&["libinner.so.1"], None)),
        ),
    ]);
    let with_runpath = |needed: &[&str]| Elf {
        runpath: Some("/opt".to_owned()),
        ..program(needed)
    };
    assert_eq!(
        failures(
            &with_runpath(&["libouter.so.1", "libinner.so.1"]),
            &files,
            "",
            &[]
        ),
        []
    );
    let found = failures(&with_runpath(&["libouter.so.1"]), &files, "", &[]);
    let elsewhere = Some(UnsearchedLibrary {
        path: "/opt/libinner.so.1".to_owned(),
        is_configured: false,
    });
    let name = "libinner.so.1".to_owned();
    let needed_by = Some("libouter.so.1".to_owned());
    assert_eq!(
        found,
        [StartFailureKind::NoLibrary {
            name,
            needed_by,
            elsewhere
        }]
    );
}

#[test]
fn loader_satisfies_dependencies_and_cycles_are_loaded() {
    let mut files = base(&[(
        "usr/lib/liba.so",
        library(needing(&["libb.so", "ld-linux-x86-64.so.2"], None)),
    )]);
    files.put("usr/lib/libb.so", library(needing(&["liba.so"], None)));
    files.put(
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        having("ld-linux-x86-64.so.2", &[]),
    );
    assert_eq!(failures(&program(&["liba.so"]), &files, "", &[]), []);
}

#[test]
fn missing_symbol_versions_are_failures() {
    let needs_new_glibc = versions(
        program(&["libc.so.6"]),
        "libc.so.6",
        &["GLIBC_2.9", "GLIBC_2.34"],
    );
    let found = failures(&needs_new_glibc, &base(&[]), "", &[]);
    let StartFailureKind::NoVersion {
        name,
        needed_by,
        missing,
        has,
    } = &found[0]
    else {
        panic!("{found:?}")
    };
    assert_eq!(
        (name.as_str(), needed_by, &missing[..], has.len()),
        ("libc.so.6", &None, &["GLIBC_2.34".to_owned()][..], 3)
    );
    let new_library = library(versions(
        needing(&["libc.so.6"], None),
        "libc.so.6",
        &["GLIBC_2.36"],
    ));
    let found = failures(
        &program(&["libnew.so.1"]),
        &base(&[("usr/lib/libnew.so.1", new_library)]),
        "",
        &[],
    );
    assert!(
        matches!(&found[0], StartFailureKind::NoVersion { needed_by: Some(by), .. } if by == "libnew.so.1"),
        "{found:?}"
    );
}

#[test]
fn library_without_symbol_versions_is_too_old() {
    let program = versions(program(&["libold.so.1"]), "libold.so.1", &["OLD_2"]);
    let found = failures(
        &program,
        &base(&[("usr/lib/libold.so.1", having("libold.so.1", &[]))]),
        "",
        &[],
    );
    assert!(
        matches!(&found[..], [StartFailureKind::NoVersion { has, .. }] if has.is_empty()),
        "{found:?}"
    );
}

#[test]
fn musl_does_not_check_symbol_versions() {
    let musl = "/lib/ld-musl-x86_64.so.1";
    let libraries = [
        (musl.to_owned(), having("libc.so", &[])),
        ("lib/libz.so.1".to_owned(), having("libz.so.1", &["Z_1"])),
    ];
    let program = versions(
        needing(&["libz.so.1", "libc.musl-x86_64.so.1"], Some(musl)),
        "libz.so.1",
        &["Z_2"],
    );
    assert_eq!(failures(&program, &image(libraries), "", &[]), []);
}

#[test]
fn driver_libraries_and_runtime_libs_may_be_missing_and_cuda_libraries_may_not() {
    let gpu = program(&[
        "libcuda.so.1",
        "libnvidia-ml.so.1",
        "libcudart.so.12",
        "libmine.so",
    ]);
    assert_eq!(
        failures(&gpu, &base(&[]), "", &["libmine.so"]),
        [missing("libcudart.so.12", None)]
    );
}

#[test]
fn static_and_dynamic_programs_for_another_machine_are_refused() {
    let arm = crate::image::machine::MachineType::of(&"linux/arm64".parse().unwrap()).unwrap();
    for elf in [program(&["libc.so.6"]), needing(&[], None)] {
        assert_eq!(
            failures(
                &Elf {
                    machine: arm,
                    ..elf
                },
                &base(&[]),
                "",
                &[]
            ),
            [StartFailureKind::OtherMachine(arm)]
        );
    }
}

#[test]
fn static_programs_start_without_files_and_libraries_never_start() {
    assert_eq!(
        failures(&needing(&[], None), &FileIndex::default(), "", &[]),
        []
    );
    assert!(matches!(
        failures(&needing(&["libc.so.6"], None), &base(&[]), "", &[])[..],
        [StartFailureKind::NotExecutable(_)]
    ));
    assert_eq!(
        failures(&program(&[]), &FileIndex::default(), "", &[]),
        [StartFailureKind::NoLoader(LOADER.to_owned())]
    );
}

#[test]
fn reduced_files_give_the_same_failures() {
    let files = base(&[
        ("opt/x/libx.so.1", library(elf(None))),
        ("usr/lib/libx.so.1", link("/opt/links/libx.so.1")),
        ("opt/links", link("x")),
    ]);
    for elf in [
        program(&["libx.so.1"]),
        program(&["libz.so.1"]),
        versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.36"]),
    ] {
        assert_eq!(
            failures(&elf, &files, "", &[]),
            failures(&elf, &files.reduced(), "", &[])
        );
    }
    assert_eq!(failures(&program(&["libx.so.1"]), &files, "", &[]), []);
}

/// The error message with its causes and help.
fn render_report(
    programs: &[(&str, Elf)],
    files: &FileIndex,
    base: &str,
    has_packages: bool,
) -> String {
    let platform = "linux/amd64".parse().unwrap();
    let runtime = RuntimeConfig {
        platform: &platform,
        library_path: "",
        runtime_libs: &[],
    };
    let failures = programs.iter().flat_map(|(name, elf)| {
        start_failures(
            ProgramFile {
                name,
                path: "/union/bin/x",
                elf,
            },
            files,
            runtime,
        )
    });
    let error = refusal(
        &failures.collect::<Vec<_>>(),
        StartCheckContext {
            image: "default",
            base,
            platform: &platform,
            files,
            has_packages,
        },
    );
    format!(
        "{} {}\nhelp: {}",
        error.code(),
        error.chain().join("\n"),
        error.advice()
    )
}

fn hello(elf: Elf) -> [(&'static str, Elf); 1] {
    [("hello", elf)]
}

#[test]
fn report_suggests_the_package_of_a_missing_library() {
    let files = base(&[]);
    let report = render_report(
        &hello(program(&["libpq.so.5"])),
        &files,
        "debian:bookworm-slim",
        false,
    );
    assert_eq!(
        report,
        "U0604 `hello` could not start in image `default` on `debian:bookworm-slim`, Debian 12 (bookworm)\n\
         `libpq.so.5` is missing, and `hello` needs it\n\
         help: Add `libpq5` to the image: `apt-packages = [\"libpq5\"]`."
    );
    let report = render_report(
        &[
            ("a", program(&["libpq.so.5", "libssl.so.3"])),
            ("b", program(&["libpq.so.5"])),
        ],
        &files,
        "debian",
        true,
    );
    assert_eq!(
        report,
        "U0604 `a` and `b` could not start in image `default` on `debian`, Debian 12 (bookworm)\n\
         `libpq.so.5` is missing, and `a` and `b` need it\n\
         `libssl.so.3` is missing, and `a` needs it\n\
         help: Add `libpq5` and `libssl3` to the image's `apt-packages`."
    );
}

#[test]
fn report_suggests_a_debian_image_without_apt() {
    let distroless = OS.replace("Debian GNU/Linux 12 (bookworm)", "Distroless")
        + "VERSION=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let files = debian(&[("etc/os-release", text(&distroless))]);
    let distroless = render_report(
        &hello(program(&["libpq.so.5"])),
        &files,
        "gcr.io/distroless/cc-debian12",
        false,
    );
    assert!(
        distroless.contains("`gcr.io/distroless/cc-debian12`, Debian 12 (bookworm)\n"),
        "{distroless}"
    );
    let debian = "Add `libpq5` to a Debian image: `base-image = \"debian:bookworm-slim\"` and `apt-packages = [\"libpq5\"]`.";
    assert!(distroless.ends_with(debian), "{distroless}");
    let files = self::debian(&[("etc/os-release", text("NAME=Fedora\nID=fedora\n"))]);
    let fedora = render_report(&hello(program(&["libpq.so.5"])), &files, "fedora", false);
    assert!(
        fedora.contains("`base-image = \"debian:trixie-slim\"`"),
        "{fedora}"
    );
}

#[test]
fn report_suggests_a_c_library_for_a_missing_loader() {
    let scratch = render_report(
        &hello(program(&["libc.so.6"])),
        &FileIndex::default(),
        "scratch",
        false,
    );
    assert_eq!(
        scratch,
        "U0603 `hello` could not start in image `default` on `scratch`\n\
         `/lib64/ld-linux-x86-64.so.2`, the loader of `hello`, is missing\n\
         help: The base image has no C library: set `link = \"static\"`, or choose one with glibc, such as `gcr.io/distroless/cc-debian13`."
    );
    let musl = needing(&[], Some("/lib/ld-musl-x86_64.so.1"));
    assert!(
        render_report(&hello(musl), &base(&[]), "debian", false)
            .contains("a target with `gnu` in its name")
    );
    let alpine = image([("lib/ld-musl-x86_64.so.1".to_owned(), library(elf(None)))]);
    assert!(
        render_report(&hello(program(&[])), &alpine, "alpine", false)
            .contains("help: The base image uses musl: set `link = \"static\"`")
    );
}

#[test]
fn report_of_an_old_glibc_has_suggestions_in_order() {
    let new = versions(
        program(&["libc.so.6"]),
        "libc.so.6",
        &["GLIBC_2.34", "GLIBC_2.9", "GLIBC_2.33"],
    );
    let report = render_report(&hello(new), &base(&[]), "debian:bullseye-slim", false);
    assert!(report.starts_with("U0605 "), "{report}");
    assert!(
        report
            .contains("\n`hello` needs GLIBC_2.34 of `libc.so.6`, which has at most GLIBC_2.31\n"),
        "{report}"
    );
    let suggestions = [
        "Choose a newer base image, such as `debian:trixie-slim`;",
        "`compile = \"zig\"`",
        "`compile = \"container\"`",
        "`link = \"static\"`",
    ];
    let positions = suggestions.map(|text| {
        report
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {report}"))
    });
    assert!(positions.is_sorted(), "{report}");
    let newest = versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.99"]);
    assert!(
        render_report(&hello(newest), &base(&[]), "debian", false)
            .contains("help: Choose a newer base image; set")
    );
}

#[test]
fn report_of_an_old_library_does_not_suggest_zig() {
    let foo = || [("usr/lib/libfoo.so.1", having("libfoo.so.1", &["FOO_1"]))];
    let needs_foo_2 = || {
        versions(
            needing(&["libfoo.so.1"], Some(LOADER)),
            "libfoo.so.1",
            &["FOO_2"],
        )
    };
    let report = render_report(&hello(needs_foo_2()), &base(&foo()), "debian", false);
    assert!(
        report.contains("`hello` needs FOO_2 of `libfoo.so.1`, which has at most FOO_1")
            && !report.contains("zig"),
        "{report}"
    );
    let bar = versions(needing(&["libfoo.so.1"], None), "libfoo.so.1", &["BAR_1"]);
    let files = base(&[foo()[0].clone(), ("usr/lib/libbar.so.1", library(bar))]);
    let report = render_report(&hello(program(&["libbar.so.1"])), &files, "debian", false);
    assert!(
        report.contains("`libbar.so.1` needs BAR_1 of `libfoo.so.1`, which does not have it"),
        "{report}"
    );
    assert!(
        report
            .contains("Choose a newer base image, or libraries that work with its `libfoo.so.1`."),
        "{report}"
    );
}

#[test]
fn report_of_a_missing_libpython_depends_on_the_version_of_the_base() {
    let with = |python: &str| {
        render_report(
            &hello(program(&[python])),
            &base(&[]),
            "debian:bookworm-slim",
            false,
        )
    };
    assert!(with("libpython3.11.so.1.0").contains("apt-packages = [\"libpython3.11\"]"));
    let other = with("libpython3.12.so.1.0");
    assert!(
        other.contains("Choose a base image with Python 3.12, such as `python:3.12-slim`, or set `compile = \"container\"`"),
        "{other}"
    );
}

#[test]
fn report_suggests_nvidia_images_or_copies_for_libraries_that_are_not_in_debian() {
    let with =
        |library: &str| render_report(&hello(program(&[library])), &base(&[]), "debian", false);
    assert!(with("libcublas.so.12").contains("`nvidia/cuda`"));
    assert!(with("libmine.so").contains("Add `libmine.so` with `copy`"));
}

#[test]
fn report_suggests_the_search_path_for_a_library_elsewhere() {
    let conf = ("etc/ld.so.conf", text("/usr/local/lib\n"));
    let files = base(&[
        ("usr/local/lib/libmine.so.1", library(elf(None))),
        conf.clone(),
    ]);
    let report = render_report(&hello(program(&["libmine.so.1"])), &files, "debian", false);
    assert!(report.contains("`hello` needs it; the loader does not search the directory of `/usr/local/lib/libmine.so.1`\n"), "{report}");
    assert!(
        report.ends_with(
            "`env = { LD_LIBRARY_PATH = \"/usr/local/lib\" }`, or run `commands = [\"ldconfig\"]`."
        ),
        "{report}"
    );
    let files = base(&[("opt/libmine.so.1", library(elf(None))), conf]);
    assert!(
        render_report(&hello(program(&["libmine.so.1"])), &files, "debian", false)
            .ends_with("`env = { LD_LIBRARY_PATH = \"/opt\" }`.")
    );
}

#[test]
fn most_fundamental_failure_decides_the_code() {
    let script = StartFailure {
        program: "a".to_owned(),
        kind: StartFailureKind::NotExecutable("it is not an ELF file".to_owned()),
    };
    let arm = crate::image::machine::MachineType::of(&"linux/arm64".parse().unwrap()).unwrap();
    let other = StartFailure {
        program: "b".to_owned(),
        kind: StartFailureKind::OtherMachine(arm),
    };
    let platform = "linux/amd64".parse().unwrap();
    let files = base(&[]);
    let context = StartCheckContext {
        image: "default",
        base: "debian",
        platform: &platform,
        files: &files,
        has_packages: false,
    };
    let error = refusal(&[other.clone(), script], context);
    assert_eq!(error.code(), union_build::diag::Code::NotExecutable);
    let error = refusal(&[other], context);
    assert_eq!(error.code(), union_build::diag::Code::MachineMismatch);
    assert_eq!(
        error.chain()[1],
        "`b` is built for arm64, but the image is for linux/amd64"
    );
}
