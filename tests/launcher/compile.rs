//! The compiled launcher program.

use cargo_union::workspace::launcher::SOURCES;

use crate::setup::{compile, has_target, triple};

/// The targets that it is written for, as far as they are installed. That of this machine always is.
fn targets() -> Vec<String> {
    let all = ["x86_64", "aarch64"].iter().flat_map(|processor| {
        ["gnu", "musl"].map(|library| format!("{processor}-unknown-linux-{library}"))
    });
    all.filter(|target| *target == triple() || has_target(target))
        .collect()
}

/// A number of some bytes at a place of an ELF file.
fn number(program: &[u8], start: usize, length: usize) -> usize {
    program[start..start + length]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Type and permissions of each segment.
fn segments(program: &[u8]) -> Vec<(usize, usize)> {
    let table = number(program, 32, 8);
    let headers =
        (0..number(program, 56, 2)).map(|position| table + position * number(program, 54, 2));
    headers
        .map(|header| (number(program, header, 4), number(program, header + 4, 4)))
        .collect()
}

#[test]
fn launcher_is_small_static_and_has_no_writable_code() {
    const LOAD: usize = 1;
    const DYNAMIC: usize = 2;
    const INTERPRETER: usize = 3;
    const STACK: usize = 0x6474_e551;
    const EXECUTABLE: usize = 1;
    const WRITABLE: usize = 2;
    for target in targets() {
        let directory = tempfile::tempdir().unwrap();
        compile(&target, directory.path(), &[]);
        let program = std::fs::read(directory.path().join("launcher")).unwrap();
        assert!(program.len() < 60_000, "{target}: {} bytes", program.len());
        let segments = segments(&program);
        assert!(
            segments
                .iter()
                .all(|(kind, _)| ![DYNAMIC, INTERPRETER].contains(kind)),
            "{target}: {segments:?}"
        );
        assert!(
            segments
                .iter()
                .all(|(_, flags)| flags & (EXECUTABLE | WRITABLE) != EXECUTABLE | WRITABLE),
            "{target}: {segments:?}"
        );
        assert!(
            segments.iter().any(|(kind, _)| *kind == LOAD),
            "{target}: {segments:?}"
        );
        assert!(
            segments.contains(&(STACK, 6)),
            "{target}: the stack is executable: {segments:?}"
        );
    }
}

#[test]
fn launcher_is_reproducible_and_contains_no_machine_path() {
    for target in targets() {
        let programs = ["a", "another/directory/of some depth"].map(|name| {
            let directory = tempfile::tempdir().unwrap();
            let sources = directory.path().join(name);
            compile(&target, &sources, &[]);
            let program = std::fs::read(sources.join("launcher")).unwrap();
            for path in [directory.path().to_str().unwrap(), "/rustc/", "rustlib"] {
                assert!(
                    !program
                        .windows(path.len())
                        .any(|bytes| bytes == path.as_bytes()),
                    "{target}: {path}"
                );
            }
            program
        });
        assert!(programs[0] == programs[1], "{target}");
    }
}

#[test]
fn sources_compile_without_warnings() {
    for target in targets() {
        let directory = tempfile::tempdir().unwrap();
        let more = ["--cap-lints=forbid", "-Dwarnings", "-Wunused"];
        assert_eq!(compile(&target, directory.path(), &more), "", "{target}");
    }
}

#[test]
fn every_source_is_part_of_the_tool() {
    let directory = union_tests::project::repository().join("cargo-union/launcher");
    let entries = std::fs::read_dir(&directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(SOURCES.map(|(name, _)| name).as_slice(), names);
}
