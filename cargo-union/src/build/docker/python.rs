//! Dockerfile steps that install Python, Conda packages and Python packages.

use std::path::Path;

use union_build::spec;

use super::writer::{Writer, quoted};

/// The prefix of a Python that is installed by micromamba.
const PREFIX: &str = "/opt/union/python";

/// The executables of [`PREFIX`], including those of packages.
pub(super) const BINARIES: &str = "/opt/union/python/bin";

/// A requirements or lock file of Python in the build context.
pub(super) struct LockFile<'a> {
    pub(super) from: &'a Path,
    pub(super) path_in_context: String,
    /// The directory of the file while packages are installed.
    pub(super) mount_point: String,
}

/// The lock files of one spec, each with the project that it belongs to; `before` is the number of lock files of
/// earlier specs.
pub(super) fn files(
    spec: &spec::ImageSpec,
    before: usize,
) -> Vec<(LockFile<'_>, Option<std::path::PathBuf>)> {
    spec.python
        .requirements
        .iter()
        .enumerate()
        .map(|(position, file)| {
            let directory = format!("python/{}", before + position);
            let name = if is_uv_lock(&file.value) {
                "uv.lock"
            } else {
                "requirements.txt"
            };
            // uv requires the project of a lock file, too.
            let project =
                is_uv_lock(&file.value).then(|| file.value.with_file_name("pyproject.toml"));
            let path_in_context = format!("{directory}/{name}");
            (
                LockFile {
                    from: &file.value,
                    path_in_context,
                    mount_point: mount_point(position),
                },
                project,
            )
        })
        .collect()
}

fn mount_point(position: usize) -> String {
    format!("/run/union/python/{position}")
}

/// Writes the steps of one spec, and returns the number of lock files so far. `tool` returns the stage of a tool image.
pub(super) fn write(
    writer: &mut Writer,
    spec: &spec::ImageSpec,
    tool: impl Fn(&str) -> usize,
) -> usize {
    let python = &spec.python;
    // Lists all fields, so that a new key does not compile until it is decided how the engine applies it.
    let spec::Python {
        // Used by `uv`.
        packages: _,
        requirements,
        index: _,
        extra_index_url: _,
        extra_args: _,
        secret_mounts: _,
        exec: _,
        // Used by `micromamba`.
        version: _,
        conda_packages: _,
        conda_channels: _,
        used: _,
    } = python;
    let before = writer.files;
    if python.needs_micromamba() {
        micromamba(writer, python, tool(spec.builder_config.micromamba()));
    }
    if python.needs_uv() {
        uv(writer, python, tool(spec.builder_config.uv()), before);
    }
    before + requirements.len()
}

fn micromamba(writer: &mut Writer, python: &spec::Python, stage: usize) {
    let mount = format!(
        "type=bind,from=union-tool-{stage},source=/bin/micromamba,target=/run/union/micromamba"
    );
    let cache = "type=cache,target=/run/union/mamba".to_owned();
    let mut command = format!("/run/union/micromamba create --yes --prefix {PREFIX}");
    let channels = if python.conda_channels.is_empty() {
        vec!["conda-forge"]
    } else {
        texts(&python.conda_channels)
    };
    for channel in channels {
        command.push_str(&format!(" --channel {}", quoted(channel)));
    }
    if let Some(version) = &python.version {
        command.push_str(&format!(
            " {}",
            quoted(&format!("python={}", version.value))
        ));
    }
    for package in texts(&python.conda_packages) {
        command.push_str(&format!(" {}", quoted(package)));
    }
    writer.run(
        &[mount, cache],
        &[("MAMBA_ROOT_PREFIX", "/run/union/mamba")],
        &command,
    );
    writer.line(&format!("ENV PATH={BINARIES}:$PATH"));
}

fn uv(writer: &mut Writer, python: &spec::Python, stage: usize, before: usize) {
    let mut mounts = vec![
        format!("type=bind,from=union-tool-{stage},source=/uv,target=/run/union/uv"),
        "type=cache,target=/run/union/uv-cache".to_owned(),
    ];
    for (id, path) in &python.secret_mounts {
        mounts.push(format!(
            "type=secret,id={id},target={},required=true",
            path.value
        ));
    }
    let mut install = format!(
        "/run/union/uv pip install --system --break-system-packages --python {}",
        quoted(&interpreter(python))
    );
    if let Some(index) = &python.index {
        install.push_str(&format!(" --index-url {}", quoted(&index.value)));
    }
    for index in texts(&python.extra_index_url) {
        install.push_str(&format!(" --extra-index-url {}", quoted(index)));
    }
    if let Some(arguments) = &python.extra_args {
        install.push_str(&format!(" {}", arguments.value));
    }
    let mut exports = String::new();
    for (position, file) in python.requirements.iter().enumerate() {
        let directory = mount_point(position);
        mounts.push(format!(
            "type=bind,source=python/{},target={directory}",
            before + position
        ));
        if is_uv_lock(&file.value) {
            let list = format!("/tmp/union-requirements-{position}.txt");
            exports.push_str(&format!(
                "/run/union/uv export --quiet --frozen --no-dev --no-emit-project --project {directory} --output-file {list} && "
            ));
            install.push_str(&format!(" --requirements {list}"));
        } else {
            install.push_str(&format!(" --requirements {directory}/requirements.txt"));
        }
    }
    for package in texts(&python.packages) {
        install.push_str(&format!(" {}", quoted(package)));
    }
    let clean = if exports.is_empty() {
        ""
    } else {
        " && rm -f /tmp/union-requirements-*.txt"
    };
    let variables = [
        ("UV_CACHE_DIR", "/run/union/uv-cache"),
        ("UV_LINK_MODE", "copy"),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ];
    writer.run(&mounts, &variables, &format!("{exports}{install}{clean}"));
}

/// The interpreter that packages are installed for.
fn interpreter(python: &spec::Python) -> String {
    match &python.exec {
        Some(exec) => exec.value.clone(),
        None if python.needs_micromamba() => format!("{PREFIX}/bin/python"),
        None => "python3".to_owned(),
    }
}

fn is_uv_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "uv.lock")
}

fn texts(texts: &[spec::Sourced<String>]) -> Vec<&str> {
    texts.iter().map(|text| text.value.as_str()).collect()
}
