//! Error messages about missing libraries, and the code of several failures.

use super::*;

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
