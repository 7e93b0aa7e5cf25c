//! Secrets are available to steps and are stored nowhere.

use std::path::Path;
use std::process::Command;

use union_tests::Project;
use union_tests::engine::Engine;

use crate::setup::{Setup, shell};

const SECRET: &str = "correct-horse-battery-staple";

/// A private file that only a command with the secret can download.
const COMMANDS: &str = "commands = [\"[ \\\"$(cat /run/secrets/token)\\\" = correct-horse-battery-staple ] && echo using $(cat /run/secrets/token) && echo done >/done\"]";

/// Whether a text is in any file below a directory.
fn is_below(directory: &Path, text: &str) -> bool {
    let found = Command::new("grep")
        .args(["-rqaF", "--", text])
        .arg(directory)
        .status()
        .unwrap();
    assert!(
        matches!(found.code(), Some(0 | 1)),
        "grep {}: {found}",
        directory.display()
    );
    found.success()
}

fn leaves_no_trace(project: &Project, reference: &str) {
    let engine = Engine::with_network();
    let run = |line: &str| {
        engine.docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            reference,
            "/bin/sh",
            "-c",
            line,
        ])
    };
    assert_eq!(run("ls -A /run/secrets 2>/dev/null; cat /done"), "done");
    assert_eq!(
        run("grep -rlF staple / --exclude-dir=proc --exclude-dir=sys || true"),
        ""
    );
    // The text of the command contains the value in this test, so only the result is compared.
    let history = engine.docker(&["history", "--no-trunc", reference]);
    assert!(!history.contains("using correct"), "{history}");
    assert!(!is_below(&project.path("target/union"), "using correct"));
}

#[test]
fn environment_secret_is_used_and_leaves_no_trace() {
    let setup = Setup::new();
    let project = setup
        .project(&format!(
            "{COMMANDS}\nsecrets = [{{ id = \"token\", env = \"TOKEN\" }}]"
        ))
        .env("TOKEN", SECRET);
    let built = project
        .run(["-vv", "build"])
        .succeeds()
        .stderr_has("using <secret token>")
        .stderr_lacks("using correct");
    let built = built
        .stderr_has("trace: session call=Secrets/GetSecret id=token found=true")
        .stderr_lacks(SECRET);
    let built = built
        .stderr_has("trace: engine method=POST path=/v1.")
        .stderr_has("trace: step step=");
    assert!(
        project
            .read("target/union/logs/hello/default.log")
            .contains("using <secret token>")
    );
    leaves_no_trace(&project, built.stdout().trim());
}

#[test]
fn secret_value_is_not_part_of_a_key() {
    let setup = Setup::new();
    let lines = "commands = [\"test -s /run/secrets/token; echo done >/done\"]\nsecrets = [{ id = \"token\", file = \"token\" }]";
    let project = setup.project(lines).file("token", SECRET);
    let built = project.run(["build"]).succeeds();
    assert_eq!(shell(&built, "cat /done"), "done");
    assert!(
        !is_below(&project.path("target/union"), SECRET)
            && !is_below(&project.cache(), SECRET)
            && !is_below(&setup.registry.data(), SECRET)
    );
    project.write("token", "another");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
}

#[test]
fn unset_secret_stops_the_build_at_once() {
    let setup = Setup::new();
    let lines = "commands = [\"true\"]\nsecrets = [{ id = \"token\", env = \"NO_SUCH_TOKEN\" }]";
    let project = setup.project(lines);
    project
        .run(["build"])
        .fails_with("U0502")
        .stderr_has("NO_SUCH_TOKEN is not set")
        .stderr_has("required = false")
        .compiles_nothing();
    assert_eq!(setup.tags("team/hello"), [""; 0]);
    // A plan needs no secret, and one that may be absent stops nothing.
    project.run(["plan"]).succeeds();
    project.edit(
        "Cargo.toml",
        "\"NO_SUCH_TOKEN\" }",
        "\"NO_SUCH_TOKEN\", required = false }",
    );
    project.run(["build"]).succeeds();
}

#[test]
fn oversized_secret_is_refused() {
    let setup = Setup::new();
    let project = setup
        .project("commands = [\"true\"]\nsecrets = [{ id = \"token\", file = \"token\" }]")
        .file("token", vec![b'x'; 600_000]);
    project
        .run(["build"])
        .fails_with("U0502")
        .stderr_has("600000 bytes")
        .compiles_nothing();
}

#[test]
fn ca_certificate_is_trusted_during_steps_and_not_in_the_image() {
    let setup = Setup::new();
    let commands = "commands = [\"grep -q AUTHORITY $SSL_CERT_FILE && [ $SSL_CERT_FILE = $CURL_CA_BUNDLE ] && echo $SSL_CERT_FILE >/where\"]";
    let declared = setup
        .project(&format!("{commands}\nbuild-ca = \"ca.pem\""))
        .file("ca.pem", "AUTHORITY of the company");
    let built = declared.run(["build"]).succeeds();
    assert_eq!(
        shell(
            &built,
            "cat /where; ls /run/union/ca.crt 2>/dev/null; echo ${SSL_CERT_FILE-unset}"
        ),
        "/run/union/ca.crt\nunset"
    );
    let own = setup
        .project(commands)
        .file("ca.pem", "AUTHORITY of this machine");
    let path = own.path("ca.pem");
    // The registry is insecure, so the file need not be a certificate.
    let own = own.env("SSL_CERT_FILE", path.to_str().unwrap());
    let built = own.run(["build"]).succeeds();
    assert_eq!(
        shell(
            &built,
            "cat /where; grep -rlF AUTHORITY /run /etc /tmp || true"
        ),
        "/run/union/ca.crt"
    );
}
