//! The sources that are written: programs of tasks, the build script and the line that includes its output.

use union_build::spec::TaskKind;

/// `build.rs`
pub(super) const BUILD_SCRIPT: &str = "fn main() {\n    union_build::emit();\n}\n";

/// The line that makes the references constants of the crate.
pub(super) const INCLUDE: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\n";

const CONTAINER: &str = r#"//! A task: doubles a number.

use std::path::Path;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [x, outputs] = &arguments[..] else {
        return Err("expected a number and the directory of the outputs".into());
    };
    let x: i64 = x.parse()?;
    let twice = x.checked_mul(2).ok_or("the number is too large")?;
    // Each output is a file of its name.
    fs::write(Path::new(outputs).join("twice"), twice.to_string())?;
    Ok(())
}
"#;

const RUST: &str = r#"//! A task of the `flyte` crate: doubles a number.

#[flyte::main]
#[flyte::task]
async fn NAME(x: i64) -> Result<i64, flyte::Error> {
    Ok(2 * x)
}
"#;

/// The program of a task with the input `x`.
pub(super) fn program(kind: TaskKind, name: &str) -> String {
    match kind {
        TaskKind::Container => CONTAINER.to_owned(),
        TaskKind::Rust => RUST.replace("NAME", &name.replace('-', "_")),
    }
}
