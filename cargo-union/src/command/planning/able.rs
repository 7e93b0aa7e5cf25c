//! Which declared images this release can make; the others are refused before anything is done.

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{BuilderChoice, Image};

/// What stands in the way of making an image, each at its place.
pub(super) fn obstacles(image: &Image) -> Vec<Diagnostic> {
    let mut obstacles = Vec::new();
    let mut refuse = |message: String, origin: &Origin, label: &str, help: &str| {
        obstacles.push(Diagnostic::error(Code::UnsupportedByBuilder, message, origin, label).help(help));
    };
    if image.builder.value == BuilderChoice::Remote {
        let help = "use `auto`, which takes a container engine where something has to run";
        refuse("the remote builder is not part of this release".to_owned(), &image.builder.origin, "", help);
    }
    obstacles
}
