//! The tables of the manifest: package, build and images.

use super::{KeyKind, SchemaKey, SchemaLevel};
use crate::spec::{BackendChoice, BuilderChoice};

mod task;

pub use task::{CACHE, RETRIES, TASK, TASK_SECRET, TRIGGER};

/// `[package.metadata.union]`, and `[workspace.metadata.union]` for its defaults.
pub static UNION: SchemaLevel = SchemaLevel {
    path: "",
    doc: "What a package declares; the same table under `workspace.metadata` gives defaults to all packages that have one.",
    keys: &[
        SchemaKey::new("project", KeyKind::Text, "Flyte project that tasks are registered in.").example("\"flytesnacks\"")
            .env("UNION_PROJECT")
            .flag("--project")
            .computed("the backend's configuration"),
        SchemaKey::new("domain", KeyKind::Text, "Flyte domain that tasks are registered in.").example("\"development\"")
            .env("UNION_DOMAIN")
            .flag("--domain")
            .computed("the backend's configuration"),
        SchemaKey::new("registry", KeyKind::Text, "Where images are pushed, `host[:port][/path]`.").example("\"ghcr.io/my-org\"")
            .env("UNION_REGISTRY")
            .flag("--registry")
            .computed("none: images go into an OCI layout under `target/union`"),
        SchemaKey::new(
            "builder",
            KeyKind::Word(&BUILDERS),
            "Who builds environments; `auto` is native when no command runs in them, else docker.",
        )
        .env("UNION_BUILDER")
        .flag("--builder")
        .default("\"auto\""),
        SchemaKey::new(
            "backend",
            KeyKind::Word(&BACKENDS),
            "Which generation of Flyte tasks are registered with; `auto` asks the backend once and remembers it.",
        )
        .env("UNION_BACKEND")
        .flag("--backend")
        .default("\"auto\""),
        SchemaKey::new("registry-config", KeyKind::Path, "Another Docker `config.json` to read credentials from.").example("\".docker/config.json\"")
            .env("UNION_REGISTRY_CONFIG")
            .flag("--registry-config"),
        SchemaKey::new(
            "insecure-registries",
            KeyKind::Texts,
            "Hosts, `host[:port]`, that may be contacted over plain HTTP; loopback always may.",
        ).example("[\"registry.example.com:5000\"]")
        .default("[]"),
        SchemaKey::new(
            "attest",
            KeyKind::Bool,
            "Whether a bill of materials and provenance are attached to pushed images: `true` also by a fallback tag, `false` never.",
        )
        .example("true")
        .computed("where the registry has the referrers API"),
        SchemaKey::new("mirrors", KeyKind::TextMap, "Registry host → `host[:port][/path]` that base images are read from instead.").example("{ \"docker.io\" = \"mirror.example.com\" }")
            .default("{}"),
        SchemaKey::new("build", KeyKind::Table(&BUILD), "How the crate is compiled."),
        SchemaKey::new("images", KeyKind::Tables(&IMAGE), "Image specs by name.").computed("one image, `default`"),
        SchemaKey::new("tasks", KeyKind::Tables(&TASK), "Tasks by name.").computed("one task: `default-run` or the sole binary"),
    ],
    aliases: &[],
    refused: &[],
};

/// `build`, and `images.NAME.build`.
pub static BUILD: SchemaLevel = SchemaLevel {
    path: "build",
    doc: "How the crate is compiled; `[images.NAME.build]` has the same keys and wins for its image.",
    keys: &[
        SchemaKey::new("profile", KeyKind::Text, "Cargo profile.")
            .flag("--profile")
            .default("\"release\""),
        SchemaKey::new("features", KeyKind::Texts, "Cargo features of the package.")
            .flag("--features")
            .default("[]"),
        SchemaKey::new(
            "default-features",
            KeyKind::Bool,
            "Whether the default features are on.",
        )
        .flag("--no-default-features")
        .default("true"),
        SchemaKey::new(
            "link",
            KeyKind::Word(&["auto", "static", "dynamic"]),
            "How binaries are linked; `auto` is static on `scratch`, else dynamic.",
        )
        .default("\"auto\""),
        SchemaKey::new(
            "compile",
            KeyKind::Word(&["auto", "host", "zig", "container"]),
            "Where the crate is compiled; `auto` is the host when it can.",
        )
        .default("\"auto\""),
        SchemaKey::new(
            "rust-image",
            KeyKind::Text,
            "Image with a toolchain, for `compile = \"container\"`.",
        )
        .example("\"rust:slim-trixie\"")
        .needs(&["compile"])
        .computed("one of the environment's own release"),
        SchemaKey::new(
            "apt-packages",
            KeyKind::Texts,
            "Debian packages that a container compile needs.",
        )
        .default("[]"),
        SchemaKey::new(
            "env",
            KeyKind::TextMap,
            "Environment variables of the compile; part of the image's key.",
        )
        .default("{}"),
    ],
    aliases: &[],
    refused: &[],
};

/// `images.NAME`.
pub static IMAGE: SchemaLevel = SchemaLevel {
    path: "images.NAME",
    doc: "One image spec: an environment, and on top of it the binaries of the tasks that name it.",
    keys: &[
        SchemaKey::new("name", KeyKind::Text, "Name of the repository below the registry.").example("\"my-image\"")
            .computed("the package's name, with `-` and the image's name unless that is `default`"),
        SchemaKey::new("registry", KeyKind::Text, "Where this image is pushed.").example("\"ghcr.io/my-org\"").computed("the package's `registry`"),
        SchemaKey::new("tag-format", KeyKind::Text, "The tag; `{spec-hash}` stands for the content key.").default("\"{spec-hash}\""),
        SchemaKey::new("builder", KeyKind::Word(&BUILDERS), "Who builds this environment.").example("\"auto\"").computed("the package's `builder`"),
        SchemaKey::new(
            "base-image",
            KeyKind::Text,
            "The image that the environment starts from, or `scratch` for nothing; locked by digest in Union.lock.",
        ).example("\"debian:trixie-slim\"")
        .computed(BASES),
        SchemaKey::new("extends", KeyKind::Text, "Another image spec whose environment this one starts from, instead of `base-image`.").example("\"base\""),
        SchemaKey::new("platforms", KeyKind::Texts, "Platforms; several make an index.").default("[\"linux/amd64\"]"),
        SchemaKey::new("build", KeyKind::Table(&BUILD), "How the crate is compiled for this image.").example("{ profile = \"release\" }").computed("the package's `build`"),
        SchemaKey::new("apt-packages", KeyKind::Texts, "Debian packages to install.").example("[\"libpq5\"]").runs().default("[]"),
        SchemaKey::new("commands", KeyKind::Texts, "Shell commands to run, as root, after everything else.").example("[\"ldconfig\"]").runs().default("[]"),
        SchemaKey::new("copy", KeyKind::PathsOrEntries(&COPY), "Files and directories to copy; a plain path keeps its place below the working directory.").example("[\"models/weights.bin\"]")
            .default("[]"),
        SchemaKey::new("requirements", KeyKind::Paths, "Lock files that pin dependencies: `Cargo.lock`; `requirements*.txt` and `uv.lock`, which need the docker or the remote builder.").example("[\"requirements.txt\"]")
            .default("[]"),
        SchemaKey::new("pip-packages", KeyKind::Texts, "Python packages to install, into the base's `python3` unless `python-version` or `python-exec` say otherwise.").example("[\"numpy==2.3.*\"]")
            .runs()
            .default("[]"),
        SchemaKey::new("pip-index", KeyKind::Text, "Index that Python packages come from.").needs(&["pip-packages"]).example("\"https://pypi.org/simple\"").runs(),
        SchemaKey::new("pip-extra-index-url", KeyKind::Texts, "Further indexes of Python packages.").needs(&["pip-packages"]).example("[\"https://pypi.example.com/simple\"]").runs().default("[]"),
        SchemaKey::new("pip-extra-args", KeyKind::Text, "Further arguments of the Python installer.").needs(&["pip-packages"]).example("\"--no-deps\"").runs(),
        SchemaKey::new("pip-secret-mounts", KeyKind::TextMap, "Secret id → path at which the Python installer finds it.").needs(&["pip-packages"]).example("{ netrc = \"/run/netrc\" }").runs().default("{}"),
        SchemaKey::new("python-version", KeyKind::Text, "Python to install, in `/opt/union/python`.").example("\"3.13\"").runs(),
        SchemaKey::new("python-exec", KeyKind::Text, "Path of the base's own Python, to use instead of installing one.").needs(&["pip-packages"]).example("\"/usr/bin/python3\"").runs(),
        SchemaKey::new("conda-packages", KeyKind::Texts, "Conda packages to install, in `/opt/union/python`.").example("[\"gdal\"]").runs().default("[]"),
        SchemaKey::new("conda-channels", KeyKind::Texts, "Channels that Conda packages come from.").needs(&["conda-packages"]).example("[\"conda-forge\"]").runs().default("[]"),
        SchemaKey::new("cuda", KeyKind::Text, "CUDA version that the base must have; without a `base-image`, fitting ones of `nvidia/cuda` are proposed.").example("\"12.6\""),
        SchemaKey::new("cudnn", KeyKind::Text, "Version of cuDNN that the base must have, beside `cuda`.").example("\"9\"").needs(&["cuda"]),
        SchemaKey::new("dockerfile", KeyKind::Path, "A Dockerfile that builds the environment; the other steps follow it. Its directory is the build context.").example("\"Dockerfile\"")
            .runs(),
        SchemaKey::new("secrets", KeyKind::Entries(&SECRET), "Secrets that `commands` find in `/run/secrets/ID` while the environment is built; never kept.")
            .runs()
            .default("[]"),
        SchemaKey::new("build-ca", KeyKind::Path, "PEM file with authorities to trust while the environment is built; never kept.").example("\"ca.pem\"").runs(),
        SchemaKey::new("builder-options", KeyKind::Table(&BUILDER_OPTIONS), "Options of the docker builder.").runs(),
        SchemaKey::new("builder-config", KeyKind::Table(&BUILDER_CONFIG), "Images that the docker builder works with; locked by digest in Union.lock.")
            .runs(),
        SchemaKey::new("env", KeyKind::TextMap, "Environment variables of the image, which `commands` see too; `$NAME` and `${NAME}` stand for a variable of the base image or of an extended image, `$$` for a dollar.").example("{ RUST_LOG = \"info\" }").default("{}"),
        SchemaKey::new("entrypoint", KeyKind::Texts, "What runs the task's arguments; becomes the container's command.").example("[\"/usr/bin/env\"]"),
        SchemaKey::new("user", KeyKind::Text, "User that runs the program, `user[:group]`, names or numbers.").example("\"1000:1000\"")
            .computed("the base's; 65532 on `scratch`"),
        SchemaKey::new("workdir", KeyKind::Text, "Absolute working directory, in which `commands` run too.").example("\"/app\"").computed("the base's"),
        SchemaKey::new("labels", KeyKind::TextMap, "Labels of the image's config.").example("{ \"org.opencontainers.image.vendor\" = \"my-org\" }").default("{}"),
        SchemaKey::new("annotations", KeyKind::TextMap, "Annotations of the image's manifest.").example("{ \"org.opencontainers.image.vendor\" = \"my-org\" }").default("{}"),
        SchemaKey::new("ca-certificates", KeyKind::Path, "PEM bundle that the image trusts, instead of the compiled-in one on `scratch`.").example("\"ca.pem\""),
        SchemaKey::new("runtime-libs", KeyKind::Texts, "Shared libraries, by soname, that the node or the program itself brings.").example("[\"libcuda.so.1\"]").default("[]"),
        SchemaKey::new("compression", KeyKind::Word(&["gzip", "zstd"]), "How layers are compressed.").default("\"gzip\""),
        SchemaKey::new(
            "launcher",
            KeyKind::Bool,
            "Whether the program of a task is started by the launcher, which forwards signals, checks outputs and enforces timeouts.",
        )
        .default("true"),
        SchemaKey::new(
            "auditable",
            KeyKind::Bool,
            "Whether each binary holds the list of the crates in it, in the section `.dep-v0` that scanners read.",
        )
        .default("true"),
        SchemaKey::new("inputs", KeyKind::Texts, "Further files that feed the key, as globs relative to the manifest.").example("[\"schemas/*.json\"]").default("[]"),
        SchemaKey::new("exclude", KeyKind::Texts, "Files that do not feed the key, as globs relative to the manifest.").example("[\"notes/**\"]").default("[]"),
    ],
    aliases: &[
        ("packages", "pip-packages"),
        ("pip-extra-index-urls", "pip-extra-index-url"),
        ("source-root", "inputs"),
        ("source-copy-mode", "inputs"),
        ("base", "base-image"),
        ("image", "base-image"),
    ],
    refused: &[
        (
            "runtime-packages",
            "a Rust image has nothing to install at start; name Debian packages under `apt-packages`, Python ones under `pip-packages`",
        ),
        ("install-project", "the package itself is what the image is made for; its binaries are always in it"),
    ],
};

/// An entry of `copy` in its table form.
pub static COPY: SchemaLevel = SchemaLevel {
    path: "images.NAME.copy",
    doc: "One file or directory to copy.",
    keys: &[
        SchemaKey::new(
            "from",
            KeyKind::Path,
            "The file or directory, in the workspace or in the package. Files of a directory that `.dockerignore` names are left out; in the directory of the package or the workspace also those that `.gitignore` names. `.git`, Union.lock and what cargo makes are never copied.",
        ).example("\"conf/\""),
        SchemaKey::new("to", KeyKind::Text, "Destination, absolute or relative to the working directory; `/` at its end means into this directory.").example("\"/etc/app/\"").needs(&["from"])
            .computed("its place below the working directory"),
        SchemaKey::new("mode", KeyKind::Text, "Permission bits of the files, in octal, such as `\"0644\"`.").example("\"0644\"").needs(&["from"])
            .computed("0755 for executables, else 0644"),
        SchemaKey::new("owner", KeyKind::Text, "Owner of the copied files and of the directories that are created for them, who may write there: `user[:group]`, names of the base or numbers.").example("\"1000:1000\"").needs(&["from"])
            .computed("root"),
        SchemaKey::new("exclude", KeyKind::Texts, "Files of a directory to leave out, by the rules of `.dockerignore`, relative to it: `\"**/*.log\"`.").example("[\"**/*.log\"]").needs(&["from"])
            .default("[]"),
    ],
    aliases: &[
        ("source", "from"),
        ("src", "from"),
        ("destination", "to"),
        ("dest", "to"),
        ("dst", "to"),
        ("chmod", "mode"),
        ("chown", "owner"),
    ],
    refused: &[],
};

/// One entry of `secrets`.
pub static SECRET: SchemaLevel = SchemaLevel {
    path: "images.NAME.secrets",
    doc: "One secret of the build.",
    keys: &[
        SchemaKey::new("id", KeyKind::Text, "Its name in the build.").example("\"token\"").needs(&["env"]),
        SchemaKey::new(
            "env",
            KeyKind::Text,
            "The environment variable that holds it. The remote builder takes the backend's secret of that id instead; it allows neither `env` nor `file`.",
        ).example("\"TOKEN\"").needs(&["id"]),
        SchemaKey::new(
            "file",
            KeyKind::Path,
            "The file that holds it; instead of `env`.",
        ).example("\"token.txt\"").needs(&["id"]),
        SchemaKey::new(
            "required",
            KeyKind::Bool,
            "Whether the build stops without it.",
        ).needs(&["id", "env"])
        .default("true"),
    ],
    aliases: &[("key", "id"), ("as-env-var", "env")],
    refused: &[],
};

/// `images.NAME.builder-options`.
pub static BUILDER_OPTIONS: SchemaLevel = SchemaLevel {
    path: "images.NAME.builder-options",
    doc: "Options of the docker builder.",
    keys: &[
        SchemaKey::new(
            "network",
            KeyKind::Word(&["default", "host", "none"]),
            "Network of what runs while the environment is built.",
        )
        .example("\"host\"")
        .computed("the engine's usual one"),
        SchemaKey::new(
            "context",
            KeyKind::Path,
            "Build context of `dockerfile`, inside of the workspace.",
        )
        .example("\"docker\"")
        .computed("the Dockerfile's directory"),
        SchemaKey::new("target", KeyKind::Text, "Stage of `dockerfile` to build.")
            .example("\"runtime\"")
            .computed("the last"),
    ],
    aliases: &[],
    refused: &[],
};

/// `images.NAME.builder-config`.
pub static BUILDER_CONFIG: SchemaLevel = SchemaLevel {
    path: "images.NAME.builder-config",
    doc: "Images that the docker builder works with.",
    keys: &[
        SchemaKey::new(
            "uv-image",
            KeyKind::Text,
            "Image with `/uv`, which installs Python packages.",
        )
        .example("\"ghcr.io/astral-sh/uv:latest\"")
        .computed(UV),
        SchemaKey::new(
            "micromamba-image",
            KeyKind::Text,
            "Image with `/bin/micromamba`, which installs Python itself and Conda packages.",
        )
        .example("\"mambaorg/micromamba:latest\"")
        .computed(MICROMAMBA),
    ],
    aliases: &[("uv", "uv-image"), ("micromamba", "micromamba-image")],
    refused: &[],
};

const UV: &str = "`ghcr.io/astral-sh/uv:latest`";
const MICROMAMBA: &str = "`mambaorg/micromamba:latest`";

const BACKENDS: [&str; 3] = words(&BackendChoice::WORDS);
const BUILDERS: [&str; 4] = words(&BuilderChoice::WORDS);

const BASES: &str = "`gcr.io/distroless/cc-debian13` when nothing has to run in it, else `debian:trixie-slim`, as with the remote builder; none beside a `dockerfile`";

/// The words of a table of words and their values.
const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut position = 0;
    while position < N {
        words[position] = table[position].0;
        position += 1;
    }
    words
}
