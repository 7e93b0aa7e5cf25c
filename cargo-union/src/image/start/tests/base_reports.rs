//! Error messages that suggest another base image: its loader is missing, or its libraries are old.

use super::*;

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
