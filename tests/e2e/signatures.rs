//! Signatures of images by the user's own key: `--sign-key`, and `verify --key`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use union_tests::faulty_registry::{FaultyRegistry, Reply, digest};
use union_tests::keys::{PASSWORD, key_file, private_key, public_key, set_mode};
use union_tests::project::tool;
use union_tests::stub::python;
use union_tests::terminal::TYPE_HIDDEN_LINE;
use union_tests::{Outcome, Project};

use crate::setup::{Setup, manifest};

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn project(host: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union]\nregistry = \"{host}/team\"\nattest = false\n"
        ))
        .union(SCRATCH)
        .locked()
}

fn key(project: &Project, name: &str) -> String {
    private_key(&project.temp(), name)
}

fn with_api() -> FaultyRegistry {
    let registry = FaultyRegistry::without_faults();
    registry.memory().referrers_page = 10;
    registry
}

/// Builds and signs; the image by digest.
fn build(project: &Project, words: &[&str]) -> String {
    let built = project.run([&["build"], words].concat()).succeeds();
    built.stdout().trim().to_owned()
}

fn verify(project: &Project, reference: &str, key: &str) -> Outcome {
    project.run(["verify", reference, "--key", key])
}

/// Runs a program in the directory of a project.
fn run(project: &Project, program: &str, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(program);
    command.args(words).current_dir(project.temp());
    command.output().unwrap()
}

#[test]
fn image_is_signed_in_both_forms_and_not_again() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let sign_key = key(&project, "sec1.pem");
    let built = project.run(["build", "--sign-key", &sign_key]).succeeds();
    let reference = built.stdout().trim().to_owned();
    built.stderr_has(&format!("Signed {reference}"));
    verify(&project, &reference, &public_key())
        .succeeds()
        .stdout_has(&format!("signed: {reference} has a signature by "))
        .stdout_has("(simple signing, bundle)\n")
        .stdout_has("identical: ");

    let before = setup.registry.writes();
    let again = project.run(["build", "--sign-key", &sign_key]).succeeds();
    again.stderr_has("Unchanged").stderr_lacks("Signed");
    assert_eq!(setup.registry.writes(), before);
}

#[test]
fn copy_keeps_the_bundle_and_is_signed_on_demand() {
    let (setup, other) = (Setup::new(), Setup::new());
    let project = project(setup.registry.host());
    let reference = build(&project, &["--sign-key", &key(&project, "sec1.pem")]);
    let to = other.reference("released");
    let (image, digest) = reference.split_once('@').unwrap();
    let name = image.rsplit('/').next().unwrap();
    let copy = format!("{to}/{name}@{digest}");
    let empty = Project::empty();
    empty.run(["push", &reference, "--to", &to]).succeeds();
    verify(&empty, &copy, &public_key())
        .succeeds()
        .stdout_has("(bundle)\n");
    let sign_key = key(&empty, "pkcs8.pem");
    let words = ["push", &reference, "--to", &to, "--sign-key", &sign_key];
    empty.run(words).succeeds().stderr_has("Signed");
    verify(&empty, &copy, &public_key())
        .succeeds()
        .stdout_has("(simple signing, bundle)\n");
    let before = other.registry.writes();
    empty.run(words).succeeds().stderr_lacks("Signed");
    assert_eq!(other.registry.writes(), before);
}

#[test]
fn openssl_verifies_the_payload() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let reference = build(&project, &["--sign-key", &key(&project, "sec1.pem")]);
    let (repository, hex) = reference.split_once("@sha256:").unwrap();
    let signatures = format!("{repository}:sha256-{hex}.sig");
    let layer = manifest(&signatures)["layers"][0].clone();
    let signature = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str();
    let url = format!(
        "http://{}/v2/team/hello/blobs/{}",
        setup.registry.host(),
        layer["digest"].as_str().unwrap()
    );
    let payload = run(&project, "curl", &["-sSfL", &url]).stdout;
    let temp = project.temp();
    std::fs::write(temp.join("payload"), &payload).unwrap();
    std::fs::write(temp.join("signature.b64"), signature.unwrap()).unwrap();
    let decoded = run(
        &project,
        "openssl",
        &[
            "base64",
            "-d",
            "-A",
            "-in",
            "signature.b64",
            "-out",
            "signature",
        ],
    );
    assert!(decoded.status.success());
    let (public, check) = (public_key(), "-verify");
    let words = [
        "dgst",
        "-sha256",
        check,
        &public,
        "-signature",
        "signature",
        "payload",
    ];
    assert!(run(&project, "openssl", &words).status.success());
    let mut changed = payload.clone();
    changed[20] ^= 1;
    std::fs::write(temp.join("payload"), changed).unwrap();
    assert!(!run(&project, "openssl", &words).status.success());
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        payload["critical"]["image"]["docker-manifest-digest"],
        format!("sha256:{hex}")
    );
    assert_eq!(
        payload["critical"]["identity"]["docker-reference"],
        repository
    );
}

#[test]
fn bundle_is_found_where_lists_have_types_of_configs() {
    let registry = with_api();
    registry.memory().lists_config_types = true;
    let project = project(&registry.host());
    let sign_key = key(&project, "sec1.pem");
    let reference = build(&project, &["--sign-key", &sign_key]);
    verify(&project, &reference, &public_key())
        .succeeds()
        .stdout_has("(simple signing, bundle)");
    let before = registry.count("PUT", "");
    build(&project, &["--sign-key", &sign_key]);
    assert_eq!(registry.count("PUT", ""), before);
}

#[test]
fn bundle_is_listed_by_the_referrers_api() {
    let registry = with_api();
    let project = project(&registry.host());
    let sign_key = key(&project, "pkcs8.pem");
    let reference = build(&project, &["--sign-key", &sign_key]);
    verify(&project, &reference, &public_key())
        .succeeds()
        .stdout_has("(simple signing, bundle)");
    let tags: Vec<String> = tags(&registry);
    assert!(tags.iter().any(|tag| tag.ends_with(".sig")));
    assert!(
        !tags
            .iter()
            .any(|tag| tag.starts_with("sha256-") && !tag.ends_with(".sig"))
    );
    let before = (registry.count("PUT", ""), registry.count("POST", ""));
    build(&project, &["--sign-key", &sign_key]);
    assert_eq!(
        (registry.count("PUT", ""), registry.count("POST", "")),
        before
    );
}

fn tags(registry: &FaultyRegistry) -> Vec<String> {
    let memory = registry.memory();
    let references = memory.manifests.keys().map(|(_, reference)| reference);
    let is_tag = |reference: &&String| !reference.contains(':');
    references.filter(is_tag).cloned().collect()
}

#[test]
fn unchanged_image_is_signed_by_a_second_key_and_keeps_the_first_signature() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let reference = build(&project, &[]);
    verify(&project, &reference, &public_key())
        .fails_with("U0420")
        .stderr_has("has no signature");
    project
        .run(["build", "--sign-key", &key(&project, "sec1.pem")])
        .succeeds()
        .stderr_has("Unchanged")
        .stderr_has("Signed");
    let second = project.temp().join("second.pem");
    let second = second.display().to_string();
    for words in [
        &["ecparam", "-name", "prime256v1", "-genkey", "-out", &second][..],
        &["ec", "-in", &second, "-pubout", "-out", "second.pub"],
    ] {
        assert!(run(&project, "openssl", words).status.success());
    }
    let other = project.temp().join("second.pub").display().to_string();
    verify(&project, &reference, &other)
        .exits(1)
        .stderr_has("U0420")
        .stderr_has("(simple signing)")
        .stderr_has("(bundle) is not valid: it is by another key");
    build(&project, &["--sign-key", &second]);
    for key in [&public_key(), &other] {
        verify(&project, &reference, key)
            .succeeds()
            .stdout_has("(simple signing, bundle)");
    }
    let (repository, hex) = reference.split_once("@sha256:").unwrap();
    let list = manifest(&format!("{repository}:sha256-{hex}.sig"));
    assert_eq!(list["layers"].as_array().unwrap().len(), 2);
}

/// Replaces a text in what the registry holds, without changing digests.
fn flip(registry: &FaultyRegistry, is_it: impl Fn(&str) -> bool, from: &str, to: &str) {
    let mut memory = registry.memory();
    let edit = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if is_it(&text) && text.contains(from) {
            *bytes = text.replace(from, to).into_bytes();
            return true;
        }
        false
    };
    let mut found = 0;
    for bytes in memory.blobs.values_mut() {
        found += usize::from(edit(bytes));
    }
    for (_, bytes) in memory.manifests.values_mut() {
        found += usize::from(edit(bytes));
    }
    assert!(found > 0, "nothing contains {from}");
}

#[test]
fn flipped_byte_of_payload_or_envelope_is_refused() {
    let registry = with_api();
    let project = project(&registry.host());
    let reference = build(&project, &["--sign-key", &key(&project, "sec1.pem")]);
    let is_payload = |text: &str| text.contains("cosign container image signature");
    let is_bundle = |text: &str| text.starts_with("{\"mediaType\":\"application/vnd.dev.sigstore");
    flip(&registry, is_payload, "critical", "critidal");
    verify(&project, &reference, &public_key()).fails_with("U0407");
    flip(&registry, is_payload, "critidal", "critical");
    flip(&registry, is_bundle, "\"sig\"", "\"sjg\"");
    verify(&project, &reference, &public_key()).fails_with("U0407");
    flip(&registry, is_bundle, "\"sjg\"", "\"sig\"");
    verify(&project, &reference, &public_key()).succeeds();
}

/// Removes the manifests whose reference ends so, or whose type of artifact is this one.
fn remove(registry: &FaultyRegistry, end: &str, kind: &str) {
    registry
        .memory()
        .manifests
        .retain(|(_, reference), (_, bytes)| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            !reference.ends_with(end) && manifest["artifactType"] != kind
        });
}

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

#[test]
fn each_form_is_accepted_alone_and_replaced_content_refused() {
    let registry = with_api();
    let project = project(&registry.host());
    let sign_key = key(&project, "sec1.pem");
    let reference = build(&project, &["--sign-key", &sign_key]);
    let hex = reference.rsplit_once("sha256:").unwrap().1.to_owned();
    remove(&registry, "none", BUNDLE);
    verify(&project, &reference, &public_key())
        .succeeds()
        .stdout_has("(simple signing)\n");
    // Whoever may push can replace the payload and all digests.
    let tag = ("team/hello".to_owned(), format!("sha256-{hex}.sig"));
    let original = registry.memory().manifests[&tag].clone();
    let mut list: Value = serde_json::from_slice(&original.1).unwrap();
    let old = list["layers"][0]["digest"].as_str().unwrap().to_owned();
    let payload = registry.memory().blobs[&("team/hello".to_owned(), old)].clone();
    let payload = String::from_utf8(payload)
        .unwrap()
        .replace("team/hello", "team/jello");
    registry.memory().put_blob("team/hello", payload.as_bytes());
    list["layers"][0]["digest"] = digest(payload.as_bytes()).into();
    let put = |list: &Value| {
        let (kind, bytes) = (original.0.clone(), list.to_string().into_bytes());
        registry
            .memory()
            .manifests
            .insert(tag.clone(), (kind, bytes));
    };
    put(&list);
    verify(&project, &reference, &public_key())
        .fails_with("U0420")
        .stderr_has("what was signed has been changed");
    // The signature of another image by the same key.
    let mut list: Value = serde_json::from_slice(&original.1).unwrap();
    list["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"] = "AAAA".into();
    put(&list);
    verify(&project, &reference, &public_key()).fails_with("U0420");
    remove(&registry, ".sig", "none");
    verify(&project, &reference, &public_key())
        .fails_with("U0420")
        .stderr_has("has no signature");
    build(&project, &["--sign-key", &sign_key]);
    remove(&registry, ".sig", "none");
    verify(&project, &reference, &public_key())
        .succeeds()
        .stdout_has("(bundle)\n");
}

#[test]
fn signature_is_verified_without_a_package() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let reference = build(&project, &["--sign-key", &key(&project, "sec1.pem")]);
    let empty = Project::empty();
    let verified = empty.run([
        "verify",
        &reference,
        "--key",
        &public_key(),
        "--format",
        "json",
    ]);
    let document = verified.succeeds().stderr_has("only its signature").json();
    assert_eq!(document["reference"], reference);
    assert_eq!(document["signature"]["forms"][0], "simple-signing");
    assert_eq!(document["signature"]["forms"][1], "bundle");
    assert!(document.get("identical").is_none());
    empty.run(["verify", &reference]).exits(2);
    let (image, _) = reference.split_once('@').unwrap();
    verify(
        &empty,
        &format!("{image}@sha256:{}", "0".repeat(64)),
        &public_key(),
    )
    .fails_with("U0418");
    verify(
        &empty,
        &reference,
        &key_file("sec1.pem").display().to_string(),
    )
    .fails_with("U0419")
    .stderr_has("it is a private key");
}

#[test]
fn verified_signature_does_not_excuse_another_checkout() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let reference = build(&project, &["--sign-key", &key(&project, "sec1.pem")]);
    project.edit("src/main.rs", "fn main()", "fn  main()");
    verify(&project, &reference, &public_key())
        .exits(1)
        .stdout_has("signed: ")
        .stdout_has("different: ");
}

#[test]
fn unusable_key_is_refused_before_the_compile() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let refused = |key: &str, cause: &str, help: &str| {
        project
            .run(["build", "--sign-key", key])
            .fails_with("U0419")
            .stderr_has(cause)
            .stderr_has(help)
            .compiles_nothing();
    };
    for name in ["p384.pem", "ed25519.pem"] {
        refused(
            &key(&project, name),
            "not a key of the curve P-256",
            "prime256v1",
        );
    }
    refused(
        &key(&project, "public.pem"),
        "it is a public key",
        "private key",
    );
    let readable = key(&project, "sec1.pem");
    for mode in [0o640, 0o604, 0o620] {
        set_mode(Path::new(&readable), mode);
        refused(&readable, "other users", &format!("`chmod 600 {readable}`"));
    }
    let text = project.temp().join("text");
    std::fs::write(&text, "hello").unwrap();
    set_mode(&text, 0o600);
    refused(
        &text.display().to_string(),
        "not a key in PEM",
        "cosign generate-key-pair",
    );
    project
        .run(["build", "--sign-key", "missing.pem"])
        .fails_with("U0004")
        .compiles_nothing();
    assert!(setup.tags("team/hello").is_empty());
}

#[test]
fn image_outside_of_a_registry_cannot_be_signed() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    project
        .run([
            "build",
            "--no-push",
            "--sign-key",
            &key(&project, "sec1.pem"),
        ])
        .fails_with("U0401")
        .stderr_has("could not sign image `default`")
        .compiles_nothing();
}

#[test]
fn refused_signature_is_an_error_about_a_complete_image() {
    let registry = FaultyRegistry::start(|request, memory| {
        let is_signature = request.method == "PUT" && request.path.ends_with(".sig");
        let is_refused = is_signature && memory.times("PUT", ".sig") < 1;
        is_refused.then(|| Reply::error(403, "DENIED", "no \u{1b}[31msignatures").into())
    });
    let project = project(&registry.host());
    let sign_key = key(&project, "sec1.pem");
    project
        .run(["build", "--sign-key", &sign_key])
        .fails_with("U0402")
        .stderr_has("is complete, but could not be signed")
        .stderr_has("signatures")
        .stderr_lacks("\u{1b}[31msig")
        .stderr_has("run the command again");
    let again = project.run(["build", "--sign-key", &sign_key]).succeeds();
    again.stderr_has("Unchanged").stderr_has("Signed");
}

#[test]
fn tag_of_signatures_that_holds_an_image_is_not_overwritten() {
    let registry = with_api();
    let project = project(&registry.host());
    let reference = build(&project, &[]);
    let hex = reference.rsplit_once("sha256:").unwrap().1.to_owned();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let image = br#"{"schemaVersion":2,"layers":[{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}]}"#;
    let tag = format!("sha256-{hex}.sig");
    registry
        .memory()
        .put_manifest("team/hello", &tag, kind, image);
    project
        .run(["build", "--sign-key", &key(&project, "sec1.pem")])
        .fails_with("U0404")
        .stderr_has("no list of signatures")
        .stderr_has(&tag);
    assert_eq!(registry.count("PUT", ".sig"), 0);
}

/// The output, in which no password may be.
fn discreet(outcome: Outcome) -> Outcome {
    outcome.stdout_lacks("hunter2").stderr_lacks("hunter2")
}

#[test]
fn key_of_cosign_is_decrypted_with_its_password() {
    let setup = Setup::new();
    let project = project(setup.registry.host()).file(
        "build.rs",
        "fn main() { assert!(std::env::var_os(\"COSIGN_PASSWORD\").is_none()); }",
    );
    let sign_key = key(&project, "cosign.key");
    let words = ["build", "-vv", "--sign-key", &sign_key];
    discreet(project.run(words).fails_with("U0419"))
        .stderr_has("COSIGN_PASSWORD is not set")
        .compiles_nothing();
    let project = project.env("COSIGN_PASSWORD", "hunter22");
    discreet(project.run(words).fails_with("U0419"))
        .stderr_has("the password is wrong")
        .compiles_nothing();
    let project = project.env("COSIGN_PASSWORD", PASSWORD);
    let built = discreet(project.run(words).succeeds()).stderr_has("Signed");
    let public = key_file("cosign.pub").display().to_string();
    verify(&project, built.stdout().trim(), &public)
        .succeeds()
        .stdout_has("(simple signing, bundle)");
}

#[test]
fn password_is_typed_and_not_echoed() {
    let setup = Setup::new();
    let project = project(setup.registry.host());
    let sign_key = key(&project, "cosign.key");
    let script = project.temp().join("terminal.py");
    std::fs::write(&script, TYPE_HIDDEN_LINE).unwrap();
    let typed = project.shell(&format!(
        "{} {} '{PASSWORD}' {} build --sign-key {sign_key}",
        python("python").display(),
        script.display(),
        tool().display(),
    ));
    discreet(typed.succeeds())
        .stdout_has("type the password of the key")
        .stdout_has("Signed");
}
