//! Packages of apt, pip and conda.

use super::*;

#[test]
fn apt_version_patterns_are_quoted_for_the_shell() {
    let text = written(
        &spec("apt-packages = ['libpq5=17.*', 'curl/trixie-backports', 'a=1?']"),
        Vec::new(),
        false,
        None,
    );
    assert!(
        text.contains("--no-install-recommends 'libpq5=17.*' curl/trixie-backports 'a=1?'\"]"),
        "{text}"
    );
}

#[test]
fn apt_uses_tmpfs_without_locked_cache_mounts() {
    let spec = spec("apt-packages = ['a']");
    let context = DockerfileContext {
        steps: &[Step {
            spec: &spec,
            copies: Vec::new(),
            variables: Variables::new(),
        }],
        from: "base:1",
        user: None,
        tools: &BTreeMap::new(),
        authority: false,
        caches: CacheMounts::None,
    };
    let text = write(&context).text;
    assert!(
        text.contains("--mount=type=tmpfs,target=/run/union/lists") && !text.contains("type=cache"),
        "{text}"
    );
}

#[test]
fn python_packages_are_installed_by_uv_into_the_selected_interpreter() {
    let index = "pip-packages = ['numpy>=2', \"it's\"]\npip-index = 'https://index/simple'\npip-extra-index-url = ['https://more/simple']\npip-extra-args = '--no-deps'";
    let text = written(&spec(index), Vec::new(), false, None);
    assert!(
        text.starts_with("FROM tool/27 AS union-tool-0\nFROM base:1\n"),
        "{text}"
    );
    let command = r#""/run/union/uv pip install --system --break-system-packages --python python3 --index-url https://index/simple --extra-index-url https://more/simple --no-deps 'numpy>=2' 'it'\\''s'"]"#;
    assert!(text.trim_end().ends_with(command), "{text}");
    let own = written(
        &spec("pip-packages = ['a']\npython-exec = '/opt/p/bin/python'"),
        Vec::new(),
        false,
        None,
    );
    assert!(own.contains("--python /opt/p/bin/python a"), "{own}");
}

#[test]
fn python_version_and_conda_packages_are_installed_by_micromamba_on_the_path() {
    let text = written(
        &spec("python-version = '3.12'\nconda-packages = ['gdal']\npip-packages = ['a']"),
        Vec::new(),
        false,
        None,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[3].contains("source=/bin/micromamba,target=/run/union/micromamba"),
        "{text}"
    );
    assert!(
        lines[3].ends_with(r#""/run/union/micromamba create --yes --prefix /opt/union/python --channel conda-forge python=3.12 gdal"]"#),
        "{text}"
    );
    assert_eq!(lines[4], "ENV PATH=/opt/union/python/bin:$PATH");
    assert!(
        lines[5].contains("--python /opt/union/python/bin/python a"),
        "{text}"
    );
}

#[test]
fn lock_files_are_bound_from_the_context() {
    let mut spec = spec("pip-packages = ['a']");
    spec.python.requirements = vec![
        placed(PathBuf::from("/ws/requirements-prod.txt")),
        placed(PathBuf::from("/ws/py/uv.lock")),
    ];
    let text = written(&spec, Vec::new(), false, None);
    for part in [
        "--mount=type=bind,source=python/0,target=/run/union/python/0",
        "--mount=type=bind,source=python/1,target=/run/union/python/1",
        "/run/union/uv export --quiet --frozen --no-dev --no-emit-project --project /run/union/python/1 --output-file /tmp/union-requirements-1.txt && ",
        "--requirements /run/union/python/0/requirements.txt --requirements /tmp/union-requirements-1.txt a && rm -f /tmp/union-requirements-*.txt",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let paths: Vec<String> = python::files(&spec, 3)
        .into_iter()
        .map(|(file, _)| file.path_in_context)
        .collect();
    assert_eq!(paths, ["python/3/requirements.txt", "python/4/uv.lock"]);
}

#[test]
fn apt_conf_has_the_ca_certificate_only_when_one_is_set() {
    assert!(apt_conf(true).contains("Acquire::https::CAInfo \"/run/union/ca.crt\""));
    assert!(!apt_conf(false).contains("CAInfo"));
}
