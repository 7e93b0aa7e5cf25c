//! Credentials and certificates that docker, podman and skopeo accept are accepted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use union_tests::Project;
use union_tests::registry::Registry;
use union_tests::tls::Authority;

const PASSWORD: &str = "correct-horse-battery";
/// `me:correct-horse-battery`, and an outdated login.
const GOOD: &str = "bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";
const STALE: &str = "bWU6aHVudGVyMjI=";

/// The location of a login, and the tools that find it there.
struct Row {
    what: &'static str,
    /// Path in the user's home and content; `HOST` is the registry.
    files: &'static [(&'static str, &'static str)],
    variables: &'static str,
    found_by: &'static [&'static str],
}

const ALL: &[&str] = &["docker", "podman", "skopeo"];
const CONTAINERS: &[&str] = &["podman", "skopeo"];
const DOCKER: &[&str] = &["docker"];
const CONFIG: &str = ".docker/config.json";
const AUTH: &str = r#"{"auths": {"HOST": {"auth": "GOOD"}}}"#;
const OLD_AUTH: &str = r#"{"auths": {"HOST": {"auth": "STALE"}}}"#;
const PODMANS: &str = ".config/containers/auth.json";
/// Podman's and skopeo's configuration of registries, the user's.
const CONF: &str = ".config/containers/registries.conf";

const ROWS: &[Row] = &[
    Row {
        what: "Docker's file",
        files: &[(CONFIG, AUTH)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "DOCKER_CONFIG",
        files: &[("d/config.json", AUTH)],
        variables: "DOCKER_CONFIG=$HOME/d",
        found_by: DOCKER,
    },
    Row {
        what: "a session's file",
        files: &[("run/containers/auth.json", AUTH)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "podman's file",
        files: &[(".config/containers/auth.json", AUTH)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "XDG_CONFIG_HOME",
        files: &[("c/containers/auth.json", AUTH)],
        variables: "XDG_CONFIG_HOME=$HOME/c",
        found_by: CONTAINERS,
    },
    Row {
        what: "REGISTRY_AUTH_FILE",
        files: &[("a.json", AUTH)],
        variables: "REGISTRY_AUTH_FILE=$HOME/a.json",
        found_by: CONTAINERS,
    },
    Row {
        what: "an old file",
        files: &[(".dockercfg", r#"{"HOST": {"auth": "GOOD"}}"#)],
        variables: "",
        found_by: CONTAINERS,
    },
    // Of Docker from 28.3 on.
    Row {
        what: "DOCKER_AUTH_CONFIG",
        files: &[("a.json", AUTH)],
        variables: "DOCKER_AUTH_CONFIG=\"$(cat $HOME/a.json)\"",
        found_by: &[],
    },
    Row {
        what: "an address of old",
        files: &[(
            CONFIG,
            r#"{"auths": {"https://HOST/v1/": {"auth": "GOOD"}}}"#,
        )],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "an address",
        files: &[(CONFIG, r#"{"auths": {"http://HOST": {"auth": "GOOD"}}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a path",
        files: &[(CONFIG, r#"{"auths": {"HOST/team": {"auth": "GOOD"}}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a longer path",
        files: &[(
            CONFIG,
            r#"{"auths": {"HOST/team/hello": {"auth": "GOOD"}, "HOST/team": {"auth": "STALE"}}}"#,
        )],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "another path",
        files: &[(CONFIG, r#"{"auths": {"HOST/other": {"auth": "GOOD"}}}"#)],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "line ends",
        files: &[(CONFIG, r#"{"auths": {"HOST": {"auth": "GOOD\n"}}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "keys in capitals",
        files: &[(CONFIG, r#"{"Auths": {"HOST": {"AUTH": "GOOD"}}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "more than one value",
        files: &[(CONFIG, r#"{"auths": {"HOST": {"auth": "GOOD"}}} x"#)],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "a password in the clear",
        files: &[(
            CONFIG,
            r#"{"auths": {"HOST": {"username": "me", "password": "correct-horse-battery"}}}"#,
        )],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "a helper of the host",
        files: &[(CONFIG, r#"{"credHelpers": {"HOST": "good"}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a helper of everything",
        files: &[(CONFIG, r#"{"credsStore": "good"}"#)],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "a helper before a login",
        files: &[(
            CONFIG,
            r#"{"auths": {"HOST": {"auth": "STALE"}, "HOST/team": {"auth": "STALE"}}, "credHelpers": {"HOST": "good"}}"#,
        )],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a talkative helper",
        files: &[(CONFIG, r#"{"credsStore": "talkative"}"#)],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "nothing in the first file",
        files: &[
            (CONFIG, AUTH),
            (
                ".config/containers/auth.json",
                r#"{"auths": {"HOST": {}}, "credHelpers": null}"#,
            ),
        ],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "null in the first file",
        files: &[
            (CONFIG, AUTH),
            (".config/containers/auth.json", r#"{"auths": null}"#),
        ],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a broken file that is not reached",
        files: &[(CONFIG, "{"), (".config/containers/auth.json", AUTH)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a broken file of another tool",
        files: &[(CONFIG, AUTH), (".config/containers/auth.json", "{")],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "an encrypted address",
        files: &[(CONFIG, r#"{"auths": {"https://HOST": {"auth": "GOOD"}}}"#)],
        variables: "",
        found_by: ALL,
    },
    Row {
        what: "a namespace in podman's file",
        files: &[(
            PODMANS,
            r#"{"auths": {"HOST/team": {"auth": "GOOD"}, "HOST": {"auth": "STALE"}}}"#,
        )],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a helper in podman's file",
        files: &[(PODMANS, r#"{"credHelpers": {"HOST": "good"}}"#)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a session's file before the user's",
        files: &[("run/containers/auth.json", AUTH), (PODMANS, OLD_AUTH)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "registries.conf",
        files: &[(CONF, r#"credential-helpers = ["good"]"#)],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "registries.conf.d",
        files: &[(
            ".config/containers/registries.conf.d/10-helpers.conf",
            r#"credential-helpers = ["good"]"#,
        )],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "CONTAINERS_REGISTRIES_CONF",
        files: &[("r.conf", r#"credential-helpers = ["good"]"#)],
        variables: "CONTAINERS_REGISTRIES_CONF=$HOME/r.conf",
        found_by: &["podman"],
    },
    Row {
        what: "a listed helper before the files",
        files: &[
            (
                CONF,
                r#"credential-helpers = ["good", "containers-auth.json"]"#,
            ),
            (PODMANS, OLD_AUTH),
            (CONFIG, OLD_AUTH),
        ],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a listed helper in place of the files",
        files: &[
            (CONF, r#"credential-helpers = ["good"]"#),
            (PODMANS, OLD_AUTH),
        ],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "the files before a listed helper",
        files: &[
            (
                CONF,
                r#"credential-helpers = ["containers-auth.json", "old"]"#,
            ),
            (PODMANS, AUTH),
        ],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a listed helper that is missing before the files",
        files: &[
            (
                CONF,
                r#"credential-helpers = ["absent", "containers-auth.json"]"#,
            ),
            (PODMANS, AUTH),
        ],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "a list that a later file empties",
        files: &[
            (CONF, r#"credential-helpers = ["old"]"#),
            (
                ".config/containers/registries.conf.d/20-none.conf",
                "credential-helpers = []",
            ),
            (PODMANS, AUTH),
        ],
        variables: "",
        found_by: CONTAINERS,
    },
    Row {
        what: "Docker's file beside a list without files",
        files: &[(CONF, r#"credential-helpers = ["empty"]"#), (CONFIG, AUTH)],
        variables: "",
        found_by: DOCKER,
    },
    Row {
        what: "a broken registries.conf",
        files: &[(CONF, "[["), (CONFIG, AUTH)],
        variables: "",
        found_by: DOCKER,
    },
];

/// A project whose image goes to `HOST/team/hello`.
fn project(host: &str) -> Project {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked();
    let run = project.home().join("run").display().to_string();
    fs::create_dir_all(&run).unwrap();
    project
        .env("UNION_REGISTRY", format!("{host}/team"))
        .env("XDG_RUNTIME_DIR", run)
}

fn write(project: &Project, path: &str, text: &str, mode: u32) {
    let path = project.home().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Pushes an image to `HOST/team/hello:v1`.
fn push(project: &Project, host: &str) {
    let push = "umoci init --layout $HOME/l && umoci new --image $HOME/l:v1 && skopeo copy --dest-creds me:correct-horse-battery \
                --dest-tls-verify=false oci:$HOME/l:v1 docker://HOST/team/hello:v1";
    project.shell(&push.replace("HOST", host)).succeeds();
}

fn removed(path: &Path) {
    let _ = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

/// The command of a tool that reads from the registry; `TLS` is replaced by its option for verification.
fn command(tool: &str, host: &str) -> String {
    match tool {
        "docker" => format!("docker manifest inspect --insecure {host}/team/hello:v1"),
        "podman" => format!(
            "podman --root $HOME/storage --runroot $HOME/run/storage --storage-driver vfs search --list-tags --tls-verify=false {host}/team/hello"
        ),
        "skopeo" => format!("skopeo inspect --tls-verify=false docker://{host}/team/hello:v1"),
        _ => "cargo-union plan".to_owned(),
    }
}

/// Whether a line of shell succeeds, and its output.
fn accepts(project: &Project, variables: &str, line: &str) -> (bool, String) {
    let outcome = project.shell(&format!(
        "export PATH=$HOME/bin:$PATH {variables}; {line} && echo accepted"
    ));
    (
        outcome.stdout().ends_with("accepted\n"),
        format!("{}{}", outcome.stdout(), outcome.stderr()),
    )
}

#[test]
fn login_lookup_equals_docker_podman_and_skopeo() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let host = registry.host();
    let project = project(host);
    push(&project, host);
    let answer = format!(r#"echo '{{"Username":"me","Secret":"{PASSWORD}"}}'"#);
    write(
        &project,
        "bin/docker-credential-good",
        &format!("#!/bin/sh\n{answer}\n"),
        0o755,
    );
    let talkative = answer.replace("Username", "username");
    write(
        &project,
        "bin/docker-credential-talkative",
        &format!("#!/bin/sh\necho an update is available >&2\n{talkative}\necho bye\n"),
        0o755,
    );
    let old = answer.replace(PASSWORD, "hunter2");
    write(
        &project,
        "bin/docker-credential-old",
        &format!("#!/bin/sh\n{old}\n"),
        0o755,
    );
    let empty = "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n";
    write(&project, "bin/docker-credential-empty", empty, 0o755);
    for row in ROWS {
        for (path, text) in row.files {
            write(
                &project,
                path,
                &text
                    .replace("HOST", host)
                    .replace("GOOD", GOOD)
                    .replace("STALE", STALE),
                0o600,
            );
        }
        let found_by: Vec<&str> = ALL
            .iter()
            .copied()
            .filter(|tool| accepts(&project, row.variables, &command(tool, host)).0)
            .collect();
        for tool in row.found_by {
            assert!(
                found_by.contains(tool),
                "{}: {tool} should find it, and only {found_by:?} do",
                row.what
            );
        }
        let (ours, printed) = accepts(&project, row.variables, &command("cargo union", host));
        assert!(
            ours,
            "{}: found by {found_by:?} and not by us:\n{printed}",
            row.what
        );
        assert!(
            !printed.contains(PASSWORD) && !printed.contains(GOOD),
            "{}: {printed}",
            row.what
        );
        row.files
            .iter()
            .for_each(|(path, _)| removed(&project.home().join(path)));
        let (without, printed) = accepts(&project, "", &command("cargo union", host));
        assert!(
            !without && printed.contains("U0402"),
            "{}: {printed}",
            row.what
        );
    }
}

#[test]
fn system_credential_helpers_are_used_as_by_skopeo() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(registry.host());
    let answer = format!(r#"echo '{{"Username":"me","Secret":"{PASSWORD}"}}'"#);
    write(
        &project,
        "bin/docker-credential-good",
        &format!("#!/bin/sh\n{answer}\n"),
        0o755,
    );
    push(&project, registry.host());
    // The system's directory is mounted only for one command.
    let accepts = |tool: &str| {
        let mount = "mount -t overlay overlay -o lowerdir=$HOME/etc:/etc /etc";
        let line = command(tool, registry.host());
        accepts(
            &project,
            "",
            &format!("unshare --map-root-user --mount sh -ec '{mount}; {line}'"),
        )
    };
    for (path, other) in [
        ("registries.conf", "unqualified-search-registries = []"),
        ("registries.conf.d/50.conf", ""),
    ] {
        let path = format!("etc/containers/{path}");
        for (text, is_found) in [(r#"credential-helpers = ["good"]"#, true), (other, false)] {
            write(&project, &path, text, 0o644);
            for tool in ["skopeo", "cargo union"] {
                let (accepted, printed) = accepts(tool);
                assert_eq!(accepted, is_found, "{tool}, {path}, {text}: {printed}");
            }
        }
    }
    // The user's file replaces all of them.
    write(
        &project,
        "etc/containers/registries.conf.d/50.conf",
        r#"credential-helpers = ["good"]"#,
        0o644,
    );
    write(&project, CONF, "", 0o644);
    for tool in ["skopeo", "cargo union"] {
        let (accepted, printed) = accepts(tool);
        assert!(!accepted, "{tool}: {printed}");
    }
}

#[test]
fn client_certificate_is_used_as_by_skopeo() {
    let authority = Authority::named("Clients");
    let registry = Registry::mutual_tls(&authority);
    let project = project(registry.host());
    let directory = format!(".config/containers/certs.d/{}", registry.host());
    let (certificate, key) = authority.client();
    write(
        &project,
        &format!("{directory}/ca.crt"),
        &fs::read_to_string(authority.certificate()).unwrap(),
        0o644,
    );
    let lines = [
        format!("skopeo list-tags docker://{}/team/hello", registry.host()),
        "cargo-union plan".to_owned(),
    ];
    for line in &lines {
        let (accepted, printed) = accepts(&project, "", line);
        assert!(
            !accepted && printed.contains("certificate"),
            "{line}: {printed}"
        );
    }
    write(
        &project,
        &format!("{directory}/client.cert"),
        &certificate,
        0o644,
    );
    for line in &lines {
        let (accepted, printed) = accepts(&project, "", line);
        assert!(
            !accepted && printed.contains("client.key"),
            "{line}: {printed}"
        );
    }
    write(&project, &format!("{directory}/client.key"), &key, 0o600);
    project.run(["build"]).succeeds();
    for line in &lines {
        let (accepted, printed) = accepts(&project, "", line);
        assert!(accepted, "{line}: {printed}");
    }
    // The same in the system's directories, which are mounted only for one command.
    for machine in ["docker", "containers"] {
        let certs = project.home().join("etc").join(machine).join("certs.d");
        fs::create_dir_all(&certs).unwrap();
        fs::rename(project.home().join(&directory), certs.join(registry.host())).unwrap();
        let lines = lines.iter().map(|line| {
            let mount = "mount -t overlay overlay -o lowerdir=$HOME/etc:/etc /etc";
            (
                line,
                format!("unshare --map-root-user --mount sh -ec '{mount}; {line}'"),
            )
        });
        for (line, in_its_own_etc) in lines {
            let (accepted, printed) = accepts(&project, "", line);
            assert!(!accepted, "{line}: {printed}");
            let (accepted, printed) = accepts(&project, "", &in_its_own_etc);
            assert!(accepted, "{machine}: {line}: {printed}");
        }
        fs::rename(certs.join(registry.host()), project.home().join(&directory)).unwrap();
    }
}
