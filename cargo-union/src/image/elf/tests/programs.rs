//! Programs and libraries of the C compiler.

use std::path::Path;

use union_tests::c::CCompiler;

use super::*;

/// A compiler with a library of two symbol versions.
fn compiler() -> CCompiler {
    let compiler = CCompiler::default();
    compiler.library(
        "libdeep.so",
        "libdeep.so.1",
        &[("DEEP_1", "one"), ("DEEP_2", "two")],
        &[],
    );
    compiler
}

fn read(path: &Path) -> Elf {
    Elf::read(&std::fs::read(path).unwrap()[..]).unwrap()
}

#[test]
fn program_has_interpreter_needed_libraries_and_versions() {
    let compiler = compiler();
    let source = "void one(void); void two(void);\nint main(void) { one(); two(); return 0; }\n";
    let program = compiler.cc(
        "program",
        source,
        &[
            "-L.",
            "-ldeep",
            "-Wl,--disable-new-dtags",
            "-Wl,-rpath,$ORIGIN/../lib:/opt/lib",
        ],
    );
    let elf = read(&program);
    assert!(
        elf.interpreter
            .as_ref()
            .is_some_and(|loader| loader.contains("/ld-")),
        "{elf:?}"
    );
    assert_eq!(elf.needed[0], "libdeep.so.1");
    assert!(
        elf.needed.iter().any(|name| name.starts_with("libc.so")),
        "{elf:?}"
    );
    assert_eq!(
        (elf.rpath.as_deref(), elf.runpath),
        (Some("$ORIGIN/../lib:/opt/lib"), None)
    );
    let mut versions = elf.versions_needed["libdeep.so.1"].clone();
    versions.sort_unstable();
    assert_eq!(versions, ["DEEP_1", "DEEP_2"]);
    assert!(!elf.versions_needed["libc.so.6"].is_empty());
}

#[test]
fn library_has_soname_and_versions() {
    let compiler = compiler();
    let elf = read(&compiler.directory().join("libdeep.so"));
    assert_eq!(
        (elf.soname.as_deref(), elf.interpreter.as_deref()),
        (Some("libdeep.so.1"), None)
    );
    assert_eq!(elf.versions, ["DEEP_1", "DEEP_2"]);
}

#[test]
fn rpath_is_ignored_if_there_is_a_runpath() {
    let compiler = CCompiler::default();
    let library = compiler.cc(
        "librun.so",
        "",
        &[
            "-shared",
            "-nostdlib",
            "-Wl,--enable-new-dtags",
            "-Wl,-rpath,/opt/lib",
        ],
    );
    let elf = read(&library);
    assert_eq!(
        (elf.runpath.as_deref(), elf.rpath),
        (Some("/opt/lib"), None)
    );
}

#[test]
fn static_and_static_pie_programs_are_static() {
    let compiler = CCompiler::default();
    for (flag, name) in [("-static", "static"), ("-static-pie", "static-pie")] {
        let program = compiler.cc(name, "int main(void) { return 0; }\n", &[flag]);
        assert!(read(&program).is_static(), "{flag}");
    }
    assert!(!read(&compiler.cc("dynamic", "int main(void) { return 0; }\n", &[])).is_static());
}

#[test]
fn large_file_is_read_in_small_parts() {
    struct Counting(std::fs::File, std::rc::Rc<std::cell::Cell<usize>>);
    impl std::io::Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1.set(self.1.get() + count);
            Ok(count)
        }
    }
    impl std::io::Seek for Counting {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }
    let compiler = CCompiler::default();
    let source = "const char big[20000000] = { 1 };\nint main(void) { return big[0]; }\n";
    let program = compiler.cc("program", source, &[]);
    let count = std::rc::Rc::default();
    let cache = ReadCache::new(Counting(
        std::fs::File::open(&program).unwrap(),
        std::rc::Rc::clone(&count),
    ));
    assert_eq!(Elf::read(&cache).unwrap(), read(&program));
    assert!(count.get() < 100_000, "{} bytes", count.get());
}

#[test]
fn files_that_loaders_refuse_have_distinct_errors() {
    let compiler = CCompiler::default();
    let object = std::fs::read(compiler.cc("x.o", "int x;\n", &["-c"])).unwrap();
    let program =
        std::fs::read(compiler.cc("program", "int main(void) { return 0; }\n", &[])).unwrap();
    for (bytes, why) in [
        (&b"#!/bin/sh\n"[..], ElfError::NotElf),
        (b"", ElfError::NotElf),
        (b"\x7fELF\x02\x01\x01", ElfError::Damaged),
        (b"\x7fELF\x07", ElfError::Damaged),
        (&object, ElfError::NotLinked),
        (&program[..2000], ElfError::Damaged),
    ] {
        assert_eq!(
            Elf::read(bytes),
            Err(why),
            "{:?}",
            &bytes[..bytes.len().min(8)]
        );
    }
}
