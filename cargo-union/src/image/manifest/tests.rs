#![allow(clippy::unwrap_used)]

use super::*;

fn raw(json: &str) -> RawManifest {
    let blob = Blob::of_bytes("application/json", json.to_owned());
    RawManifest {
        descriptor: blob.descriptor,
        bytes: json.to_owned().into(),
    }
}

fn descriptor(media_type: &str) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":5}}"#,
        crate::sys::digest::Digest::of("hello")
    )
}

fn image_with_layer(layer: &str) -> RawManifest {
    let config = descriptor("application/vnd.docker.container.image.v1+json");
    raw(&format!(
        r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
        descriptor(layer)
    ))
}

#[test]
fn docker_layers_get_oci_media_types_and_keep_their_digest() {
    let BaseManifest::Image(image) =
        read("debian", &image_with_layer(media_type::DOCKER_LAYER_GZIP)).unwrap()
    else {
        panic!()
    };
    assert_eq!(image.layers[0].media_type, media_type::OCI_LAYER_GZIP);
    assert_eq!(
        image.layers[0].digest,
        crate::sys::digest::Digest::of("hello")
    );
}

#[test]
fn foreign_and_unknown_layers_are_refused() {
    for (layer, why) in [
        (
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "may not be copied",
        ),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "may not be copied",
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "unsupported media type",
        ),
    ] {
        let error = read("windows", &image_with_layer(layer)).unwrap_err();
        assert_eq!(error.code(), Code::BaseUnsupported);
        assert!(
            error.chain().join(": ").contains(why),
            "{layer}: {:?}",
            error.chain()
        );
    }
}

#[test]
fn schema_1_and_artifacts_are_refused() {
    let artifact = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor("application/vnd.cncf.helm.config.v1+json"),
        descriptor(media_type::OCI_LAYER)
    );
    for json in [
        r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#,
        &artifact,
    ] {
        assert_eq!(
            read("old", &raw(json)).unwrap_err().code(),
            Code::BaseUnsupported,
            "{json}"
        );
    }
    assert_eq!(
        read("html", &raw("<html>")).unwrap_err().code(),
        Code::BaseCorrupt
    );
}

#[test]
fn attestations_of_an_index_are_skipped() {
    let entry = |platform: &str| {
        let descriptor = descriptor(media_type::OCI_MANIFEST);
        format!(
            r#"{},"platform":{platform}}}"#,
            descriptor.trim_end_matches('}')
        )
    };
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{}]}}"#,
        entry(r#"{"os":"linux","architecture":"amd64"}"#),
        entry(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#),
        entry(r#"{"os":"unknown","architecture":"unknown"}"#)
    );
    let BaseManifest::Index(variants) = read("debian", &raw(&index)).unwrap() else {
        panic!()
    };
    let platforms: Vec<_> = variants
        .iter()
        .map(|variant| variant.platform.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(
        candidates(&variants, &"linux/arm64".parse().unwrap()),
        [&variants[1]]
    );
    assert_eq!(
        candidates(&variants, &"linux/s390x".parse().unwrap()),
        [&variants[0]; 0]
    );
}

#[test]
fn candidates_of_an_index_are_sorted_by_distance() {
    let entry = |platform: &str| {
        let descriptor = descriptor(media_type::OCI_MANIFEST);
        let Some(open) = descriptor.strip_suffix('}') else {
            panic!()
        };
        format!(r#"{open},"platform":{platform}}}"#)
    };
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{},{},{}]}}"#,
        entry("null"),
        entry(r#"{"os":"linux","architecture":"arm","variant":"v5"}"#),
        entry(r#"{"os":"linux","architecture":"arm","variant":"v6"}"#),
        entry(r#"{"os":"linux","architecture":"arm"}"#),
        entry(r#"{"os":null,"architecture":""}"#)
    );
    let BaseManifest::Index(variants) = read("debian", &raw(&index)).unwrap() else {
        panic!()
    };
    let positions = |platform: &str| {
        let candidates = candidates(&variants, &platform.parse().unwrap());
        candidates
            .iter()
            .map(|variant| {
                variants
                    .iter()
                    .position(|other| std::ptr::eq(other, *variant))
                    .unwrap()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(positions("linux/arm/v7"), [3, 2, 1, 0, 4]);
    assert_eq!(positions("linux/arm/v6"), [2, 1, 0, 4]);
    assert_eq!(positions("linux/amd64"), [0, 4]);
}

#[test]
fn layers_of_a_manifest_may_be_null() {
    let config = descriptor(media_type::OCI_CONFIG);
    for layers in ["null", "[]"] {
        let json = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":{layers},"annotations":{{"a":null}}}}"#
        );
        assert!(
            matches!(read("empty", &raw(&json)).unwrap(), BaseManifest::Image(image) if image.layers.is_empty()),
            "{layers}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn parsing_a_manifest_never_panics(text in "\\PC{0,200}", parts in proptest::collection::vec(0..PIECES.len(), 0..12)) {
        let pieces: String = parts.into_iter().map(|part| PIECES[part]).collect();
        for text in [text, format!("{{{pieces}}}"), format!(r#"{{"schemaVersion":2,{pieces}}}"#)] {
            let _ = summary(text.as_bytes());
            if let Ok(BaseManifest::Index(variants)) = read("any", &raw(&text)) {
                let _ = candidates(&variants, &Platform::new("linux", "arm", None));
            }
        }
    }
}

const PIECES: &[&str] = &[
    r#""manifests":"#,
    r#""layers":"#,
    r#""config":"#,
    r#""annotations":"#,
    r#""platform":"#,
    r#""size":-1"#,
    r#""size":18446744073709551616"#,
    r#""digest":"sha256:""#,
    r#""digest":"sha512:0""#,
    "[",
    "]",
    "{",
    "}",
    ",",
    "null",
    "{}",
    "[]",
    r#""mediaType":7"#,
    r#""os":"linux""#,
];

#[test]
fn summary_of_a_manifest_has_its_key_and_blobs() {
    let config = Blob::of_bytes(media_type::OCI_CONFIG, "{}");
    let annotations = BTreeMap::from([(KEY.to_owned(), "abc".to_owned())]);
    let manifest = manifest(&config.descriptor, &[], &annotations);
    let super::super::layer::BlobSource::Bytes(bytes) = &manifest.content else {
        panic!()
    };
    let summary = summary(bytes).unwrap();
    assert_eq!(
        (summary.key.as_deref(), &summary.blobs[..]),
        (Some("abc"), &[config.descriptor][..])
    );
}
