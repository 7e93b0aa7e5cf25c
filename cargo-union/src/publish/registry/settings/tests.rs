use super::*;

fn shown(options: &RegistryOptions, named: Option<&Path>) -> Vec<String> {
    let Keychain {
        explicit, files, ..
    } = options.sources(named);
    explicit
        .iter()
        .chain(&files)
        .map(|source| source.to_string().replace('`', ""))
        .collect()
}

#[test]
fn certificates_are_looked_for_where_podman_and_docker_keep_them() {
    let expected = [
        "/home/u/.config/containers/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        "/home/u/.config/docker/certs.d",
    ];
    assert_eq!(
        certs(Some(Path::new("/home/u"))),
        expected.map(PathBuf::from)
    );
    assert_eq!(
        certs(None),
        expected[1..3].iter().map(PathBuf::from).collect::<Vec<_>>()
    );
}

#[test]
fn logins_are_looked_for_where_docker_and_podman_keep_them() {
    let options = RegistryOptions {
        home: Some("/home/u".into()),
        registry_auth_file: Some("/auth.json".into()),
        podman_session: Some("/run/u/containers/auth.json".into()),
        docker_auth_config: Some(Secret::new("{}".to_owned())),
        ..RegistryOptions::default()
    };
    let expected = [
        "/other.json",
        "the variable DOCKER_AUTH_CONFIG",
        "/auth.json",
        "/run/u/containers/auth.json",
        "/home/u/.config/containers/auth.json",
        "/home/u/.docker/config.json",
        "/home/u/.dockercfg",
    ];
    assert_eq!(shown(&options, Some(Path::new("/other.json"))), expected);
    let moved = RegistryOptions {
        docker_config: Some("/docker".into()),
        xdg_config: Some("/config".into()),
        ..options
    };
    assert_eq!(
        shown(&moved, None)[3..5],
        ["/config/containers/auth.json", "/docker/config.json"]
    );
    assert_eq!(shown(&moved.without_logins(), None), [""; 0]);
}
