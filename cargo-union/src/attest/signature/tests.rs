//! Known answers of RFC 6979, OpenSSL and cosign, and refusals.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::image::reference::{BaseRef, PinnedRef};
use crate::image::signature_list::DetachedSignature;
use crate::sys::digest::Digest;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/signing/", $name))
    };
}

const SEC1: &str = fixture!("sec1.pem");
const PUBLIC: &str = fixture!("public.pem");

fn key(text: &str) -> SignatureKey {
    PrivateKeyFile::parse(text.as_bytes())
        .unwrap()
        .into_key(b"")
        .unwrap()
}

fn public(text: &str) -> VerificationKey {
    VerificationKey::parse(text.as_bytes()).unwrap()
}

fn image() -> PinnedRef {
    let reference: BaseRef = "ghcr.io/acme/hello:v1".parse().unwrap();
    reference.repository.pinned(Digest::of("image"))
}

#[test]
fn signatures_are_those_of_rfc_6979() {
    let pem = "-----BEGIN EC PRIVATE KEY-----\n\
        MDECAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49AwEH\n\
        -----END EC PRIVATE KEY-----\n";
    let signature = "MEYCIQDv1IsqrLao/RFA3ZzUXoHWnSyHe1aq+ZHDTQ6oTq83FgIhAPfLHJQtZXxB1DbHobbin2Xz6QDbua/0Bk3Eqy+EOs2o";
    assert_eq!(STANDARD.encode(key(pem).sign(b"sample")), signature);
}

#[test]
fn signature_of_openssl_is_valid_and_refused_after_any_change() {
    let signature = STANDARD
        .decode("MEQCIDN6REuMcInmOujNP0vc1hMB8RsgybQ1IGxsEUA6P+EhAiBUs4AwxXPuLfrGqW8cSGn/WrhIMl2OYdU1IH6M+BrAuw==")
        .unwrap();
    let key = public(PUBLIC);
    assert!(key.verifies(b"hello\n", &signature));
    assert!(!key.verifies(b"hello", &signature));
    for place in 0..signature.len() {
        let mut changed = signature.clone();
        changed[place] ^= 1;
        assert!(!key.verifies(b"hello\n", &changed), "byte {place}");
    }
    for length in 0..signature.len() {
        assert!(!key.verifies(b"hello\n", &signature[..length]));
    }
}

#[test]
fn all_plain_formats_of_openssl_are_one_key() {
    let hint = "LWVcdgOrFz6VWjVkIizf83Tu2Fy/AvxwisFY4nvKqKs=";
    let with_parameters = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{SEC1}"
    );
    let with_line_ends = SEC1.replace('\n', "\r\n");
    for text in [
        SEC1,
        fixture!("pkcs8.pem"),
        &with_parameters,
        &with_line_ends,
    ] {
        assert_eq!(key(text).verification_key().hint(), hint);
    }
    assert_eq!(public(PUBLIC).hint(), hint);
}

fn private_problem(text: &str) -> KeyProblem {
    let file = PrivateKeyFile::parse(text.as_bytes());
    file.and_then(|file| file.into_key(b"secret")).unwrap_err()
}

#[test]
fn other_keys_are_refused_with_what_they_are() {
    let block = |label: &str, text: &str| {
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    let rsa = block("RSA PRIVATE KEY", "AAAA");
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
    for (text, problem) in [
        ("", KeyProblem::NotPem),
        ("hello", KeyProblem::NotPem),
        ("-----BEGIN ", KeyProblem::NotPem),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n", KeyProblem::NotPem),
        (PUBLIC, KeyProblem::Public),
        (&rsa, KeyProblem::OtherKind("RSA PRIVATE KEY".to_owned())),
        (fixture!("p384.pem"), KeyProblem::OtherCurve),
        (fixture!("ed25519.pem"), KeyProblem::OtherCurve),
        (&block("PRIVATE KEY", "AAAA"), KeyProblem::Damaged),
        (&block("PRIVATE KEY", "!"), KeyProblem::Damaged),
        (&block("EC PRIVATE KEY", "AAAA"), KeyProblem::Damaged),
        (
            &block("EC PRIVATE KEY", headers),
            KeyProblem::OtherEncryption,
        ),
        (
            &block("ENCRYPTED PRIVATE KEY", "AAAA"),
            KeyProblem::OtherEncryption,
        ),
    ] {
        assert_eq!(private_problem(text), problem, "{text}");
        assert!(!problem.help().is_empty());
    }
    let problem = |text: &str| VerificationKey::parse(text.as_bytes()).unwrap_err();
    assert_eq!(problem(SEC1), KeyProblem::Private);
    assert_eq!(problem(fixture!("p384-public.pem")), KeyProblem::OtherCurve);
    assert_eq!(problem(&block("PUBLIC KEY", "AAAA")), KeyProblem::Damaged);
    assert_eq!(problem(""), KeyProblem::NotPem);
    assert_eq!(
        problem(&block("CERTIFICATE", "AAAA")),
        KeyProblem::OtherKind("CERTIFICATE".to_owned())
    );
}

#[test]
fn private_key_is_not_shown() {
    assert_eq!(format!("{:?}", key(SEC1)), "***");
}

#[test]
fn payload_is_that_of_cosign() {
    let signature = simple::sign(&key(SEC1), &image());
    let digest = Digest::of("image");
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"ghcr.io/acme/hello"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    assert_eq!(signature.payload, payload);
    assert_eq!(
        signature,
        simple::sign(&key(fixture!("pkcs8.pem")), &image())
    );
    simple::check(&public(PUBLIC), digest, &signature).unwrap();
    let hub: BaseRef = "debian:13".parse().unwrap();
    let of_hub = simple::sign(&key(SEC1), &hub.repository.pinned(digest));
    let of_hub = String::from_utf8(of_hub.payload.to_vec()).unwrap();
    assert!(
        of_hub.contains(r#":"index.docker.io/library/debian""#),
        "{of_hub}"
    );
}

#[test]
fn changed_simple_signature_is_refused() {
    let (public, digest) = (public(PUBLIC), image().digest);
    let signature = simple::sign(&key(SEC1), &image());
    for place in 0..signature.payload.len() {
        let mut payload = signature.payload.to_vec();
        payload[place] ^= 1;
        let changed = DetachedSignature {
            payload: payload.into(),
            ..signature.clone()
        };
        let checked = simple::check(&public, digest, &changed);
        assert_eq!(checked, Err(SignatureProblem::Mismatch));
    }
    for text in ["", "!", "AAAA", &signature.signature[4..]] {
        let changed = DetachedSignature {
            signature: text.to_owned(),
            ..signature.clone()
        };
        assert!(simple::check(&public, digest, &changed).is_err(), "{text}");
    }
    let other = simple::check(&public, Digest::of("other"), &signature);
    assert_eq!(other, Err(SignatureProblem::OtherImage));
}

#[test]
fn signed_payload_of_another_kind_is_no_signature_of_an_image() {
    let key = key(SEC1);
    let of_another_kind = simple::sign(&key, &image());
    let of_another_kind = String::from_utf8(of_another_kind.payload.to_vec()).unwrap();
    let of_another_kind = of_another_kind.replace("cosign container image", "atomic container");
    for payload in ["", "{}", "hello", &of_another_kind] {
        let signature = DetachedSignature {
            signature: STANDARD.encode(key.sign(payload.as_bytes())),
            payload: payload.to_owned().into(),
        };
        let checked = simple::check(&key.verification_key(), image().digest, &signature);
        assert_eq!(checked, Err(SignatureProblem::OtherStatement), "{payload}");
    }
}

#[test]
fn bundle_has_the_fields_of_cosign() {
    let bytes = bundle::sign(&key(SEC1), image().digest);
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["mediaType"], bundle::MEDIA_TYPE);
    assert_eq!(
        document["verificationMaterial"]["publicKey"]["hint"],
        public(PUBLIC).hint()
    );
    let envelope = &document["dsseEnvelope"];
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let statement = STANDARD.decode(envelope["payload"].as_str().unwrap());
    let hex = image().digest.hex();
    assert_eq!(
        String::from_utf8(statement.unwrap()).unwrap(),
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{hex}"}}}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{{}}}}"#
        )
    );
    bundle::check(&public(PUBLIC), image().digest, &bytes).unwrap();
}

#[test]
fn changed_bundle_is_refused() {
    let (public, digest) = (public(PUBLIC), image().digest);
    let bytes = bundle::sign(&key(SEC1), digest);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let envelope = text.find("dsseEnvelope").unwrap();
    for place in envelope..bytes.len() {
        let mut changed = bytes.clone();
        // The next letter, so that base64 stays base64.
        changed[place] = match changed[place] {
            byte if byte.is_ascii_alphanumeric() => changed[place] ^ 2,
            byte => byte ^ 1,
        };
        assert!(
            bundle::check(&public, digest, &changed).is_err(),
            "byte {place}: {}",
            String::from_utf8_lossy(&changed)
        );
    }
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let mut changed = document.clone();
    changed["dsseEnvelope"]["payload"] = STANDARD.encode("{}").into();
    let checked = bundle::check(&public, digest, changed.to_string().as_bytes());
    assert_eq!(checked, Err(SignatureProblem::Changed));
    changed["verificationMaterial"]["publicKey"]["hint"] = "another".into();
    let checked = bundle::check(&public, digest, changed.to_string().as_bytes());
    assert_eq!(checked, Err(SignatureProblem::OtherKey));
    let checked = bundle::check(&public, Digest::of("other"), &bytes);
    assert_eq!(checked, Err(SignatureProblem::OtherImage));
    for text in ["", "{}", "[]", "null"] {
        let checked = bundle::check(&public, digest, text.as_bytes());
        assert_eq!(checked, Err(SignatureProblem::Malformed));
    }
}

#[test]
fn signed_statement_of_another_kind_is_no_signature_of_an_image() {
    let (key, digest) = (key(SEC1), image().digest);
    let bundle = bundle::sign(&key, digest);
    let document: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    let payload = STANDARD
        .decode(document["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let payload = String::from_utf8(payload).unwrap();
    let provenance = payload.replace(
        "https://sigstore.dev/cosign/sign/v1",
        "https://slsa.dev/provenance/v1",
    );
    for (kind, payload) in [
        ("application/vnd.in-toto+json", provenance.as_str()),
        ("application/vnd.in-toto+json", "{}"),
        ("text/plain", &payload),
    ] {
        let signed = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
        let mut document = document.clone();
        document["dsseEnvelope"] = serde_json::json!({
            "payload": STANDARD.encode(payload),
            "payloadType": kind,
            "signatures": [{ "sig": STANDARD.encode(key.sign(signed.as_bytes())) }],
        });
        let checked = bundle::check(
            &key.verification_key(),
            digest,
            document.to_string().as_bytes(),
        );
        assert_eq!(checked, Err(SignatureProblem::OtherStatement), "{payload}");
    }
}

#[test]
fn signatures_of_cosign_are_valid() {
    let key = public(fixture!("cosign.pub"));
    let digest = "sha256:ce55416bacfffad3ad06a0a55a19667a5a99add88ea28b071ad354a337e1e453";
    let digest: Digest = digest.parse().unwrap();
    let bundle = fixture!("cosign-bundle.json").as_bytes();
    bundle::check(&key, digest, bundle).unwrap();
    let signature = DetachedSignature {
        payload: fixture!("cosign-payload.json").into(),
        signature: fixture!("cosign-payload.sig").to_owned(),
    };
    simple::check(&key, digest, &signature).unwrap();
    let other = public(PUBLIC);
    let checked = bundle::check(&other, digest, bundle);
    assert_eq!(checked, Err(SignatureProblem::OtherKey));
    let checked = simple::check(&other, digest, &signature);
    assert_eq!(checked, Err(SignatureProblem::Mismatch));
}

const PASSWORD: &[u8] = b"hunter2 of the tests";

#[test]
fn key_of_cosign_is_decrypted_only_with_its_password() {
    let text = fixture!("cosign.key");
    let older = text.replace("SIGSTORE", "COSIGN");
    for text in [text, &older] {
        let file = PrivateKeyFile::parse(text.as_bytes()).unwrap();
        assert!(file.is_encrypted());
        let key = file.into_key(PASSWORD).unwrap();
        assert_eq!(key.verification_key(), public(fixture!("cosign.pub")));
    }
    let file = PrivateKeyFile::parse(text.as_bytes()).unwrap();
    let refused = file.into_key(b"hunter2 of the test").unwrap_err();
    assert_eq!(refused, KeyProblem::WrongPassword);
}

/// cosign's key with its JSON document changed.
fn changed_key(change: impl Fn(&mut serde_json::Value)) -> Result<SignatureKey, KeyProblem> {
    let body: String = fixture!("cosign.key")
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let mut document = serde_json::from_slice(&STANDARD.decode(body).unwrap()).unwrap();
    change(&mut document);
    let body = STANDARD.encode(document.to_string());
    let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
    let text = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    PrivateKeyFile::parse(text.as_bytes())?.into_key(PASSWORD)
}

#[test]
fn encryption_with_other_values_is_refused() {
    assert!(changed_key(|_| {}).is_ok());
    for (field, value) in [
        ("/kdf/name", "pbkdf2".into()),
        ("/kdf/params/N", 65537.into()),
        ("/kdf/params/N", 0.into()),
        ("/kdf/params/N", (1u64 << 40).into()),
        ("/kdf/params/r", 9.into()),
        ("/kdf/params/p", 1_000_000.into()),
        ("/kdf/salt", "!".into()),
        ("/kdf", 7.into()),
        ("/cipher/name", "aes".into()),
        ("/cipher/nonce", "AAAA".into()),
        ("/ciphertext", "AAAA".into()),
        ("/ciphertext", serde_json::Value::Null),
    ] {
        let changed = changed_key(|document| *document.pointer_mut(field).unwrap() = value.clone());
        let problem = changed.unwrap_err();
        assert!(
            matches!(problem, KeyProblem::InvalidEncryption(_)),
            "{field}: {problem}"
        );
    }
    let changed = changed_key(|document| {
        let text = document["ciphertext"].as_str().unwrap();
        let mut bytes = STANDARD.decode(text).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        document["ciphertext"] = STANDARD.encode(bytes).into();
    });
    assert_eq!(changed.unwrap_err(), KeyProblem::WrongPassword);
}
