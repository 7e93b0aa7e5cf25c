//! Manifest keys that the remote builder of the backend does not support: each is reported at its place, with advice.
//!
//! Its layers install packages, run commands, copy files and set variables. It has no layer for a user, an
//! entrypoint, labels or secrets of this machine.

use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::variables::{VariablePart, is_plain, parts};
use crate::spec::{Base, ImageSpec, SecretSource, Task};

const DOCKER: &str = "use `builder = \"docker\"` for this image";

/// The image keys that the remote builder does not support, with advice.
pub(in crate::spec) const UNCARRIED: &[(&str, &str)] = &[
    (
        "dockerfile",
        "use `builder = \"docker\"`, or a `base-image` that was built from it",
    ),
    (
        "entrypoint",
        "remove it, and give the tasks a `command`, which runs regardless of the image's entrypoint",
    ),
    (
        "user",
        "remove it: the program runs as the base's user; or use `builder = \"docker\"`",
    ),
    ("labels", DOCKER),
    ("annotations", DOCKER),
    (
        "compression",
        "remove it: the backend selects the compression",
    ),
    ("build-ca", DOCKER),
    (
        "builder-options",
        "remove it: these are options of the docker builder",
    ),
    (
        "builder-config",
        "remove it: these are images of the docker builder",
    ),
    (
        "python-exec",
        "remove it: packages go into the Python that the backend sets up",
    ),
    ("conda-packages", DOCKER),
    ("conda-channels", DOCKER),
    ("pip-secret-mounts", DOCKER),
    (
        "copy.owner",
        "remove it, and use `chown` in `commands`; or use `builder = \"docker\"`",
    ),
];

/// Checks the images with the remote builder.
pub(super) fn check(images: &[ImageSpec], tasks: &[Task], problems: &mut Vec<Diagnostic>) {
    for image in images {
        if image.is_remote() {
            check_keys(image, problems);
            check_values(image, problems);
            check_platforms(image, tasks, problems);
        }
        check_extended_builder(image, images, problems);
    }
}

fn check_keys(image: &ImageSpec, problems: &mut Vec<Diagnostic>) {
    // Lists all fields, so that a new key does not compile until it is decided whether the remote builder applies it.
    let ImageSpec {
        // Rejected: `UNCARRIED`.
        dockerfile: _,
        entrypoint: _,
        user: _,
        labels: _,
        annotations: _,
        compression: _,
        build_ca: _,
        builder_options: _,
        builder_config: _,
        // Applied, rejected in part by `UNCARRIED`.
        python: _,
        copy: _,
        // Applied, rejected in part by `values` and `platforms`.
        base: _,
        env: _,
        secrets: _,
        platforms: _,
        // Applied.
        apt_packages: _,
        commands: _,
        requirements: _,
        workdir: _,
        ca_certificates: _,
        launcher: _,
        auditable: _,
        cuda: _,
        cudnn: _,
        // Used before any builder runs.
        key: _,
        origin: _,
        name: _,
        registry: _,
        tag_format: _,
        builder: _,
        build: _,
        runtime_libs: _,
        inputs: _,
        exclude: _,
    } = image;
    for (key, help) in UNCARRIED {
        if let Some(origin) = key_origin(image, key) {
            let message = format!(
                "the remote builder does not support `{key}` of image `{}`",
                image.key
            );
            problems.push(refused(image, message, &origin).help(*help));
        }
    }
}

/// The place of a key of [`UNCARRIED`]; `None` when it is not set.
fn key_origin(image: &ImageSpec, key: &str) -> Option<Origin> {
    let written =
        |origin: &Origin| Some(origin.clone()).filter(|origin| *origin != Origin::Default);
    match key {
        "dockerfile" => image.dockerfile.as_ref().map(|file| file.origin.clone()),
        "entrypoint" => image.entrypoint.as_ref().map(|words| words.origin.clone()),
        "user" => image.user.as_ref().map(|user| user.origin.clone()),
        "labels" => image
            .labels
            .values()
            .next()
            .map(|label| label.origin.clone()),
        "annotations" => image
            .annotations
            .values()
            .next()
            .map(|annotation| annotation.origin.clone()),
        "compression" => written(&image.compression.origin),
        "build-ca" => image.build_ca.as_ref().map(|file| file.origin.clone()),
        "builder-options" => image.builder_options.origin().cloned(),
        "builder-config" => image.builder_config.origin().cloned(),
        "copy.owner" => image
            .copy
            .iter()
            .find_map(|copy| copy.owner.as_ref())
            .map(|owner| owner.origin.clone()),
        python => image
            .python
            .used
            .iter()
            .find(|(used, _)| *used == python)
            .map(|(_, origin)| origin.clone()),
    }
}

fn check_values(image: &ImageSpec, problems: &mut Vec<Diagnostic>) {
    if let Base::Scratch(origin) = &image.base {
        let message = format!(
            "the remote builder runs a shell in every image, and `scratch`, the base of image `{}`, has none",
            image.key
        );
        problems.push(
            refused(image, message, origin)
                .help("use a base with a shell, such as `debian:trixie-slim`"),
        );
    }
    for (name, value) in image.env.iter().filter(|(_, value)| {
        parts(&value.value).is_ok_and(|parts| parts.into_iter().any(may_be_changed))
    }) {
        let message = format!(
            "the remote builder may change the value of `{name}`: it has a blank, a quote, `\\` or a dollar in it"
        );
        problems.push(
            refused(image, message, &value.origin)
                .help("set it in the `env` of the tasks, which is not changed"),
        );
    }
    for secret in &image.secrets {
        let id = &secret.id.value;
        let (message, help) = match &secret.source {
            SecretSource::Env(_) | SecretSource::File(_) => (
                format!(
                    "the remote builder reads the secret `{id}` from the backend, and would ignore this source"
                ),
                format!(
                    "write `{{ id = \"{id}\" }}`, and store its value with `flyte create secret {id}`"
                ),
            ),
            SecretSource::Backend if !secret.required => (
                format!("the remote builder requires the secret `{id}`"),
                "remove `required = false`".to_owned(),
            ),
            SecretSource::Backend => continue,
        };
        problems.push(refused(image, message, &secret.id.origin).help(help));
    }
}

/// Whether a part of a value may be changed by the remote builder: it is not documented whether it quotes
/// values or expands variables in them. References are replaced before it gets the value.
fn may_be_changed(part: VariablePart<'_>) -> bool {
    match part {
        VariablePart::Text(text) => !is_plain(text),
        VariablePart::Dollar => true,
        VariablePart::Variable(_) => false,
    }
}

/// The remote builder copies the same files for all platforms, but a binary is built for one of them.
fn check_platforms(image: &ImageSpec, tasks: &[Task], problems: &mut Vec<Diagnostic>) {
    let has_binaries = tasks
        .iter()
        .any(|task| task.image.value == image.key && task.bin.is_some());
    let Some(second) = image.platforms.get(1).filter(|_| has_binaries) else {
        return;
    };
    let message = format!(
        "the remote builder copies the same binaries for every platform of image `{}`",
        image.key
    );
    problems.push(
        refused(image, message, &second.origin)
            .help("keep one platform, or use `builder = \"docker\"`"),
    );
}

/// The backend's images stay in its registry, so other builders cannot start from them, and the backend cannot start
/// from theirs.
fn check_extended_builder(image: &ImageSpec, images: &[ImageSpec], problems: &mut Vec<Diagnostic>) {
    let Base::Extends(extends) = &image.base else {
        return;
    };
    let Some(other) = images.iter().find(|other| other.key == extends.value) else {
        return;
    };
    if image.is_remote() != other.is_remote() {
        let remote = if image.is_remote() { image } else { other };
        let message = format!(
            "image `{}` extends `{}`, and only `{}` is built by the backend",
            image.key, other.key, remote.key
        );
        problems.push(
            refused(remote, message, &extends.origin)
                .help("choose `builder = \"remote\"` for both of them, or for neither"),
        );
    }
}

fn refused(image: &ImageSpec, message: String, origin: &Origin) -> Diagnostic {
    Diagnostic::error(Code::UnsupportedByBuilder, message, origin, "")
        .also(&image.builder.origin, "the builder is chosen here")
}
