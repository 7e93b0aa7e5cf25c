#![allow(clippy::unwrap_used)]

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn addresses(variables: &[(&str, &str)]) -> Vec<String> {
    candidates(&environment(variables))
        .into_iter()
        .map(|candidate| candidate.address)
        .collect()
}

fn words(address: &str) -> Result<String, String> {
    match endpoint(address, None, &environment(&[])) {
        Ok(EngineEndpoint::Program { words, .. }) => Ok(words.join(" ")),
        Ok(other) => panic!("{address} is not a program: {other:?}"),
        Err(reason) => Err(reason),
    }
}

#[test]
fn docker_host_is_the_only_candidate() {
    assert_eq!(
        addresses(&[
            ("DOCKER_HOST", "tcp://127.0.0.1:2375"),
            ("HOME", "/home/me")
        ]),
        ["tcp://127.0.0.1:2375"]
    );
}

#[test]
fn default_sockets_of_docker_come_before_podman() {
    assert_eq!(
        addresses(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("HOME", "/home/me")]),
        [
            "unix:///var/run/docker.sock",
            "unix:///run/user/7/docker.sock",
            "unix:///home/me/.docker/run/docker.sock",
            "unix:///run/user/7/podman/podman.sock",
            "unix:///run/podman/podman.sock",
        ]
    );
}

#[test]
fn context_is_the_only_candidate_and_variables_override_the_config() {
    let directory = tempfile::tempdir().unwrap();
    let docker = directory.path().to_str().unwrap();
    for (name, host) in [("work", "tcp://work:2375"), ("home", "unix:///home.sock")] {
        let meta = directory
            .path()
            .join("contexts/meta")
            .join(hex(&Sha256::digest(name)));
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        std::fs::write(meta.join("meta.json"), text).unwrap();
    }
    std::fs::write(
        directory.path().join("config.json"),
        r#"{"auths":{},"currentContext":"work"}"#,
    )
    .unwrap();
    assert_eq!(addresses(&[("DOCKER_CONFIG", docker)]), ["tcp://work:2375"]);
    assert_eq!(
        addresses(&[("DOCKER_CONFIG", docker), ("DOCKER_CONTEXT", "home")]),
        ["unix:///home.sock"]
    );
    assert_eq!(
        addresses(&[("DOCKER_CONFIG", docker), ("DOCKER_HOST", "unix:///a")]),
        ["unix:///a"]
    );
    assert_eq!(
        addresses(&[("DOCKER_CONFIG", docker), ("DOCKER_CONTEXT", "default")]).len(),
        2
    );
    let gone = candidates(&environment(&[
        ("DOCKER_CONFIG", docker),
        ("DOCKER_CONTEXT", "gone"),
    ]));
    assert!(
        gone[0].endpoint.as_ref().unwrap_err().contains("meta.json"),
        "{gone:?}"
    );
}

#[test]
fn ssh_command_runs_dial_stdio_on_the_host() {
    assert_eq!(
        words("ssh://host").unwrap(),
        "ssh -o ConnectTimeout=20 -T -- host docker system dial-stdio"
    );
    assert_eq!(
        words("ssh://me@host:22/run/a.sock").unwrap(),
        "ssh -o ConnectTimeout=20 -T -l me -p 22 -- host docker --host unix:///run/a.sock system dial-stdio"
    );
    for invalid in [
        "ssh://-oProxyCommand=x",
        "ssh://me:secret@host",
        "ssh://",
        "ssh://a b",
    ] {
        assert!(words(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn default_port_is_added_only_when_missing() {
    for (address, expected) in [
        ("host", "host:2375"),
        ("host:1/", "host:1"),
        ("[::1]", "[::1]:2375"),
        ("[::1]:7", "[::1]:7"),
    ] {
        assert_eq!(with_port(address, 2375), expected);
    }
}
