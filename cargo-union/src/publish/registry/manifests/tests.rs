#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn manifest_media_type_falls_back_to_its_content() {
    for (text, content_type, kind) in [
        (r#"{"mediaType":"x"}"#, media_type::OCI_MANIFEST, "x"),
        (
            r#"{"layers":[]}"#,
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_MANIFEST,
        ),
        (
            r#"{"layers":[]}"#,
            "application/json",
            media_type::OCI_MANIFEST,
        ),
        (r#"{"manifests":[]}"#, "text/plain", media_type::OCI_INDEX),
        (
            r#"{"schemaVersion":1}"#,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
    ] {
        assert_eq!(
            serde_json::from_str::<ManifestShape>(text)
                .unwrap()
                .media_type(content_type),
            kind
        );
    }
}
