//! Makes Rust of the messages in `proto/`, with protox in protoc's place: cargo alone builds the tool.

#![allow(clippy::print_stdout, reason = "cargo reads a build script's output")]

use std::path::PathBuf;

use prost::Message as _;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let directory = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto");
    println!("cargo::rerun-if-changed={}", directory.display());
    let mut files = Vec::new();
    for package in ["flyteidl", "flyteidl2"] {
        for entry in std::fs::read_dir(directory.join(package))? {
            files.push(entry?.path());
        }
    }
    files.sort();
    // Maps in order, so that equal messages have equal bytes.
    let mut config = prost_build::Config::new();
    config
        .btree_map(["."])
        .enable_type_names()
        .include_file("idl.rs");
    // The JSON form of a message is written by its descriptor.
    let messages = protox::Compiler::new([&directory])?
        .include_imports(true)
        .open_files(files)?
        .file_descriptor_set();
    std::fs::write(
        PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin"),
        messages.encode_to_vec(),
    )?;
    config.compile_fds(messages)?;
    Ok(())
}
