//! Commands, copies and their order.

use std::os::unix::fs::PermissionsExt as _;

use union_tests::engine::{Engine, Podman};

use crate::setup::{Setup, shell};

#[test]
fn commands_run_as_root_after_copies_and_base_user_is_restored() {
    let setup = Setup::new();
    let below = setup.project_of(&format!(
        "[package.metadata.union.images.default]\nbase-image = {:?}\ncopy = [{{ from = \"conf\", to = \"/etc/app\" }}]\n\
         commands = [\"id -u >/etc/app/uid\", \"cat /etc/app/conf >/etc/app/seen\"]\nuser = \"1000:1000\"\nenv = {{ NAME = \"value\" }}\n",
        setup.debian()
    ));
    let project = below.file("conf/conf", "content");
    let built = project.run(["build"]).succeeds();
    assert_eq!(
        shell(&built, "cat /etc/app/uid /etc/app/seen; id -u; echo $NAME"),
        "0\ncontent1000\nvalue"
    );
    // An image on it has the user of its base, and its commands still run as root.
    let base = built.stdout().trim().split('@').next().unwrap().to_owned();
    let tag = setup
        .tags("team/hello")
        .into_iter()
        .find(|tag| !tag.starts_with("env-"))
        .unwrap();
    let upon = setup.project_of(&format!(
        "[package.metadata.union.images.default]\nname = \"upon\"\nbase-image = \"{base}:{tag}\"\ncommands = [\"id -u >/uid\"]\n"
    ));
    let built = upon.run(["build"]).succeeds();
    assert_eq!(shell(&built, "cat /uid; id -u"), "0\n1000");
}

#[test]
fn special_characters_of_the_manifest_are_literal() {
    let setup = Setup::new();
    let name = r#"a b'"$HOME\n`x"#;
    let commands = [
        "printf '%s' \"$(ls /etc/na*/)\" >/seen",
        "cat <<EOF >/here\nRUN x\nEOF",
        "-x # \\",
    ];
    let commands: Vec<String> = commands.iter().map(|command| toml(command)).collect();
    let copy = format!(
        "copy = [{{ from = \"file\", to = {} }}]",
        toml(&format!("/etc/na sty/{name}"))
    );
    let project = setup
        .project(&format!("commands = [{}]\n{copy}", commands.join(", ")))
        .file("file", "content");
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("exit code: 127")
        .stderr_has("-x: not found");
    project.edit("Cargo.toml", &format!(", {}", commands[2]), "");
    let built = project.run(["build"]).succeeds();
    assert_eq!(shell(&built, "cat /seen"), name);
    assert_eq!(shell(&built, "cat /etc/na*/*; cat /here"), "contentRUN x");
}

/// A text as TOML.
fn toml(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

#[test]
fn failed_command_shows_exit_code_and_last_lines() {
    let setup = Setup::new();
    let project =
        setup.project("commands = [\"for i in $(seq 30); do echo line $i; done; exit 7\"]");
    let outcome = project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("exit code: 7");
    outcome
        .stderr_has("\n  line 30\n")
        .stderr_has("\n  line 11\n")
        .stderr_lacks("line 10\n");
    assert_eq!(setup.tags("team/hello"), [""; 0]);
}

#[test]
fn failed_step_is_shown_unchanged_with_either_engine() {
    let setup = Setup::new();
    let podman = Podman::start();
    let long = format!(
        "echo {} >/dev/null; echo \\\"last words\\\"; exit 7",
        "long ".repeat(40)
    );
    for (address, ended) in [
        (Engine::with_network().address(), "exit code: 7"),
        (podman.address(), "exit status 7"),
    ] {
        let lines = format!(
            "copy = [{{ from = \"file\", to = \"/srv/\" }}]\nenv = {{ A = \"b\" }}\nworkdir = \"/srv\"\n\
             secrets = [{{ id = \"token\", env = \"TOKEN\" }}]\ncommands = [\"true\", \"{long}\"]"
        );
        let project = setup
            .project(&lines)
            .file("file", "x")
            .env("DOCKER_HOST", address)
            .env("TOKEN", "twelve chars");
        let failed = project.run(["build"]).fails_with("U0501");
        let caused = failed
            .stderr()
            .split("Caused by:\n")
            .nth(1)
            .unwrap()
            .split("\n\nhelp")
            .next()
            .unwrap()
            .trim_end()
            .to_owned();
        assert_eq!(
            caused,
            format!(
                "  `{}` failed: {ended}; its last lines:\n  last words",
                long.replace('\\', "")
            ),
            "{}",
            failed.stderr()
        );
        let log = project.read("target/union/logs/hello/default.log");
        assert!(
            !failed.stderr().contains("--mount") && !log.contains("--mount"),
            "{}\n{log}",
            failed.stderr()
        );
    }
}

#[test]
fn failed_multiline_command_is_shown_whole() {
    let setup = Setup::new();
    let project = setup.project(
        "commands = [\"\"\"\nset -e\nfor word in one two; do\n  echo $word\ndone\nfalse\n\"\"\"]",
    );
    let failed = project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("RUN set -e…\n");
    failed.stderr_has(
        "  `set -e\n  for word in one two; do\n    echo $word\n  done\n  false` failed: exit code: 1; its last lines:\n  one\n  two",
    );
}

#[test]
fn copy_to_bin_follows_the_link_and_keeps_the_mode() {
    let setup = Setup::new();
    let project = setup
        .project("copy = [{ from = \"tools\", to = \"/bin\" }, { from = \"secret\", to = \"/etc/secret\", mode = \"0600\" }]\ncommands = [\"tool >/seen\"]")
        .file("tools/tool", "#!/bin/sh\necho tool\n")
        .file("secret", "x");
    std::fs::set_permissions(
        project.path("tools/tool"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let built = project.run(["build"]).succeeds();
    assert_eq!(
        shell(
            &built,
            "cat /seen; readlink /bin; stat -c %a:%u:%Y /etc/secret"
        ),
        "tool\nusr/bin\n600:0:0"
    );
}

#[test]
fn changed_copy_without_later_commands_reinstalls_nothing() {
    let setup = Setup::new();
    let project = setup
        .project("apt-packages = [\"tree\"]\ncopy = [{ from = \"model\", to = \"/model\" }]")
        .file("model", "one");
    project.run(["build"]).succeeds();
    project.write("model", "two");
    let built = project.run(["build"]).succeeds().stderr_lacks("apt-get");
    assert_eq!(shell(&built, "cat /model"), "two");
}

#[test]
fn steps_have_the_declared_network() {
    let setup = Setup::new();
    let podman = Podman::start();
    let docker = Engine::with_network();
    for (address, own) in [
        (docker.address(), docker.network_namespace()),
        (podman.address(), podman.network_namespace()),
    ] {
        let made = |name: &str, network: &str| {
            // The engine caches the steps of other tests: every command is unique.
            let command = format!(
                "readlink /proc/self/ns/net >/net; grep -c : /proc/net/dev >>/net # {name}"
            );
            let lines = format!(
                "name = \"{name}\"\ncommands = [{command:?}]\nbuilder-options = {{ network = {network:?} }}"
            );
            let built = setup
                .project(&lines)
                .env("DOCKER_HOST", address.clone())
                .run(["build"])
                .succeeds();
            shell(&built, "cat /net")
        };
        let kind = if address.contains("podman") {
            "podman"
        } else {
            "docker"
        };
        let host = made(&format!("{kind}-host"), "host");
        assert_eq!(host.lines().next(), Some(&*own), "{kind}");
        let none = made(&format!("{kind}-none"), "none");
        let (namespace, devices) = none.split_once('\n').unwrap();
        assert_ne!(namespace, own, "{kind}");
        assert_eq!(devices, "1", "{kind}: only the loopback device");
    }
}

#[test]
fn copy_owner_applies_with_every_builder() {
    let setup = Setup::new();
    let copies = "copy = [{ from = \"data\", to = \"/srv/app/named\", owner = \"nobody\" },\n\
        { from = \"data\", to = \"/srv/app/pair\", owner = \"nobody:daemon\" },\n\
        { from = \"data/file\", to = \"/srv/file\", owner = \"1234\" }]\nuser = \"nobody\"\n";
    let list = "touch /srv/app/named/new /srv/app/named/deep/new && cd /srv && stat -c '%n %u:%g %a' app app/named app/named/deep app/named/link \
        app/pair/file file";
    let mut seen = Vec::new();
    for more in ["", "commands = [\"true\"]"] {
        let project = setup
            .project(&format!("{copies}{more}"))
            .file("data/file", "x")
            .file("data/deep/a", "x");
        std::os::unix::fs::symlink("file", project.path("data/link")).unwrap();
        seen.push(shell(&project.run(["build"]).succeeds(), list));
    }
    let expected = "app 65534:65534 755\napp/named 65534:65534 755\napp/named/deep 65534:65534 755\napp/named/link 65534:65534 777\n\
        app/pair/file 65534:1 644\nfile 1234:1234 644";
    assert_eq!(seen, [expected, expected]);
}
