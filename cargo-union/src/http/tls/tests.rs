#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn certs_d_directories_are_named_by_host_and_port() {
    let root = tempfile::tempdir().unwrap();
    let (docker, podman) = (root.path().join("docker"), root.path().join("podman"));
    for directory in [
        "docker/reg.test",
        "docker/reg.test:443",
        "podman/reg.test",
        "podman/reg.test:5000",
        "docker/[2001:db8::1]:5000",
    ] {
        std::fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    let trust = TlsConfig::new(Authorities {
        registries: vec![podman, docker],
        ..Authorities::default()
    });
    for (url, expected) in [
        (
            "https://reg.test/v2/",
            &["podman/reg.test", "docker/reg.test", "docker/reg.test:443"][..],
        ),
        (
            "https://REG.test:443",
            &["podman/reg.test", "docker/reg.test", "docker/reg.test:443"],
        ),
        ("https://reg.test:5000", &["podman/reg.test:5000"]),
        ("https://[2001:db8::1]:5000", &["docker/[2001:db8::1]:5000"]),
        ("https://other.test", &[]),
        ("https://../", &[]),
    ] {
        let Ok(url) = Url::parse(url) else { continue };
        assert_eq!(
            trust.directories_of(&url),
            expected
                .iter()
                .map(|directory| root.path().join(directory))
                .collect::<Vec<_>>(),
            "{url}"
        );
    }
}
#[test]
fn advice_fits_the_alert_that_a_server_sends() {
    let trust = TlsConfig::new(Authorities {
        registries: vec!["/certs.d".into()],
        ..Authorities::default()
    });
    let flyte = TlsConfig::new(Authorities::default());
    for (alert, words) in [
        (AlertDescription::ProtocolVersion, "TLS 1.2 or 1.3"),
        (
            AlertDescription::UnrecognisedName,
            "does not serve `reg.test:5000`",
        ),
        (
            AlertDescription::CertificateRequired,
            "`/certs.d/reg.test:5000`",
        ),
        (AlertDescription::HandshakeFailure, "`client.cert`"),
    ] {
        let advice = trust
            .advice("reg.test:5000", &rustls::Error::AlertReceived(alert))
            .unwrap();
        assert!(advice.contains(words), "{alert:?}: {advice}");
    }
    let bad_signature = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
    assert!(
        trust
            .advice("reg.test", &bad_signature)
            .unwrap()
            .contains("`/certs.d/reg.test` as `ca.crt`")
    );
    assert_eq!(flyte.advice("reg.test", &bad_signature), None);
    assert_eq!(
        flyte.advice(
            "reg.test",
            &rustls::Error::AlertReceived(AlertDescription::CertificateRequired)
        ),
        None
    );
}
