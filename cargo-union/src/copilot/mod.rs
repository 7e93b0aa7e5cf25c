//! What Flyte's copilot does around a container task, done on this machine.
//!
//! On the backend a helper beside the program puts its inputs into one folder as files, and takes its
//! outputs from another. A local run does the same, byte for byte where programs could tell, and is as
//! strict: what fails there fails here. [`InputLiteral::of`] reads an input, [`lay_out`] says which files make
//! up all of them, [`OutputDir`] is what a program has left behind, and [`outputs`] reads it.
//!
//! This room knows nothing of engines, images or cargo, and never prints.

mod inputs;
mod number;
mod output_dir;
mod outputs;
mod pack;
mod template;
mod value;

pub use inputs::{InputFile, InputFileKind, lay_out};
pub use output_dir::OutputDir;
pub use outputs::{ERROR, OutputDecl, OutputValue, is_carried, outputs};
pub use pack::{pack, put};
pub use template::{filled, is_fillable};
pub use value::InputLiteral;
