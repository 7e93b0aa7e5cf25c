//! The binary: `cargo union …` and `cargo-union …`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cargo_union::main(std::env::args_os()).code())
}
