//! The exit codes of the program.

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Success,
    /// Something failed.
    Failure,
    /// The manifest or the command line is wrong.
    Usage,
    /// cargo failed, with its own code.
    Cargo(u8),
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Cargo(code) => code,
            Self::Interrupted => 130,
        }
    }
}
