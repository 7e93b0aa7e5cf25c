//! Inputs and outputs of container tasks in local runs, as Flyte's copilot handles them on the backend.
//!
//! Copilot is a sidecar that writes the inputs of a task as files into one directory, and reads its outputs from
//! Copilot is a sidecar that writes the inputs of a task as files into one directory, and reads its outputs from
//! another. This module produces the same bytes wherever a program can read them, and is equally strict.
//! [`InputLiteral::of`] checks an input, [`lay_out`] lists the files of all inputs, [`OutputDir`] holds the files that
//! a program has written, and [`outputs`] reads the outputs from them.
//!
//! It does not depend on engines, images or cargo, and never prints.

mod inputs;
mod number;
mod output_dir;
// Shared with the launcher, so that both accept the same outputs.
#[path = "../../launcher/output_type.rs"]
mod output_type;
mod outputs;
mod pack;
mod template;
mod value;

pub use inputs::{InputFile, InputFileKind, InputTree, lay_out};
pub use output_dir::OutputDir;
pub use outputs::{ERROR, OutputDecl, OutputValue, outputs};
pub use pack::{pack, put};
pub use template::filled;
pub use value::InputLiteral;
