//! Verdicts, and the words that a user reads.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::index::FsEntry;
use crate::image::loader::tests::{debian, elf, image, library, link, text};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const OS: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_CODENAME=bookworm\n";

fn needing(names: &[&str], interpreter: Option<&str>) -> Elf {
    Elf { needed: names.iter().map(|name| (*name).to_owned()).collect(), ..elf(interpreter) }
}

fn program(names: &[&str]) -> Elf {
    needing(names, Some(LOADER))
}

fn versions(elf: Elf, library: &str, versions: &[&str]) -> Elf {
    let versions = versions.iter().map(|version| (*version).to_owned()).collect();
    Elf { versions_needed: [(library.to_owned(), versions)].into(), ..elf }
}

fn having(soname: &str, versions: &[&str]) -> FsEntry {
    let versions = versions.iter().map(|version| (*version).to_owned()).collect();
    library(Elf { soname: Some(soname.to_owned()), versions, ..elf(None) })
}

fn verdict(elf: &Elf, files: &FileIndex, library_path: &str, runtime_libs: &[&str]) -> Vec<StartFailureKind> {
    let platform = "linux/amd64".parse().unwrap();
    let setting = RuntimeConfig { platform: &platform, library_path, runtime_libs };
    let found = obstacles(Program { name: "hello", path: "/union/bin/hello", elf }, files, setting);
    found.into_iter().map(|obstacle| obstacle.what).collect()
}

fn missing(name: &str, needed_by: Option<&str>) -> StartFailureKind {
    StartFailureKind::NoLibrary { name: name.to_owned(), needed_by: needed_by.map(str::to_owned), elsewhere: None }
}

/// Debian with a C library and one that needs another.
fn base(more: &[(&str, FsEntry)]) -> FileIndex {
    let own = [
        ("usr/lib/x86_64-linux-gnu/libc.so.6", having("libc.so.6", &["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31"])),
        ("etc/os-release", text(OS)),
        ("usr/bin/apt-get", FsEntry::File(None)),
        ("var/lib/dpkg/status", FsEntry::File(None)),
    ];
    debian(&own.into_iter().chain(more.iter().cloned()).collect::<Vec<_>>())
}

#[test]
fn what_a_library_needs_is_needed_and_said_once() {
    let pq = library(needing(&["libldap.so.2", "libc.so.6"], None));
    let files = base(&[("usr/lib/libpq.so.5", pq.clone()), ("usr/lib/libodbc.so.2", pq)]);
    assert_eq!(verdict(&program(&["libpq.so.5", "libodbc.so.2"]), &files, "", &[]), [missing("libldap.so.2", Some("libpq.so.5"))]);
    assert_eq!(verdict(&program(&["libc.so.6", "libz.so.1"]), &files, "", &[]), [missing("libz.so.1", None)]);
    assert_eq!(verdict(&program(&["libc.so.6"]), &files, "", &[]), []);
}

#[test]
fn what_is_loaded_already_is_not_looked_for_again() {
    // libinner.so.1 is where only the program looks, and libouter.so.1 needs it as well.
    let inner = library(Elf { soname: Some("libinner.so.1".to_owned()), ..elf(None) });
    let files = base(&[("opt/libinner.so.1", inner), ("usr/lib/libouter.so.1", library(needing(&["libinner.so.1"], None)))]);
    let own = |needed: &[&str]| Elf { runpath: Some("/opt".to_owned()), ..program(needed) };
    assert_eq!(verdict(&own(&["libouter.so.1", "libinner.so.1"]), &files, "", &[]), []);
    let what = verdict(&own(&["libouter.so.1"]), &files, "", &[]);
    let elsewhere = Some(Elsewhere { path: "/opt/libinner.so.1".to_owned(), is_configured: false });
    let (name, needed_by) = ("libinner.so.1".to_owned(), Some("libouter.so.1".to_owned()));
    assert_eq!(what, [StartFailureKind::NoLibrary { name, needed_by, elsewhere }]);
}

#[test]
fn the_loader_is_a_library_too_and_libraries_may_need_one_another() {
    let mut files = base(&[("usr/lib/liba.so", library(needing(&["libb.so", "ld-linux-x86-64.so.2"], None)))]);
    files.put("usr/lib/libb.so", library(needing(&["liba.so"], None)));
    files.put("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", having("ld-linux-x86-64.so.2", &[]));
    assert_eq!(verdict(&program(&["liba.so"]), &files, "", &[]), []);
}

#[test]
fn versions_that_a_library_does_not_have_are_an_obstacle() {
    let wanted = versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.9", "GLIBC_2.34"]);
    let found = verdict(&wanted, &base(&[]), "", &[]);
    let StartFailureKind::NoVersion { name, needed_by, missing, has } = &found[0] else { panic!("{found:?}") };
    assert_eq!((name.as_str(), needed_by, &missing[..], has.len()), ("libc.so.6", &None, &["GLIBC_2.34".to_owned()][..], 3));
    let library_wants = library(versions(needing(&["libc.so.6"], None), "libc.so.6", &["GLIBC_2.36"]));
    let found = verdict(&program(&["libnew.so.1"]), &base(&[("usr/lib/libnew.so.1", library_wants)]), "", &[]);
    assert!(matches!(&found[0], StartFailureKind::NoVersion { needed_by: Some(by), .. } if by == "libnew.so.1"), "{found:?}");
}

#[test]
fn a_library_without_versions_has_none_of_them() {
    let wanted = versions(program(&["libold.so.1"]), "libold.so.1", &["OLD_2"]);
    let found = verdict(&wanted, &base(&[("usr/lib/libold.so.1", having("libold.so.1", &[]))]), "", &[]);
    assert!(matches!(&found[..], [StartFailureKind::NoVersion { has, .. }] if has.is_empty()), "{found:?}");
}

#[test]
fn musl_knows_no_versions() {
    let musl = "/lib/ld-musl-x86_64.so.1";
    let libraries = [(musl.to_owned(), having("libc.so", &[])), ("lib/libz.so.1".to_owned(), having("libz.so.1", &["Z_1"]))];
    let wanted = versions(needing(&["libz.so.1", "libc.musl-x86_64.so.1"], Some(musl)), "libz.so.1", &["Z_2"]);
    assert_eq!(verdict(&wanted, &image(libraries), "", &[]), []);
}

#[test]
fn what_the_node_or_the_spec_promises_may_be_absent_and_cuda_s_own_libraries_may_not() {
    let gpu = program(&["libcuda.so.1", "libnvidia-ml.so.1", "libcudart.so.12", "libmine.so"]);
    assert_eq!(verdict(&gpu, &base(&[]), "", &["libmine.so"]), [missing("libcudart.so.12", None)]);
}

#[test]
fn a_program_for_another_machine_is_refused_and_a_static_one_as_well() {
    let arm = crate::image::machine::MachineType::of(&"linux/arm64".parse().unwrap()).unwrap();
    for elf in [program(&["libc.so.6"]), needing(&[], None)] {
        assert_eq!(verdict(&Elf { machine: arm, ..elf }, &base(&[]), "", &[]), [StartFailureKind::OtherMachine(arm)]);
    }
}

#[test]
fn static_programs_start_anywhere_and_libraries_nowhere() {
    assert_eq!(verdict(&needing(&[], None), &FileIndex::default(), "", &[]), []);
    assert!(matches!(verdict(&needing(&["libc.so.6"], None), &base(&[]), "", &[])[..], [StartFailureKind::NotExecutable(_)]));
    assert_eq!(verdict(&program(&[]), &FileIndex::default(), "", &[]), [StartFailureKind::NoLoader(LOADER.to_owned())]);
}

#[test]
fn the_reduced_files_give_the_same_verdict() {
    let files =
        base(&[("opt/x/libx.so.1", library(elf(None))), ("usr/lib/libx.so.1", link("/opt/links/libx.so.1")), ("opt/links", link("x"))]);
    for elf in [program(&["libx.so.1"]), program(&["libz.so.1"]), versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.36"])] {
        assert_eq!(verdict(&elf, &files, "", &[]), verdict(&elf, &files.reduced(), "", &[]));
    }
    assert_eq!(verdict(&program(&["libx.so.1"]), &files, "", &[]), []);
}

/// What a user reads: the message, its causes and the help.
fn told(programs: &[(&str, Elf)], files: &FileIndex, base: &str, has_packages: bool) -> String {
    let platform = "linux/amd64".parse().unwrap();
    let setting = RuntimeConfig { platform: &platform, library_path: "", runtime_libs: &[] };
    let found = programs.iter().flat_map(|(name, elf)| obstacles(Program { name, path: "/union/bin/x", elf }, files, setting));
    let error = refusal(&found.collect::<Vec<_>>(), StartCheckContext { image: "default", base, platform: &platform, files, has_packages });
    format!("{} {}\nhelp: {}", error.code(), error.chain().join("\n"), error.advice())
}

fn one(elf: Elf) -> [(&'static str, Elf); 1] {
    [("hello", elf)]
}

#[test]
fn a_missing_library_comes_with_its_package() {
    let files = base(&[]);
    let told_ = told(&one(program(&["libpq.so.5"])), &files, "debian:bookworm-slim", false);
    assert_eq!(
        told_,
        "U0604 `hello` could not start in image `default` on `debian:bookworm-slim`, Debian 12 (bookworm)\n\
         `libpq.so.5` is missing, and `hello` needs it\n\
         help: To have what is missing, add `libpq5` to the image: `apt-packages = [\"libpq5\"]`."
    );
    let more = told(&[("a", program(&["libpq.so.5", "libssl.so.3"])), ("b", program(&["libpq.so.5"]))], &files, "debian", true);
    assert_eq!(
        more,
        "U0604 `a` and `b` could not start in image `default` on `debian`, Debian 12 (bookworm)\n\
         `libpq.so.5` is missing, and `a` and `b` need it\n\
         `libssl.so.3` is missing, and `a` needs it\n\
         help: To have what is missing, add `libpq5` and `libssl3` to the image's `apt-packages`."
    );
}

#[test]
fn without_apt_the_debian_that_has_it_is_named() {
    let distroless = OS.replace("Debian GNU/Linux 12 (bookworm)", "Distroless") + "VERSION=\"Debian GNU/Linux 12 (bookworm)\"\n";
    let files = debian(&[("etc/os-release", text(&distroless))]);
    let distroless = told(&one(program(&["libpq.so.5"])), &files, "gcr.io/distroless/cc-debian12", false);
    assert!(distroless.contains("`gcr.io/distroless/cc-debian12`, Debian 12 (bookworm)\n"), "{distroless}");
    let debian = "add `libpq5` to an image of Debian: `base-image = \"debian:bookworm-slim\"` and `apt-packages = [\"libpq5\"]`.";
    assert!(distroless.ends_with(debian), "{distroless}");
    let files = self::debian(&[("etc/os-release", text("NAME=Fedora\nID=fedora\n"))]);
    let fedora = told(&one(program(&["libpq.so.5"])), &files, "fedora", false);
    assert!(fedora.contains("`base-image = \"debian:trixie-slim\"`"), "{fedora}");
}

#[test]
fn an_image_without_a_loader_says_which_c_library_is_wanted() {
    let scratch = told(&one(program(&["libc.so.6"])), &FileIndex::default(), "scratch", false);
    assert_eq!(
        scratch,
        "U0603 `hello` could not start in image `default` on `scratch`\n\
         there is no `/lib64/ld-linux-x86-64.so.2`, the loader that `hello` asks for\n\
         help: The base image has no C library: set `link = \"static\"`, or choose one with glibc, such as `gcr.io/distroless/cc-debian13`."
    );
    let musl = needing(&[], Some("/lib/ld-musl-x86_64.so.1"));
    assert!(told(&one(musl), &base(&[]), "debian", false).contains("a target with `gnu` in its name"));
    let alpine = image([("lib/ld-musl-x86_64.so.1".to_owned(), library(elf(None)))]);
    assert!(told(&one(program(&[])), &alpine, "alpine", false).contains("help: The base image uses musl: set `link = \"static\"`"));
}

#[test]
fn a_c_library_that_is_too_old_comes_with_the_cures_in_order() {
    let new = versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.34", "GLIBC_2.9", "GLIBC_2.33"]);
    let told_ = told(&one(new), &base(&[]), "debian:bullseye-slim", false);
    assert!(told_.starts_with("U0605 "), "{told_}");
    assert!(told_.contains("\n`hello` needs GLIBC_2.34 of `libc.so.6`, which has at most GLIBC_2.31\n"), "{told_}");
    let cures = [
        "Choose a newer base image, such as `debian:trixie-slim`;",
        "`compile = \"zig\"`",
        "`compile = \"container\"`",
        "`link = \"static\"`",
    ];
    assert!(cures.map(|cure| told_.find(cure).unwrap_or_else(|| panic!("{cure}: {told_}"))).is_sorted(), "{told_}");
    let newest = versions(program(&["libc.so.6"]), "libc.so.6", &["GLIBC_2.99"]);
    assert!(told(&one(newest), &base(&[]), "debian", false).contains("help: Choose a newer base image; set"));
}

#[test]
fn a_library_of_another_version_is_no_matter_of_the_c_library() {
    let foo = || [("usr/lib/libfoo.so.1", having("libfoo.so.1", &["FOO_1"]))];
    let wants = || versions(needing(&["libfoo.so.1"], Some(LOADER)), "libfoo.so.1", &["FOO_2"]);
    let told_ = told(&one(wants()), &base(&foo()), "debian", false);
    assert!(told_.contains("`hello` needs FOO_2 of `libfoo.so.1`, which has at most FOO_1") && !told_.contains("zig"), "{told_}");
    let bar = versions(needing(&["libfoo.so.1"], None), "libfoo.so.1", &["BAR_1"]);
    let files = base(&[foo()[0].clone(), ("usr/lib/libbar.so.1", library(bar))]);
    let told_ = told(&one(program(&["libbar.so.1"])), &files, "debian", false);
    assert!(told_.contains("`libbar.so.1` needs BAR_1 of `libfoo.so.1`, which does not have it"), "{told_}");
    assert!(told_.contains("Choose a newer base image, or libraries that do with its `libfoo.so.1`."), "{told_}");
}

#[test]
fn a_python_of_the_host_is_told_from_the_one_of_the_base() {
    let with = |python: &str| told(&one(program(&[python])), &base(&[]), "debian:bookworm-slim", false);
    assert!(with("libpython3.11.so.1.0").contains("apt-packages = [\"libpython3.11\"]"));
    let other = with("libpython3.12.so.1.0");
    assert!(
        other.contains("Choose a base image with Python 3.12, such as `python:3.12-slim`, or set `compile = \"container\"`"),
        "{other}"
    );
}

#[test]
fn libraries_that_debian_does_not_have_come_with_what_has_them() {
    let with = |library: &str| told(&one(program(&[library])), &base(&[]), "debian", false);
    assert!(with("libcublas.so.12").contains("`nvidia/cuda`"));
    assert!(with("libmine.so").contains("Bring `libmine.so` with `copy`"));
}

#[test]
fn a_library_where_the_loader_does_not_look_is_pointed_at() {
    let conf = ("etc/ld.so.conf", text("/usr/local/lib\n"));
    let files = base(&[("usr/local/lib/libmine.so.1", library(elf(None))), conf.clone()]);
    let told_ = told(&one(program(&["libmine.so.1"])), &files, "debian", false);
    assert!(told_.contains("`hello` needs it; the loader does not look where `/usr/local/lib/libmine.so.1` is\n"), "{told_}");
    assert!(told_.ends_with("`env = { LD_LIBRARY_PATH = \"/usr/local/lib\" }`, or run `commands = [\"ldconfig\"]`."), "{told_}");
    let files = base(&[("opt/libmine.so.1", library(elf(None))), conf]);
    assert!(told(&one(program(&["libmine.so.1"])), &files, "debian", false).ends_with("`env = { LD_LIBRARY_PATH = \"/opt\" }`."));
}

#[test]
fn what_decides_most_gives_the_code() {
    let script = StartFailure { program: "a".to_owned(), what: StartFailureKind::NotExecutable("it is not an ELF file".to_owned()) };
    let arm = crate::image::machine::MachineType::of(&"linux/arm64".parse().unwrap()).unwrap();
    let other = StartFailure { program: "b".to_owned(), what: StartFailureKind::OtherMachine(arm) };
    let (platform, files) = ("linux/amd64".parse().unwrap(), base(&[]));
    let scene = StartCheckContext { image: "default", base: "debian", platform: &platform, files: &files, has_packages: false };
    let error = refusal(&[other.clone(), script], scene);
    assert_eq!(error.code(), union_build::diag::Code::NotExecutable);
    let error = refusal(&[other], scene);
    assert_eq!(error.code(), union_build::diag::Code::MachineMismatch);
    assert_eq!(error.chain()[1], "`b` is made for arm64, and the image for linux/amd64");
}
