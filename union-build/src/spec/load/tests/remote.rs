//! What the backend's builder carries, and what it does not.

use super::*;
use crate::spec::SecretSource;
use crate::spec::validate::remote::UNCARRIED;

/// A package whose images the backend makes.
fn remote(lines: &str) -> Project {
    table(&format!("builder = \"remote\"\n[package.metadata.union.images.default]\n{lines}")).file("app/Dockerfile").file("app/ca.pem")
}

/// Requires one problem, on a line, with this message and this advice.
#[track_caller]
fn refused(project: &Project, line: usize, message: &str, help: &str) {
    let problems = project.problems();
    let [problem] = &problems[..] else { panic!("{} problems for {}: {problems:#?}", problems.len(), project.union) };
    let place = problem.labels[0].origin.to_string();
    assert!(place.contains(&format!("app/Cargo.toml:{line}:")), "{place}: {}", problem.message);
    assert_eq!(problem.code, Code::UnsupportedByBuilder);
    assert!(problem.message.contains(message), "`{}` lacks `{message}`", problem.message);
    assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{:?} lacks `{help}`", problem.help);
}

#[test]
fn every_key_that_it_cannot_carry_is_named_at_its_place() {
    for (key, help) in UNCARRIED {
        let (value, beside) = match *key {
            "dockerfile" => ("\"Dockerfile\"", ""),
            "user" => ("\"1000\"", ""),
            "labels" | "annotations" => ("{ a = \"b\" }", ""),
            "compression" => ("\"gzip\"", ""),
            "build-ca" => ("\"ca.pem\"", ""),
            "builder-options" => ("{ network = \"host\" }", ""),
            "builder-config" => ("{ uv-image = \"uv:1\" }", ""),
            "python-exec" => ("\"/usr/bin/python3\"", "pip-packages = [\"a\"]"),
            "conda-channels" => ("[\"a\"]", "python-version = \"3.12\""),
            "pip-secret-mounts" => ("{ a = \"/b\" }", "secrets = [{ id = \"a\" }]\npip-packages = [\"a\"]"),
            "copy.owner" => ("[{ from = \"Dockerfile\", owner = \"1000\" }]", ""),
            _ => ("[\"a\"]", ""),
        };
        let table = key.split('.').next().unwrap_or(key);
        let message = format!("the remote builder cannot carry `{key}` of image `default`");
        refused(&remote(&format!("{table} = {value}\n{beside}")), 4, &message, help);
    }
}

#[test]
fn what_it_carries_has_a_base_with_a_shell() {
    let all = "apt-packages = [\"a\"]\npip-packages = [\"b\"]\npython-version = \"3.12\"\ncommands = [\"c\"]\nsecrets = [{ id = \"d\" }]\n\
        copy = [\"Dockerfile\"]\nworkdir = \"/w\"\nenv = { A = \"b=c,d\", B = \"/b:$PATH\" }\nruntime-libs = [\"libx.so\"]\nrequirements = [\"Cargo.lock\"]";
    let spec = remote(all).spec();
    assert_eq!(spec.images["default"].secrets[0].source, SecretSource::Backend);
    let Base::Reference(base) = &remote("").spec().images["default"].base else { panic!("it has a base") };
    assert_eq!(base.value, "debian:trixie-slim");
}

#[test]
fn values_that_would_not_arrive_are_refused() {
    for (lines, message, help) in [
        ("base-image = \"scratch\"", "`scratch`, the base of image `default`, has none", "debian:trixie-slim"),
        ("env = { A = \"b c\" }", "may change the value of `A`", "in the `env` of the tasks"),
        ("env = { A = \"$$HOME\" }", "may change the value of `A`", "in the `env` of the tasks"),
        ("commands = [\"x\"]\nsecrets = [{ id = \"a\", env = \"A\" }]", "takes the secret `a` from the backend", "flyte create secret a"),
        ("commands = [\"x\"]\nsecrets = [{ id = \"a\", required = false }]", "cannot do without the secret `a`", "required = false"),
        ("platforms = [\"linux/amd64\", \"linux/arm64\"]", "the same binaries for every platform", "keep one platform"),
    ] {
        refused(&remote(lines), lines.lines().count() + 3, message, help);
    }
    // Without a binary there is nothing that would differ.
    let environment = "platforms = [\"linux/amd64\", \"linux/arm64\"]\n[package.metadata.union.images.app]\n[package.metadata.union.tasks.app]\nimage = \"app\"";
    remote(environment).spec();
}

#[test]
fn a_secret_of_the_backend_is_for_its_builder_only() {
    let local = table("images.default.commands = [\"x\"]\nimages.default.secrets = [{ id = \"a\" }]");
    one(&local, Code::InvalidValue, "app/Cargo.toml:3:27", "a secret comes from one place", "either `env");
}

#[test]
fn an_image_and_what_it_extends_have_one_builder() {
    for (first, second, remote) in [("remote", "docker", "default"), ("auto", "remote", "b")] {
        let project = table(&format!(
            "[package.metadata.union.images.default]\nbuilder = \"{first}\"\n\
             [package.metadata.union.images.b]\nbuilder = \"{second}\"\nextends = \"default\""
        ));
        let message = format!("image `b` extends `default`, and only `{remote}` is made by the backend");
        refused(&project, 6, &message, "for both of them, or for neither");
    }
}
