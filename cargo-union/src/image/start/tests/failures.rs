//! What keeps a program from starting.

use super::*;
use crate::image::loader::tests::link;

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
