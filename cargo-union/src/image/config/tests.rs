#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::layer::BlobSource;

fn base(config: Value) -> BaseConfig {
    let layer = DiffId::of("layer");
    let value = json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created_by": "ADD rootfs" }, { "created_by": "CMD", "empty_layer": true }],
    });
    BaseConfig::read("debian", value.to_string().as_bytes(), 1).unwrap()
}

fn default_options(platform: &Platform) -> ConfigOptions<'_> {
    ConfigOptions {
        platform,
        key: "k".to_owned(),
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        entrypoint: None,
        command: None,
        user: None,
        workdir: None,
        layers: vec![(DiffId::of("ours"), "cargo union: binaries")],
        epoch: 0,
    }
}

fn written(base: Option<&BaseConfig>, options: &ConfigOptions<'_>) -> Value {
    let BlobSource::Bytes(bytes) = config(base, options).content else {
        panic!()
    };
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn entrypoint_and_command_of_the_base_are_not_inherited() {
    let platform = "linux/amd64".parse().unwrap();
    let base = base(
        json!({ "Entrypoint": ["/opt/nvidia/entrypoint.sh"], "Cmd": ["bash"], "OnBuild": ["RUN x"] }),
    );
    let config = written(Some(&base), &default_options(&platform));
    for field in ["Entrypoint", "Cmd", "OnBuild"] {
        assert_eq!(config["config"].get(field), None, "{field}");
    }
}

#[test]
fn sole_binary_is_the_command_and_spec_sets_entrypoint() {
    let platform = "linux/amd64".parse().unwrap();
    let entrypoint = ["/usr/bin/tini".to_owned(), "--".to_owned()];
    let options = ConfigOptions {
        command: Some("/union/bin/train".to_owned()),
        entrypoint: Some(&entrypoint),
        ..default_options(&platform)
    };
    let config = written(None, &options);
    assert_eq!(config["config"]["Cmd"], json!(["/union/bin/train"]));
    assert_eq!(
        config["config"]["Entrypoint"],
        json!(["/usr/bin/tini", "--"])
    );
}

#[test]
fn variables_of_the_base_are_inherited_unless_the_spec_sets_them() {
    let platform = "linux/amd64".parse().unwrap();
    let base = base(json!({ "Env": ["PATH=/usr/bin", "LANG=C", "UNION_IMAGE_ID=old"] }));
    let options = ConfigOptions {
        env: BTreeMap::from([("LANG", "C.UTF-8"), ("A", "=b=")]),
        ..default_options(&platform)
    };
    let env = written(Some(&base), &options)["config"]["Env"].clone();
    assert_eq!(
        env,
        json!(["PATH=/usr/bin", "LANG=C.UTF-8", "A==b=", "UNION_IMAGE_ID=k"])
    );
}

#[test]
fn working_directory_of_the_base_is_normalized() {
    for (written, read) in [
        ("", ""),
        ("/", ""),
        ("/app", "app"),
        ("app/./x/", "app/x"),
        ("/a/../../b", "b"),
    ] {
        assert_eq!(
            base(json!({ "WorkingDir": written })).workdir(),
            read,
            "{written}"
        );
    }
    assert_eq!(base(json!({})).workdir(), "");
}

#[test]
fn ports_volumes_workdir_signal_and_labels_of_the_base_are_inherited_except_start_check() {
    let platform = "linux/amd64".parse().unwrap();
    let inherited = json!({
        "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/data": {} }, "StopSignal": "SIGINT",
        "WorkingDir": "/srv", "Labels": { "a": "1", "b": "1", "union.start-check": "skipped" },
    });
    let options = ConfigOptions {
        labels: BTreeMap::from([("b", "2")]),
        ..default_options(&platform)
    };
    let config = written(Some(&base(inherited.clone())), &options)["config"].clone();
    for field in ["ExposedPorts", "Volumes", "StopSignal", "WorkingDir"] {
        assert_eq!(config[field], inherited[field]);
    }
    assert_eq!(
        config["Labels"],
        json!({ "a": "1", "b": "2", "union.key": "k" })
    );
}

#[test]
fn history_has_an_entry_per_layer_even_if_the_base_has_no_history() {
    let platform = "linux/amd64".parse().unwrap();
    let mut bare = base(json!({}));
    let own = json!({ "created": "1970-01-01T00:00:00Z", "created_by": "cargo union: binaries" });
    let config = written(Some(&bare), &default_options(&platform));
    assert_eq!(
        config["history"],
        json!([{ "created_by": "ADD rootfs" }, { "created_by": "CMD", "empty_layer": true }, own])
    );
    assert_eq!(
        config["rootfs"]["diff_ids"],
        json!([DiffId::of("layer"), DiffId::of("ours")])
    );
    bare.value["history"] = json!([]);
    let config = written(Some(&bare), &default_options(&platform));
    assert_eq!(config["history"].as_array().map(Vec::len), Some(2));
}

#[test]
fn config_with_a_different_number_of_layers_is_refused() {
    let config = json!({ "rootfs": { "diff_ids": [DiffId::of("a")] } }).to_string();
    let error = BaseConfig::read("debian", config.as_bytes(), 2).unwrap_err();
    assert_eq!(error.code(), Code::BaseCorrupt);
}

#[test]
fn timestamps_are_formatted_as_rfc3339() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_000_000_000, "2001-09-09T01:46:40Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(rfc3339(seconds), text);
    }
}

proptest::proptest! {
    #[test]
    fn parsing_a_config_never_panics(text in "\\PC{0,60}", parts in proptest::collection::vec(0..PIECES.len(), 0..12)) {
        let pieces: String = parts.into_iter().map(|part| PIECES[part]).collect();
        let complete = format!(r#"{{"rootfs":{{"diff_ids":[]}},{pieces}}}"#);
        for text in [text, pieces, complete] {
            labels_of(text.as_bytes());
            if let Ok(base) = BaseConfig::read("any", text.as_bytes(), 0) {
                let platform = base.platform();
                base.with_platform(&platform);
                written(Some(&base), &default_options(&platform));
            }
        }
    }
}

const PIECES: &[&str] = &[
    r#""config":"#,
    r#""history":"#,
    r#""Env":"#,
    r#""Labels":"#,
    r#""os":"#,
    r#""variant":7"#,
    r#""WorkingDir":"#,
    "null",
    "7",
    "{",
    "}",
    "[",
    "]",
    ",",
    r#""A=b""#,
    r#""UNION_TASK_INTERFACES=?""#,
];

#[test]
fn with_platform_replaces_the_platform_of_a_config() {
    let mut base = base(json!({ "Env": ["A=b"] }));
    base.value["variant"] = json!("v8");
    let written = base.with_platform(&"linux/s390x".parse().unwrap());
    let BlobSource::Bytes(bytes) = &written.content else {
        panic!()
    };
    let parsed = BaseConfig::read("base", bytes, 1).unwrap();
    assert_eq!(
        (
            parsed.platform().to_string(),
            parsed.variable("A"),
            parsed.diff_ids()
        ),
        ("linux/s390x".to_owned(), Some("b"), base.diff_ids())
    );
}
