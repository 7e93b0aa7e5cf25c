//! Tests of the search of loaders, in file indexes with only libraries and links.

use super::*;
use crate::image::index::ElfFacts;
use crate::image::loader_cache::LoaderCache;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const DEBIAN: &str = "usr/lib/x86_64-linux-gnu";

pub(crate) fn elf(interpreter: Option<&str>) -> Elf {
    Elf {
        machine: MachineType::of(&"linux/amd64".parse().unwrap()).unwrap(),
        interpreter: interpreter.map(str::to_owned),
        soname: None,
        needed: Vec::new(),
        rpath: None,
        runpath: None,
        versions_needed: Default::default(),
        versions: Vec::new(),
    }
}

pub(crate) fn library(elf: Elf) -> FsEntry {
    FsEntry::File(Some(IndexedFile::Library(ElfFacts::of(&elf))))
}

pub(crate) fn link(target: &str) -> FsEntry {
    FsEntry::Link(target.to_owned())
}

pub(crate) fn text(text: &str) -> FsEntry {
    FsEntry::File(Some(IndexedFile::Text(text.to_owned())))
}

pub(crate) fn image(nodes: impl IntoIterator<Item = (String, FsEntry)>) -> FileIndex {
    let mut files = FileIndex::default();
    for (path, node) in nodes {
        files.put(path.trim_start_matches('/'), node);
    }
    files
}

/// Merged `/usr`, with the loader at its path on Debian.
pub(crate) fn debian(more: &[(&str, FsEntry)]) -> FileIndex {
    let base = [
        ("lib", link("usr/lib")),
        ("lib64", link("usr/lib64")),
        (
            "usr/lib64/ld-linux-x86-64.so.2",
            link("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        ),
        (
            "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            library(elf(None)),
        ),
    ];
    image(
        base.into_iter()
            .chain(more.iter().cloned())
            .map(|(path, node)| (path.to_owned(), node)),
    )
}

fn libraries_at(paths: &[&str]) -> Vec<(String, FsEntry)> {
    paths
        .iter()
        .map(|path| ((*path).to_owned(), library(elf(None))))
        .collect()
}

/// The path at which `libx.so` is found for a program in `/union/bin`.
fn find_libx(files: &FileIndex, program: &Elf, library_path: &str) -> Option<String> {
    let loader = Loader::of(program, files, library_path)?;
    let program = Object {
        names: Vec::new(),
        path: "/union/bin/program".to_owned(),
        place: String::new(),
        elf: program.clone(),
    };
    loader
        .find("libx.so", std::iter::once(&program))
        .map(|object| object.path)
}

#[test]
fn glibc_searches_rpath_variable_runpath_cache_and_default_directories_in_order() {
    let cache = |path: &str| {
        FsEntry::File(Some(IndexedFile::LoaderCache(LoaderCache::of(&[(
            "libx.so", path,
        )]))))
    };
    let mut with_rpath = elf(Some(GLIBC));
    with_rpath.rpath = Some("relative:/rpath".to_owned());
    let mut with_runpath = elf(Some(GLIBC));
    with_runpath.runpath = Some("/runpath".to_owned());
    let default = format!("{DEBIAN}/libx.so");
    let paths = [
        "rpath/libx.so",
        "variable/libx.so",
        "runpath/libx.so",
        "cached/libx.so",
        &default,
    ];
    for (missing, rpath_finds, runpath_finds) in [
        (0, Some("/rpath/libx.so"), Some("/variable/libx.so")),
        (1, Some("/variable/libx.so"), Some("/variable/libx.so")),
        (2, Some("/cached/libx.so"), Some("/runpath/libx.so")),
        (3, Some("/cached/libx.so"), Some("/cached/libx.so")),
        (
            4,
            Some("/lib/x86_64-linux-gnu/libx.so"),
            Some("/lib/x86_64-linux-gnu/libx.so"),
        ),
        (5, None, None),
    ] {
        let mut files = debian(&[("etc/ld.so.cache", cache("/cached/libx.so"))]);
        for (path, node) in libraries_at(&paths[missing..]) {
            files.put(&path, node);
        }
        for (program, expected) in [(&with_rpath, rpath_finds), (&with_runpath, runpath_finds)] {
            assert_eq!(
                find_libx(&files, program, ":/variable;/else").as_deref(),
                expected,
                "without the first {missing}"
            );
        }
    }
}

#[test]
fn directories_of_ld_so_conf_are_not_searched_without_the_cache() {
    let conf = ("etc/ld.so.conf", text("/opt/lib\n"));
    let files = debian(&[conf, ("opt/lib/libx.so", library(elf(None)))]);
    assert_eq!(find_libx(&files, &elf(Some(GLIBC)), ""), None);
    let program = elf(Some(GLIBC));
    let loader = Loader::of(&program, &files, "").unwrap();
    assert_eq!(
        (
            loader.find_elsewhere("libx.so").as_deref(),
            loader.configured()
        ),
        (Some("/opt/lib/libx.so"), vec!["/opt/lib"])
    );
}

#[test]
fn rpath_applies_to_indirect_dependencies_and_runpath_does_not() {
    let files = debian(&[("opt/libx.so", library(elf(None)))]);
    let middle = elf(None);
    for (is_old, expected) in [(true, Some("/opt/libx.so")), (false, None)] {
        let mut program = elf(Some(GLIBC));
        *(if is_old {
            &mut program.rpath
        } else {
            &mut program.runpath
        }) = Some("/opt".to_owned());
        let object = |elf: &Elf| Object {
            names: Vec::new(),
            path: "/a/b".to_owned(),
            place: String::new(),
            elf: elf.clone(),
        };
        let loader = Loader::of(&program, &files, "").unwrap();
        let chain = [object(&middle), object(&program)];
        assert_eq!(
            loader
                .find("libx.so", chain.iter())
                .map(|object| object.path)
                .as_deref(),
            expected
        );
        // Unless the intermediate library has a RUNPATH.
        let with_runpath = Elf {
            runpath: Some("/nowhere".to_owned()),
            ..elf(None)
        };
        assert!(
            loader
                .find("libx.so", [object(&with_runpath), object(&program)].iter())
                .is_none()
        );
    }
}

#[test]
fn origin_is_the_directory_of_the_object_with_the_runpath() {
    let files = debian(&[
        ("union/lib/libx.so", library(elf(None))),
        ("union/bin/sub/libx.so", library(elf(None))),
    ]);
    for (path, expected) in [
        ("$ORIGIN/../lib", "/union/bin/../lib/libx.so"),
        ("${ORIGIN}/sub/", "/union/bin/sub/libx.so"),
    ] {
        let program = Elf {
            runpath: Some(path.to_owned()),
            ..elf(Some(GLIBC))
        };
        assert_eq!(find_libx(&files, &program, "").as_deref(), Some(expected));
    }
}

#[test]
fn default_directories_of_distributions_are_searched() {
    for (loader, library_at, expected) in [
        // Debian before /usr was merged, as distroless still is.
        (
            "lib/x86_64-linux-gnu/ld-2.31.so",
            "usr/lib/x86_64-linux-gnu/libx.so",
            Some("/usr/lib/x86_64-linux-gnu/libx.so"),
        ),
        (
            "usr/lib64/ld.so",
            "usr/lib64/libx.so",
            Some("/lib64/libx.so"),
        ),
        ("lib64/ld.so", "usr/lib/libx.so", Some("/usr/lib/libx.so")),
        (
            "nix/store/glibc/lib/ld.so",
            "nix/store/glibc/lib/libx.so",
            Some("/nix/store/glibc/lib/libx.so"),
        ),
        // Not a default directory of Debian.
        ("usr/lib/x86_64-linux-gnu/ld.so", "usr/lib64/libx.so", None),
        ("usr/lib64/ld.so", "usr/local/lib/libx.so", None),
    ] {
        let merged = if loader.starts_with("usr/lib64") {
            vec![("lib64".to_owned(), link("usr/lib64"))]
        } else {
            Vec::new()
        };
        let files = image(
            merged
                .into_iter()
                .chain(libraries_at(&[loader, library_at]))
                .chain([("ld".to_owned(), link(loader))]),
        );
        assert_eq!(
            find_libx(&files, &elf(Some("/ld")), "").as_deref(),
            expected,
            "{loader}"
        );
    }
}

#[test]
fn glibc_skips_a_library_for_another_machine_and_musl_stops() {
    let other = Elf {
        machine: MachineType::of(&"linux/386".parse().unwrap()).unwrap(),
        ..elf(None)
    };
    for (interpreter, expected) in [(GLIBC, Some("/second/libx.so")), (MUSL, None)] {
        let mut files = debian(&[
            ("first/libx.so", library(other.clone())),
            ("second/libx.so", library(elf(None))),
        ]);
        files.put("usr/lib/ld-musl-x86_64.so.1", library(elf(None)));
        assert_eq!(
            find_libx(&files, &elf(Some(interpreter)), "/first:/second").as_deref(),
            expected,
            "{interpreter}"
        );
    }
}

#[test]
fn musl_searches_its_default_directories_or_those_of_its_path_file() {
    let loader = || libraries_at(&["lib/ld-musl-x86_64.so.1"]);
    let program = elf(Some(MUSL));
    let default = image(
        loader()
            .into_iter()
            .chain(libraries_at(&["usr/local/lib/libx.so", "usr/lib/libx.so"])),
    );
    assert_eq!(
        find_libx(&default, &program, "").as_deref(),
        Some("/usr/local/lib/libx.so")
    );
    let path = [(
        "etc/ld-musl-x86_64.path".to_owned(),
        text("/opt/a\n/opt/b:/opt/c\n"),
    )];
    let configured = image(
        loader()
            .into_iter()
            .chain(path)
            .chain(libraries_at(&["opt/c/libx.so", "usr/lib/libx.so"])),
    );
    assert_eq!(
        find_libx(&configured, &program, "").as_deref(),
        Some("/opt/c/libx.so")
    );
    let with_runpath = Elf {
        runpath: Some("/usr/lib".to_owned()),
        ..program.clone()
    };
    assert_eq!(
        find_libx(&default, &with_runpath, "").as_deref(),
        Some("/usr/lib/libx.so"),
        "a runpath comes before them"
    );
    let loader = Loader::of(&program, &default, "").unwrap();
    assert!(
        loader.is_itself("libc.musl-x86_64.so.1")
            && loader.is_itself("libpthread.so.0")
            && !loader.is_itself("libcurl.so.4")
    );
}

#[test]
fn needed_name_with_a_slash_is_a_path() {
    let files = debian(&[("opt/libx.so", library(elf(None)))]);
    let program = elf(Some(GLIBC));
    let object = Object {
        names: Vec::new(),
        path: "/opt/bin/program".to_owned(),
        place: String::new(),
        elf: program.clone(),
    };
    let loader = Loader::of(&program, &files, "").unwrap();
    let find = |name| {
        loader
            .find(name, std::iter::once(&object))
            .map(|object| object.place)
    };
    assert_eq!(find("/opt/libx.so").as_deref(), Some("opt/libx.so"));
    assert_eq!(find("$ORIGIN/../libx.so").as_deref(), Some("opt/libx.so"));
    // It would depend on the working directory of the program.
    assert_eq!(find("opt/libx.so"), None);
}

#[test]
fn missing_or_foreign_loader_is_none() {
    let other = Elf {
        machine: MachineType::of(&"linux/arm64".parse().unwrap()).unwrap(),
        ..elf(Some(GLIBC))
    };
    let program = elf(Some(GLIBC));
    assert!(Loader::of(&program, &debian(&[]), "").is_some());
    assert!(Loader::of(&other, &debian(&[]), "").is_none());
    assert!(Loader::of(&program, &FileIndex::default(), "").is_none());
}
