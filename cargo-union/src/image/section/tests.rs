//! Tests with files of the C compiler and handwritten headers, read back by other programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::ReadCache;
use proptest::prelude::*;
use union_tests::c::CCompiler;

use super::*;

const SOURCE: &str = "int main(void) { return 7; }\n";

/// Writes what a file becomes beside it.
fn appended(path: &Path, content: &[u8]) -> PathBuf {
    let file = std::fs::File::open(path).unwrap();
    let section = append_section(&ReadCache::new(file), ".dep-v0", content)
        .unwrap()
        .expect("no section yet");
    let copy = path.with_extension("audited");
    crate::sys::fs::copy_with(path, &copy, &section.header, &section.tail).unwrap();
    copy
}

fn output(program: &str, words: &[&str], path: &Path) -> String {
    let output = Command::new(program)
        .args(words)
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `objcopy` finds in the section.
fn extracted(path: &Path) -> Vec<u8> {
    let extracted = path.with_extension("section");
    let words = ["-O", "binary", "--only-section=.dep-v0"];
    let status = Command::new("objcopy")
        .args(words)
        .args(["--set-section-flags", ".dep-v0=alloc"])
        .args([path, &extracted])
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(extracted).unwrap()
}

#[test]
fn other_programs_read_the_section_and_the_program_runs() {
    let workshop = CCompiler::default();
    for (name, flags) in [
        ("dynamic", &[][..]),
        ("static", &["-static"]),
        ("stripped", &["-s"]),
    ] {
        let program = workshop.cc(name, SOURCE, flags);
        let before = output("readelf", &["-SW"], &program);
        let audited = appended(&program, b"the list");
        assert_eq!(
            Command::new(&audited).status().unwrap().code(),
            Some(7),
            "{name}"
        );
        assert_eq!(extracted(&audited), b"the list", "{name}");
        let sections = output("readelf", &["-SW"], &audited);
        assert!(sections.contains(" .dep-v0 "), "{sections}");
        assert!(
            before.contains(" .text ") && sections.contains(" .text "),
            "{sections}"
        );
        let file = std::fs::read(&audited).unwrap();
        assert_eq!(append_section(&file[..], ".dep-v0", b"other"), Ok(None));
        assert_eq!(
            super::super::elf::Elf::read(&file[..]),
            super::super::elf::Elf::read(&std::fs::read(&program).unwrap()[..])
        );
    }
}

#[test]
fn file_without_section_headers_gets_them() {
    let workshop = CCompiler::default();
    // Static: `readelf` wants a section for the dynamic segment.
    let program = workshop.cc("program", SOURCE, &["-static"]);
    let mut bytes = std::fs::read(&program).unwrap();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    std::fs::write(&program, bytes).unwrap();
    let audited = appended(&program, b"the list");
    assert_eq!(extracted(&audited), b"the list");
    assert_eq!(Command::new(&audited).status().unwrap().code(), Some(7));
    let sections = output("readelf", &["-SW"], &audited);
    assert!(
        sections.contains("There are 3 section headers"),
        "{sections}"
    );
}

/// The header of an executable without segments, and `count` sections without a name.
fn handwritten(is_64: bool, is_little: bool, count: u16) -> Vec<u8> {
    let half = |value: u16| match is_little {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let (size, section, shoff, shentsize) = match is_64 {
        true => (64, 64, 0x28, 0x3a),
        false => (52, 40, 0x20, 0x2e),
    };
    let mut bytes = vec![0; size];
    bytes[..7].copy_from_slice(b"\x7fELF\x00\x00\x01");
    bytes[4] = if is_64 { 2 } else { 1 };
    bytes[5] = if is_little { 1 } else { 2 };
    bytes[16..18].copy_from_slice(&half(2));
    if count > 0 {
        let low = shoff
            + if is_little {
                0
            } else if is_64 {
                6
            } else {
                2
            };
        bytes[low..low + 2].copy_from_slice(&half(size as u16));
        bytes[shentsize..shentsize + 2].copy_from_slice(&half(section as u16));
        bytes[shentsize + 2..shentsize + 4].copy_from_slice(&half(count));
        bytes.resize(size + section * usize::from(count), 0);
    }
    bytes
}

fn patched(mut bytes: Vec<u8>, section: &AppendedSection) -> Vec<u8> {
    bytes[..section.header.len()].copy_from_slice(&section.header);
    bytes.extend(&section.tail);
    bytes
}

#[test]
fn files_of_other_machines_get_the_section() {
    let directory = tempfile::tempdir().unwrap();
    for (is_64, is_little) in [(true, true), (true, false), (false, true), (false, false)] {
        for count in [0, 1, 5] {
            let bytes = handwritten(is_64, is_little, count);
            let section = append_section(&bytes[..], ".dep-v0", b"the list")
                .unwrap()
                .unwrap();
            let bytes = patched(bytes, &section);
            let path = directory.path().join("file");
            std::fs::write(&path, &bytes).unwrap();
            let sections = output("readelf", &["-SW"], &path);
            assert!(sections.contains(" .dep-v0 "), "{sections}");
            assert_eq!(append_section(&bytes[..], ".dep-v0", b""), Ok(None));
        }
    }
}

#[test]
fn too_many_sections_are_refused() {
    let bytes = handwritten(true, true, 0xfeff);
    assert_eq!(
        append_section(&bytes[..], ".dep-v0", b""),
        Err(SectionError::TooMany(0xfeff))
    );
    let bytes = handwritten(true, true, 0xfefe);
    assert!(
        append_section(&bytes[..], ".dep-v0", b"")
            .unwrap()
            .is_some()
    );
}

#[test]
fn truncated_file_is_refused() {
    let workshop = CCompiler::default();
    let bytes = std::fs::read(workshop.cc("program", SOURCE, &[])).unwrap();
    for length in [0, 3, 5, 40, 64, 500, bytes.len() / 2, bytes.len() - 1] {
        let result = append_section(&bytes[..length], ".dep-v0", b"x");
        assert!(
            matches!(result, Err(SectionError::Elf(_))),
            "{length}: {result:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_modified_file_is_extended_or_refused(
        is_64: bool, is_little: bool, count in 0..6_u16,
        changes in proptest::collection::vec((0..400_usize, prop_oneof![any::<u8>(), Just(0xff), Just(0)]), 1..12),
        length in 0..500_usize,
    ) {
        let mut bytes = handwritten(is_64, is_little, count);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(length);
        if let Ok(Some(section)) = append_section(&bytes[..], ".dep-v0", b"the list") {
            let bytes = patched(bytes, &section);
            prop_assert_eq!(append_section(&bytes[..], ".dep-v0", b""), Ok(None));
        }
    }
}
