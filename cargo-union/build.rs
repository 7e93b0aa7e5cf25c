//! Makes Rust of the messages in `proto/`, with protox in protoc's place: cargo alone builds the tool.

#![allow(clippy::print_stdout, reason = "cargo reads a build script's output")]

use std::path::PathBuf;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("flyteidl2"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let messages = protox::compile(&files, [&folder])?;
    prost_build::Config::new().btree_map(["."]).include_file("idl.rs").compile_fds(messages)?;
    Ok(())
}
