//! Tests of start failures and of their error messages.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::index::FsEntry;
use crate::image::loader::tests::{debian, elf, image, library, text};

mod base_reports;
mod failures;
mod library_reports;

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
