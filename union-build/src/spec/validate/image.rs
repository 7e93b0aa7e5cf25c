//! Reads an `images.NAME` table.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::grammar;
use super::reader::TableReader;
use super::{copy, or_default, python};
use crate::diag::{Code, Diagnostic};
use crate::spec::names::is_cargo_lock;
use crate::spec::tree::{TomlNode, TomlValue};
use crate::spec::{
    Base, Build, BuilderChoice, BuilderConfig, BuilderOptions, Compile, Compression, ImageSpec,
    Link, Pattern, SecretSource, SecretSpec, Sourced,
};

const LINKS: &[(&str, Link)] = &[
    ("auto", Link::Auto),
    ("static", Link::Static),
    ("dynamic", Link::Dynamic),
];
const COMPILES: &[(&str, Compile)] = &[
    ("auto", Compile::Auto),
    ("host", Compile::Host),
    ("zig", Compile::Zig),
    ("container", Compile::Container),
];
const COMPRESSIONS: &[(&str, Compression)] =
    &[("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];

pub(super) fn read(key: &str, node: &TomlNode, mut reader: TableReader<'_>) -> ImageSpec {
    let reader = &mut reader;
    let problem = grammar::IMAGE_KEY.problem(key, &node.key);
    reader.problems.extend(problem);
    let (requirements, python_files) = requirements(reader);
    let python = python::read(reader, python_files);
    let secrets = secrets(reader);
    python::check_secrets(&python, &secrets, reader);
    let workdir = reader.text("workdir", &grammar::ABSOLUTE);
    ImageSpec {
        key: key.to_owned(),
        origin: node.key.clone(),
        name: or_default(reader.text("name", &grammar::IMAGE_NAME)),
        registry: reader.text("registry", &grammar::REGISTRY),
        tag_format: or_default(reader.text("tag-format", &grammar::TAG_FORMAT)),
        builder: or_default(reader.word("builder", &BuilderChoice::WORDS)),
        base: base(reader),
        platforms: platforms(reader),
        build: build(reader),
        apt_packages: reader.texts("apt-packages", &grammar::APT_PACKAGE),
        commands: reader.texts("commands", &grammar::COMMAND),
        copy: copy::read(reader, workdir.as_ref()),
        requirements,
        python,
        cuda: reader.text("cuda", &grammar::WORD),
        cudnn: reader.text("cudnn", &grammar::WORD),
        dockerfile: reader.file("dockerfile"),
        secrets,
        build_ca: reader.file("build-ca"),
        builder_options: builder_options(reader),
        builder_config: builder_config(reader),
        env: reader.text_map("env", &grammar::IMAGE_ENV_NAME, &grammar::IMAGE_ENV),
        entrypoint: reader.list("entrypoint", &grammar::TEXT),
        user: reader.text("user", &grammar::USER),
        workdir,
        labels: reader.text_map("labels", &grammar::LABEL_NAME, &grammar::TEXT),
        annotations: reader.text_map("annotations", &grammar::LABEL_NAME, &grammar::TEXT),
        ca_certificates: reader.file("ca-certificates"),
        runtime_libs: reader.texts("runtime-libs", &grammar::SONAME),
        compression: or_default(reader.word("compression", COMPRESSIONS)),
        launcher: or_default(reader.bool("launcher")),
        auditable: or_default(reader.bool("auditable")),
        inputs: patterns(reader, "inputs"),
        exclude: patterns(reader, "exclude"),
    }
}

fn base(reader: &mut TableReader<'_>) -> Base {
    if let Some(extends) = reader.text("extends", &grammar::TEXT) {
        return Base::Extends(extends);
    }
    if reader.table.contains_key("dockerfile") {
        return Base::Dockerfile;
    }
    match reader.table.get("base-image") {
        Some(TomlNode {
            origin,
            value: TomlValue::Text(text),
            ..
        }) if text == "scratch" => Base::Scratch(origin.clone()),
        _ => Base::Reference(or_default(reader.text("base-image", &grammar::REFERENCE))),
    }
}

fn platforms(reader: &mut TableReader<'_>) -> Vec<Sourced<String>> {
    let platforms = reader.texts("platforms", &grammar::PLATFORM);
    if let (
        Some(TomlNode {
            origin,
            value: TomlValue::List(entries),
            ..
        }),
        true,
    ) = (reader.table.get("platforms"), platforms.is_empty())
    {
        if entries.is_empty() {
            let problem = Diagnostic::error(
                Code::InvalidValue,
                "an image needs at least one platform",
                origin,
                "empty",
            );
            reader
                .problems
                .push(problem.help("write a platform such as `linux/amd64`, or remove the line"));
        }
    }
    // arm64 has no other variant than v8.
    let normalized = |platform: &str| {
        platform
            .strip_suffix("arm64/v8")
            .map_or(platform.to_owned(), |os| format!("{os}arm64"))
    };
    for (index, platform) in platforms.iter().enumerate() {
        if let Some(first) = platforms[..index]
            .iter()
            .find(|other| normalized(other) == normalized(platform))
        {
            let message = format!("the platform `{}` is declared twice", platform.value);
            let problem = Diagnostic::error(Code::InvalidValue, message, &platform.origin, "again");
            reader.problems.push(
                problem
                    .also(&first.origin, "first declared here")
                    .help("remove one of them"),
            );
        }
    }
    platforms
}

fn build(reader: &mut TableReader<'_>) -> Build {
    let table = reader
        .table("build")
        .expect("completing a tree makes `build` a table");
    let reader = &mut reader.inner(table);
    let build = Build {
        profile: or_default(reader.text("profile", &grammar::NAME)),
        features: reader.texts("features", &grammar::FEATURE),
        default_features: or_default(reader.bool("default-features")),
        link: or_default(reader.word("link", LINKS)),
        compile: or_default(reader.word("compile", COMPILES)),
        rust_image: reader.text("rust-image", &grammar::REFERENCE),
        apt_packages: reader.texts("apt-packages", &grammar::APT_PACKAGE),
        env: reader.text_map("env", &grammar::ENV_NAME, &grammar::TEXT),
    };
    if let Compile::Host | Compile::Zig = build.compile.value {
        let packages = build
            .apt_packages
            .first()
            .map(|package| ("apt-packages", &package.origin));
        let image = build
            .rust_image
            .as_ref()
            .map(|image| ("rust-image", &image.origin));
        for (key, origin) in packages.into_iter().chain(image) {
            let message = format!(
                "`build.{key}` has no effect when the crate is not compiled in a container"
            );
            let problem = Diagnostic::warning(Code::InvalidValue, message, origin, "unused");
            reader.problems.push(
                problem
                    .also(&build.compile.origin, "chosen here")
                    .help("use `compile = \"container\"` or `\"auto\"`"),
            );
        }
    }
    build
}

/// All lock files, and those of them that are Python's.
fn requirements(reader: &mut TableReader<'_>) -> (Vec<Sourced<PathBuf>>, Vec<Sourced<PathBuf>>) {
    let mut files = Vec::new();
    let mut python = Vec::new();
    for node in reader.entries("requirements") {
        let TomlValue::Text(typed) = &node.value else {
            continue;
        };
        let name = typed.rsplit('/').next().unwrap_or(typed);
        let mut path = Sourced {
            value: reader.absolute(typed, &node.origin),
            origin: node.origin.clone(),
        };
        if is_cargo_lock(typed) {
            // cargo has one lock file per workspace, in its root.
            let lock = reader.context.facts.workspace_root.join("Cargo.lock");
            if typed != "Cargo.lock" && path.value != lock {
                let message = format!("`{typed}` is not the lock file that cargo uses");
                let problem = Diagnostic::error(
                    Code::InvalidValue,
                    message,
                    &node.origin,
                    "another Cargo.lock",
                );
                reader
                    .problems
                    .push(problem.help("write `Cargo.lock`, which is the workspace's own"));
            }
            path.value = lock;
        } else if name == "uv.lock" || name.starts_with("requirements") && name.ends_with(".txt") {
            reader.must_be_a_file("requirements", &path);
            python.push(path.clone());
        } else {
            let message = format!("`{typed}` is not a lock file that is known by its name");
            let problem = Diagnostic::error(Code::InvalidValue, message, &node.origin, "unknown");
            reader
                .problems
                .push(problem.help("the names are `Cargo.lock`, `requirements*.txt`, `uv.lock`"));
        }
        files.push(path);
    }
    (files, python)
}

fn builder_options(reader: &mut TableReader<'_>) -> BuilderOptions {
    let Some(table) = reader.table("builder-options") else {
        return BuilderOptions::default();
    };
    let has_dockerfile = reader.table.contains_key("dockerfile");
    let reader = &mut reader.inner(table);
    for key in ["context", "target"] {
        if let (Some(node), false) = (table.get(key), has_dockerfile) {
            let message = format!("`builder-options.{key}` has no effect without a `dockerfile`");
            reader.problems.push(
                Diagnostic::error(Code::InvalidValue, message, &node.origin, "unused")
                    .help("remove it, or name a `dockerfile`"),
            );
        }
    }
    BuilderOptions {
        network: reader.text("network", &grammar::WORD),
        context: reader.path("context"),
        target: reader.text("target", &grammar::NAME),
    }
}

fn builder_config(reader: &mut TableReader<'_>) -> BuilderConfig {
    let Some(table) = reader.table("builder-config") else {
        return BuilderConfig::default();
    };
    let reader = &mut reader.inner(table);
    BuilderConfig {
        uv_image: reader.text("uv-image", &grammar::REFERENCE),
        micromamba_image: reader.text("micromamba-image", &grammar::REFERENCE),
    }
}

fn secrets(reader: &mut TableReader<'_>) -> Vec<SecretSpec> {
    let remote = matches!(reader.table.get("builder").map(|node| &node.value), Some(TomlValue::Text(word)) if word == "remote");
    let mut ids = BTreeSet::new();
    let mut secrets = Vec::new();
    for node in reader.entries("secrets") {
        let TomlValue::Table(table) = &node.value else {
            continue;
        };
        let reader = &mut reader.inner(table);
        let id = reader.text("id", &grammar::SECRET_ID);
        let env = reader.text("env", &grammar::ENV_NAME);
        let file = reader.path("file");
        let report = |reader: &mut TableReader<'_>, message: &str, help: &str| {
            reader
                .problems
                .push(Diagnostic::error(Code::InvalidValue, message, &node.origin, "").help(help));
        };
        if !table.contains_key("id") {
            report(
                reader,
                "a secret has no `id`",
                "write `id = \"…\"`, its name in the build",
            );
        }
        let places =
            usize::from(table.contains_key("env")) + usize::from(table.contains_key("file"));
        // The remote builder reads secrets from the backend.
        if places > 1 || (places == 0 && !remote) {
            report(
                reader,
                "a secret comes from one place",
                "write either `env = \"VARIABLE\"` or `file = \"PATH\"`",
            );
        }
        if id.as_ref().is_some_and(|id| !ids.insert(id.value.clone())) {
            report(
                reader,
                "two secrets have one `id`",
                "give one of them another `id`",
            );
        }
        let source = env
            .map(|env| SecretSource::Env(env.value))
            .or(file.map(|file| SecretSource::File(file.value)));
        let source = source.or((places == 0 && remote).then_some(SecretSource::Backend));
        let required = reader
            .bool("required")
            .is_none_or(|required| required.value);
        secrets.extend(id.zip(source).map(|(id, source)| SecretSpec {
            id,
            source,
            required,
        }));
    }
    secrets
}

fn patterns(reader: &mut TableReader<'_>, key: &str) -> Vec<Pattern> {
    let globs = reader.texts(key, &grammar::GLOB);
    globs
        .into_iter()
        .map(|glob| Pattern {
            directory: reader.directory(&glob.origin),
            glob,
        })
        .collect()
}
