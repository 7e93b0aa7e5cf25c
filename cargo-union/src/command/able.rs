//! Which declared images this release can make; the others are refused before anything is done.

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{BuilderChoice, Compile, Image};

/// What stands in the way of making an image, each at its place.
pub(super) fn obstacles(image: &Image) -> Vec<Diagnostic> {
    let mut obstacles = Vec::new();
    let mut refuse = |message: String, origin: &Origin, label: &str, help: &str| {
        obstacles.push(Diagnostic::error(Code::UnsupportedByBuilder, message, origin, label).help(help));
    };
    if let BuilderChoice::Docker | BuilderChoice::Remote = image.builder.value {
        let word = if image.builder.value == BuilderChoice::Docker { "docker" } else { "remote" };
        let help = "use `auto` or `native`: it makes every image in which nothing has to run";
        refuse(format!("the {word} builder is not part of this release"), &image.builder.origin, "", help);
    }
    for (key, origin) in image.needs_to_run() {
        refuse(
            format!("the native builder does not support `{key}`"),
            &origin,
            "this has to run in a container while the image is made",
            "the docker and the remote builder can, and are not part of this release; until then start from a `base-image` that has it",
        );
    }
    if let Compile::Zig | Compile::Container = image.build.compile.value {
        let word = if image.build.compile.value == Compile::Zig { "zig" } else { "container" };
        let help = "use `auto` or `host`, with the target installed";
        refuse(format!("`compile = \"{word}\"` is not part of this release"), &image.build.compile.origin, "", help);
    }
    obstacles
}
