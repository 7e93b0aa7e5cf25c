//! Tests with files of the C compiler, handwritten files for other machines, and random bytes.

use object::read::ReadCache;

use super::*;

mod machines;
mod programs;
