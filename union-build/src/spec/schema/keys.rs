//! The tables of the manifest.

use super::{Key, Kind, Level};

mod task;

pub use task::{CACHE, RETRIES, TASK, TASK_SECRET, TRIGGER};

/// `[package.metadata.union]`, and `[workspace.metadata.union]` for its defaults.
pub static UNION: Level = Level {
    path: "",
    doc: "What a package declares; the same table under `workspace.metadata` gives defaults to all packages that have one.",
    keys: &[
        Key::new("project", Kind::Text, "Flyte project that tasks are registered in.")
            .env("UNION_PROJECT")
            .flag("--project")
            .computed("the backend's configuration"),
        Key::new("domain", Kind::Text, "Flyte domain that tasks are registered in.")
            .env("UNION_DOMAIN")
            .flag("--domain")
            .computed("the backend's configuration"),
        Key::new("registry", Kind::Text, "Where images are pushed, `host[:port][/path]`.")
            .env("UNION_REGISTRY")
            .flag("--registry")
            .computed("none: images go into an OCI layout under `target/union`"),
        Key::new("builder", Kind::Word(BUILDERS), "Who makes environments; `auto` is native when nothing has to run in them, else docker.")
            .env("UNION_BUILDER")
            .flag("--builder")
            .default("\"auto\""),
        Key::new("registry-config", Kind::Path, "Another Docker `config.json` to read credentials from.")
            .env("UNION_REGISTRY_CONFIG")
            .flag("--registry-config"),
        Key::new("insecure-registries", Kind::Texts, "Hosts, `host[:port]`, that may be spoken to over plain HTTP; loopback always may.")
            .default("[]"),
        Key::new("mirrors", Kind::TextMap, "Registry host → `host[:port][/path]` that base images are read from instead.").default("{}"),
        Key::new("build", Kind::Table(&BUILD), "How the crate is compiled."),
        Key::new("images", Kind::Tables(&IMAGE), "Image specs by name.").computed("one image, `default`"),
        Key::new("tasks", Kind::Tables(&TASK), "Tasks by name.").computed("one task: `default-run` or the sole binary"),
    ],
    aliases: &[],
    refused: &[],
};

/// `build`, of the package and of an image.
pub static BUILD: Level = Level {
    path: "build",
    doc: "How the crate is compiled; `[images.NAME.build]` has the same keys and wins for its image.",
    keys: &[
        Key::new("profile", Kind::Text, "Cargo profile.").flag("--profile").default("\"release\""),
        Key::new("features", Kind::Texts, "Cargo features of the package.").flag("--features").default("[]"),
        Key::new("default-features", Kind::Bool, "Whether the default features are on.").flag("--no-default-features").default("true"),
        Key::new(
            "link",
            Kind::Word(&["auto", "static", "dynamic"]),
            "How binaries are linked; `auto` is static on `scratch`, else dynamic.",
        )
        .default("\"auto\""),
        Key::new(
            "compile",
            Kind::Word(&["auto", "host", "zig", "container"]),
            "Where the crate is compiled; `auto` is the host when it can.",
        )
        .default("\"auto\""),
        Key::new("rust-image", Kind::Text, "Image with a toolchain, for `compile = \"container\"`.")
            .computed("one of the environment's own release"),
        Key::new("apt-packages", Kind::Texts, "Debian packages that a container compile needs.").default("[]"),
        Key::new("env", Kind::TextMap, "Environment variables of the compile; part of the image's key.").default("{}"),
    ],
    aliases: &[],
    refused: &[],
};

/// `images.NAME`.
pub static IMAGE: Level = Level {
    path: "images.NAME",
    doc: "One image spec: an environment, and on top of it the binaries of the tasks that name it.",
    keys: &[
        Key::new("name", Kind::Text, "Name of the repository below the registry.")
            .computed("the package's name, with `-` and the image's name unless that is `default`"),
        Key::new("registry", Kind::Text, "Where this image is pushed.").computed("the package's `registry`"),
        Key::new("tag-format", Kind::Text, "The tag; `{spec-hash}` stands for the content key.").default("\"{spec-hash}\""),
        Key::new("builder", Kind::Word(BUILDERS), "Who makes this environment.").computed("the package's `builder`"),
        Key::new(
            "base-image",
            Kind::Text,
            "The image that the environment starts from, or `scratch` for nothing; locked by digest in Union.lock.",
        )
        .computed(BASES),
        Key::new("extends", Kind::Text, "Another image spec whose environment this one starts from, instead of `base-image`."),
        Key::new("platforms", Kind::Texts, "Platforms; several make an index.").default("[\"linux/amd64\"]"),
        Key::new("build", Kind::Table(&BUILD), "How the crate is compiled for this image.").computed("the package's `build`"),
        Key::new("apt-packages", Kind::Texts, "Debian packages to install.").runs().default("[]"),
        Key::new("commands", Kind::Texts, "Shell commands to run, as root, after everything else.").runs().default("[]"),
        Key::new("copy", Kind::PathsOrEntries(&COPY), "Files and directories to copy; a plain path keeps its place below the working directory.")
            .default("[]"),
        Key::new("requirements", Kind::Paths, "Lock files that pin dependencies: `Cargo.lock`; `requirements*.txt` and `uv.lock`, which need the docker or the remote builder.")
            .default("[]"),
        Key::new("pip-packages", Kind::Texts, "Python packages to install, into the base's `python3` unless `python-version` or `python-exec` say otherwise.")
            .runs()
            .default("[]"),
        Key::new("pip-index", Kind::Text, "Index that Python packages come from.").runs(),
        Key::new("pip-extra-index-url", Kind::Texts, "Further indexes of Python packages.").runs().default("[]"),
        Key::new("pip-extra-args", Kind::Text, "Further arguments of the Python installer.").runs(),
        Key::new("pip-secret-mounts", Kind::TextMap, "Secret id → path at which the Python installer finds it.").runs().default("{}"),
        Key::new("python-version", Kind::Text, "Python to install, in `/opt/union/python`.").runs(),
        Key::new("python-exec", Kind::Text, "Path of the base's own Python, to use instead of installing one.").runs(),
        Key::new("conda-packages", Kind::Texts, "Conda packages to install, in `/opt/union/python`.").runs().default("[]"),
        Key::new("conda-channels", Kind::Texts, "Channels that Conda packages come from.").runs().default("[]"),
        Key::new("cuda", Kind::Text, "CUDA version that the base must have; without a `base-image`, fitting ones of `nvidia/cuda` are proposed."),
        Key::new("cudnn", Kind::Text, "Version of cuDNN that the base must have, beside `cuda`."),
        Key::new("dockerfile", Kind::Path, "A Dockerfile that makes the environment, upon which the other steps go. Its folder is its build context.")
            .runs(),
        Key::new("secrets", Kind::Entries(&SECRET), "Secrets that `commands` find in `/run/secrets/ID` while the environment is built; never kept.")
            .runs()
            .default("[]"),
        Key::new("build-ca", Kind::Path, "PEM file with authorities to trust while the environment is built; never kept.").runs(),
        Key::new("builder-options", Kind::Table(&BUILDER_OPTIONS), "Options of the docker builder.").runs(),
        Key::new("builder-config", Kind::Table(&BUILDER_CONFIG), "Images that the docker builder works with; locked by digest in Union.lock.")
            .runs(),
        Key::new("env", Kind::TextMap, "Environment variables of the image, which `commands` see too; `$NAME` and `${NAME}` stand for a variable of the base image or of an extended image, `$$` for a dollar.").default("{}"),
        Key::new("entrypoint", Kind::Texts, "What runs the task's arguments; becomes the container's command."),
        Key::new("user", Kind::Text, "User that runs the program, `user[:group]`, names or numbers.")
            .computed("the base's; 65532 on `scratch`"),
        Key::new("workdir", Kind::Text, "Absolute working directory, in which `commands` run too.").computed("the base's"),
        Key::new("labels", Kind::TextMap, "Labels of the image's config.").default("{}"),
        Key::new("annotations", Kind::TextMap, "Annotations of the image's manifest.").default("{}"),
        Key::new("ca-certificates", Kind::Path, "PEM bundle that the image trusts, instead of the compiled-in one on `scratch`."),
        Key::new("runtime-libs", Kind::Texts, "Shared libraries, by soname, that the node or the program itself brings.").default("[]"),
        Key::new("compression", Kind::Word(&["gzip", "zstd"]), "How layers are compressed.").default("\"gzip\""),
        Key::new("inputs", Kind::Texts, "Further files that feed the key, as globs relative to the manifest.").default("[]"),
        Key::new("exclude", Kind::Texts, "Files that do not feed the key, as globs relative to the manifest.").default("[]"),
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

/// One entry of `copy` that is a table.
pub static COPY: Level = Level {
    path: "images.NAME.copy",
    doc: "One file or folder to copy.",
    keys: &[
        Key::new(
            "from",
            Kind::Path,
            "The file or folder, in the workspace or in the package. Of a folder, what `.dockerignore` names is left out; of the package's or the workspace's own also what `.gitignore` names. `.git`, Union.lock and what cargo makes are never copied.",
        ),
        Key::new("to", Kind::Text, "Destination, absolute or relative to the working directory; `/` at its end means into this directory.")
            .computed("its place below the working directory"),
        Key::new("mode", Kind::Text, "Permission bits of the files, in octal, such as `\"0644\"`.")
            .computed("0755 for executables, else 0644"),
        Key::new("owner", Kind::Text, "Who owns what is copied and the folders that are made for it, and so may write there: `user[:group]`, names of the base or numbers.")
            .computed("root"),
        Key::new("exclude", Kind::Texts, "What of a folder is left out, by the rules of `.dockerignore`, relative to it: `\"**/*.log\"`.")
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
pub static SECRET: Level = Level {
    path: "images.NAME.secrets",
    doc: "One secret of the build.",
    keys: &[
        Key::new("id", Kind::Text, "Its name in the build."),
        Key::new(
            "env",
            Kind::Text,
            "The environment variable that holds it. The remote builder takes the backend's secret of that id instead, and wants neither `env` nor `file`.",
        ),
        Key::new("file", Kind::Path, "The file that holds it; instead of `env`."),
        Key::new("required", Kind::Bool, "Whether the build stops without it.").default("true"),
    ],
    aliases: &[("key", "id"), ("as-env-var", "env")],
    refused: &[],
};

/// `images.NAME.builder-options`.
pub static BUILDER_OPTIONS: Level = Level {
    path: "images.NAME.builder-options",
    doc: "Options of the docker builder.",
    keys: &[
        Key::new("network", Kind::Word(&["default", "host", "none"]), "Network of what runs while the environment is built.")
            .computed("the engine's usual one"),
        Key::new("context", Kind::Path, "Build context of `dockerfile`, inside of the workspace.").computed("the Dockerfile's folder"),
        Key::new("target", Kind::Text, "Stage of `dockerfile` to build.").computed("the last"),
    ],
    aliases: &[],
    refused: &[],
};

/// `images.NAME.builder-config`.
pub static BUILDER_CONFIG: Level = Level {
    path: "images.NAME.builder-config",
    doc: "Images that the docker builder works with.",
    keys: &[
        Key::new("uv-image", Kind::Text, "Image with `/uv`, which installs Python packages.").computed(UV),
        Key::new("micromamba-image", Kind::Text, "Image with `/bin/micromamba`, which installs Python itself and Conda packages.")
            .computed(MICROMAMBA),
    ],
    aliases: &[("uv", "uv-image"), ("micromamba", "micromamba-image")],
    refused: &[],
};

const UV: &str = "`ghcr.io/astral-sh/uv:latest`";
const MICROMAMBA: &str = "`mambaorg/micromamba:latest`";

const BUILDERS: &[&str] = &["auto", "native", "docker", "remote"];

const BASES: &str = "`gcr.io/distroless/cc-debian13` when nothing has to run in it, else `debian:trixie-slim`, as with the remote builder; none beside a `dockerfile`";
