//! An image's config: what of the base's stays, what the spec says, and what is ours.
//!
//! The base's Entrypoint and Cmd never stay: Kubernetes runs ENTRYPOINT with the arguments of the
//! task, so a base's entrypoint would swallow them. Fields beyond those that OCI knows (OnBuild,
//! Healthcheck, Shell) belong to Docker's build of the base and stay behind as well.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use union_build::diag::Code;

use super::layer::{Blob, media_type};
use super::manifest::{KEY, START_CHECK};
use super::platform::Platform;
use crate::sys::digest::DiffId;
use crate::sys::error::{Error, Result};

/// The environment variable by which a running container knows its image's key.
pub const IMAGE_ID: &str = "UNION_IMAGE_ID";

/// The variable that holds labels of an image whose builder has none: JSON in URL-safe base64.
pub const TASK_INTERFACES: &str = "UNION_TASK_INTERFACES";

/// A base's config.
#[derive(Clone, Debug)]
pub struct BaseConfig {
    value: Value,
    diff_ids: Vec<DiffId>,
}

impl BaseConfig {
    /// Reads the config of a base with so many layers; `name` is what the user knows it by.
    ///
    /// # Errors
    /// `BaseCorrupt`.
    pub fn read(name: &str, bytes: &[u8], layers: usize) -> Result<Self> {
        let corrupt = || Error::new(Code::BaseCorrupt, format!("could not read the config of base image `{name}`"));
        let value: Value = serde_json::from_slice(bytes).map_err(|cause| corrupt().because(cause))?;
        let diff_ids: Vec<DiffId> =
            serde_json::from_value(value["rootfs"]["diff_ids"].clone()).map_err(|cause| corrupt().because(cause))?;
        if diff_ids.len() != layers {
            return Err(corrupt().because(format!("it lists {} layers and the manifest {layers}", diff_ids.len())));
        }
        Ok(Self { value, diff_ids })
    }

    /// The uncompressed digests of its layers, lowest first.
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// The platform it was made for; without a name where it says none.
    pub fn platform(&self) -> Platform {
        let text = |field: &str| self.value[field].as_str().unwrap_or_default();
        Platform::new(text("os"), text("architecture"), self.value["variant"].as_str())
    }

    /// The same config for a platform, as a blob: whoever runs it asks the config, and not the index.
    pub fn with_platform(&self, platform: &Platform) -> Blob {
        let mut value = self.value.clone();
        value["os"] = json!(platform.os);
        value["architecture"] = json!(platform.architecture);
        match &platform.variant {
            Some(variant) => value["variant"] = json!(variant),
            None => drop(value.as_object_mut().map(|fields| fields.remove("variant"))),
        }
        Blob::of_bytes(media_type::OCI_CONFIG, sorted(value).to_string())
    }

    /// Its user, when it names one.
    pub fn user(&self) -> Option<&str> {
        self.value["config"]["User"].as_str().filter(|user| !user.is_empty())
    }

    /// Its environment variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.value["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
        variables.filter_map(|variable| variable.split_once('='))
    }

    /// The value of one of its environment variables.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Its working directory, without a leading slash; empty is the root.
    pub fn workdir(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.value["config"]["WorkingDir"].as_str().unwrap_or_default().split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    /// Its history, when that agrees with its layers: a builder may leave it out.
    fn history(&self) -> Option<Vec<Value>> {
        let history = self.value["history"].as_array()?;
        let layers = history.iter().filter(|entry| entry["empty_layer"] != json!(true)).count();
        (layers == self.diff_ids.len()).then(|| history.clone())
    }
}

/// The labels of a config, with those that stand in a variable because its builder has no labels; none
/// when it is not a config.
pub fn labels_of(config: &[u8]) -> BTreeMap<String, String> {
    let value: Value = serde_json::from_slice(config).unwrap_or_default();
    let labels = value["config"]["Labels"].as_object().into_iter().flatten();
    let mut labels: BTreeMap<_, _> = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let variables = value["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let told = variables.filter_map(|variable| variable.strip_prefix(TASK_INTERFACES)?.strip_prefix('=')).next_back();
    labels.extend(
        told.and_then(|told| serde_json::from_slice::<BTreeMap<_, _>>(&URL_SAFE_NO_PAD.decode(told).ok()?).ok()).unwrap_or_default(),
    );
    labels
}

/// What the image's own config says.
#[derive(Clone, Debug)]
pub struct ConfigOptions<'a> {
    /// The platform.
    pub platform: &'a Platform,
    /// The full key.
    pub key: String,
    /// Environment variables.
    pub env: BTreeMap<&'a str, &'a str>,
    /// Labels.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Entrypoint.
    pub entrypoint: Option<&'a [String]>,
    /// Path of the one binary, what a plain `docker run` starts.
    pub command: Option<String>,
    /// `user[:group]` in numbers; `None` is the engine's default, root.
    pub user: Option<String>,
    /// Working folder; `None` keeps the base's.
    pub workdir: Option<&'a str>,
    /// Our layers above the base's: uncompressed digest, and what made it.
    pub layers: Vec<(DiffId, &'static str)>,
    /// Seconds since 1970 of every timestamp.
    pub epoch: u64,
}

/// Writes the config of an image upon a base, or upon nothing.
pub fn config(base: Option<&BaseConfig>, wanted: &ConfigOptions<'_>) -> Blob {
    let created = rfc3339(wanted.epoch);
    let diff_ids = base.map_or(&[][..], BaseConfig::diff_ids).iter().chain(wanted.layers.iter().map(|(diff_id, _)| diff_id));
    let mut config = json!({
        "architecture": wanted.platform.architecture,
        "config": run_config(base, wanted),
        "created": created,
        "history": history(base, wanted, &created),
        "os": wanted.platform.os,
        "rootfs": { "type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>() },
    });
    if let Some(variant) = &wanted.platform.variant {
        config["variant"] = json!(variant);
    }
    Blob::of_bytes(media_type::OCI_CONFIG, sorted(config).to_string())
}

/// Sorts every object by its names: serde_json keeps the order of insertion as soon as any crate of
/// the build asks it to, and the digest must not depend on that.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn run_config(base: Option<&BaseConfig>, wanted: &ConfigOptions<'_>) -> Value {
    const KEPT: [&str; 4] = ["ExposedPorts", "StopSignal", "Volumes", "WorkingDir"];
    let nothing = Value::Null;
    let from_base = base.map_or(&nothing, |base| &base.value["config"]);
    let mut config = Map::new();
    for field in KEPT {
        if let Some(value) = from_base.get(field).filter(|value| !value.is_null() && **value != json!("")) {
            config.insert(field.to_owned(), value.clone());
        }
    }
    config.insert("Env".to_owned(), json!(env(from_base, wanted)));
    config.insert("Labels".to_owned(), labels(from_base, wanted));
    let mut set = |field: &str, value: Option<Value>| drop(value.map(|value| config.insert(field.to_owned(), value)));
    set("WorkingDir", wanted.workdir.map(|workdir| json!(workdir)));
    set("User", wanted.user.as_ref().map(|user| json!(user)));
    set("Entrypoint", wanted.entrypoint.map(|entrypoint| json!(entrypoint)));
    set("Cmd", wanted.command.as_ref().map(|command| json!([command])));
    Value::Object(config)
}

/// The base's variables in their order, with ours in place of those of the same name and the rest
/// after them.
fn env(base: &Value, wanted: &ConfigOptions<'_>) -> Vec<String> {
    let mut ours: BTreeMap<&str, &str> = wanted.env.clone();
    ours.remove(IMAGE_ID);
    let mut env = Vec::new();
    for variable in base["Env"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name = variable.split_once('=').map_or(variable, |(name, _)| name);
        match ours.remove(name) {
            Some(value) => env.push(format!("{name}={value}")),
            None if name == IMAGE_ID => {}
            None => env.push(variable.to_owned()),
        }
    }
    env.extend(ours.into_iter().map(|(name, value)| format!("{name}={value}")));
    env.push(format!("{IMAGE_ID}={}", wanted.key));
    env
}

fn labels(base: &Value, wanted: &ConfigOptions<'_>) -> Value {
    let mut labels = base["Labels"].as_object().cloned().unwrap_or_default();
    // What was not checked of the base says nothing of this image.
    labels.remove(START_CHECK);
    labels.extend(wanted.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    labels.insert(KEY.to_owned(), json!(wanted.key));
    Value::Object(labels)
}

/// One entry per layer, as engines check. Ours name no path of the host.
fn history(base: Option<&BaseConfig>, wanted: &ConfigOptions<'_>, created: &str) -> Vec<Value> {
    let unknown = |base: &BaseConfig| base.diff_ids.iter().map(|_| json!({ "created": created, "created_by": "base image" })).collect();
    let mut history = base.map_or_else(Vec::new, |base| base.history().unwrap_or_else(|| unknown(base)));
    history.extend(wanted.layers.iter().map(|(_, made_by)| json!({ "created": created, "created_by": made_by })));
    history
}

/// Seconds since 1970 as `2001-09-09T01:46:40Z`.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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

    fn wanted(platform: &Platform) -> ConfigOptions<'_> {
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

    fn written(base: Option<&BaseConfig>, wanted: &ConfigOptions<'_>) -> Value {
        let BlobSource::Bytes(bytes) = config(base, wanted).content else { panic!() };
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn the_entrypoint_and_command_of_the_base_are_cleared() {
        let platform = "linux/amd64".parse().unwrap();
        let base = base(json!({ "Entrypoint": ["/opt/nvidia/entrypoint.sh"], "Cmd": ["bash"], "OnBuild": ["RUN x"] }));
        let config = written(Some(&base), &wanted(&platform));
        for field in ["Entrypoint", "Cmd", "OnBuild"] {
            assert_eq!(config["config"].get(field), None, "{field}");
        }
    }

    #[test]
    fn the_one_binary_is_the_command_and_the_entrypoint_is_the_specs() {
        let platform = "linux/amd64".parse().unwrap();
        let entrypoint = ["/usr/bin/tini".to_owned(), "--".to_owned()];
        let wanted = ConfigOptions { command: Some("/union/bin/train".to_owned()), entrypoint: Some(&entrypoint), ..wanted(&platform) };
        let config = written(None, &wanted);
        assert_eq!(config["config"]["Cmd"], json!(["/union/bin/train"]));
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/tini", "--"]));
    }

    #[test]
    fn variables_of_the_base_stay_unless_the_spec_has_them() {
        let platform = "linux/amd64".parse().unwrap();
        let base = base(json!({ "Env": ["PATH=/usr/bin", "LANG=C", "UNION_IMAGE_ID=old"] }));
        let wanted = ConfigOptions { env: BTreeMap::from([("LANG", "C.UTF-8"), ("A", "=b=")]), ..wanted(&platform) };
        let env = written(Some(&base), &wanted)["config"]["Env"].clone();
        assert_eq!(env, json!(["PATH=/usr/bin", "LANG=C.UTF-8", "A==b=", "UNION_IMAGE_ID=k"]));
    }

    #[test]
    fn the_working_directory_of_the_base_is_a_path_from_the_root() {
        for (written, read) in [("", ""), ("/", ""), ("/app", "app"), ("app/./x/", "app/x"), ("/a/../../b", "b")] {
            assert_eq!(base(json!({ "WorkingDir": written })).workdir(), read, "{written}");
        }
        assert_eq!(base(json!({})).workdir(), "");
    }

    #[test]
    fn ports_volumes_folder_signal_and_labels_of_the_base_stay_save_what_we_said_of_it() {
        let platform = "linux/amd64".parse().unwrap();
        let kept = json!({
            "ExposedPorts": { "80/tcp": {} }, "Volumes": { "/data": {} }, "StopSignal": "SIGINT",
            "WorkingDir": "/srv", "Labels": { "a": "1", "b": "1", "union.start-check": "skipped" },
        });
        let wanted = ConfigOptions { labels: BTreeMap::from([("b", "2")]), ..wanted(&platform) };
        let config = written(Some(&base(kept.clone())), &wanted)["config"].clone();
        for field in ["ExposedPorts", "Volumes", "StopSignal", "WorkingDir"] {
            assert_eq!(config[field], kept[field]);
        }
        assert_eq!(config["Labels"], json!({ "a": "1", "b": "2", "union.key": "k" }));
    }

    #[test]
    fn history_and_layers_agree_even_where_the_base_has_no_history() {
        let platform = "linux/amd64".parse().unwrap();
        let mut bare = base(json!({}));
        let own = json!({ "created": "1970-01-01T00:00:00Z", "created_by": "cargo union: binaries" });
        let config = written(Some(&bare), &wanted(&platform));
        assert_eq!(config["history"], json!([{ "created_by": "ADD rootfs" }, { "created_by": "CMD", "empty_layer": true }, own]));
        assert_eq!(config["rootfs"]["diff_ids"], json!([DiffId::of("layer"), DiffId::of("ours")]));
        bare.value["history"] = json!([]);
        let config = written(Some(&bare), &wanted(&platform));
        assert_eq!(config["history"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_config_that_lists_other_layers_than_the_manifest_is_refused() {
        let config = json!({ "rootfs": { "diff_ids": [DiffId::of("a")] } }).to_string();
        let error = BaseConfig::read("debian", config.as_bytes(), 2).unwrap_err();
        assert_eq!(error.code(), Code::BaseCorrupt);
    }

    #[test]
    fn timestamps_are_those_of_the_calendar() {
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
        fn no_config_is_a_panic(text in "\\PC{0,60}", parts in proptest::collection::vec(0..PIECES.len(), 0..12)) {
            let pieces: String = parts.into_iter().map(|part| PIECES[part]).collect();
            let whole = format!(r#"{{"rootfs":{{"diff_ids":[]}},{pieces}}}"#);
            for text in [text, pieces, whole] {
                labels_of(text.as_bytes());
                if let Ok(base) = BaseConfig::read("any", text.as_bytes(), 0) {
                    let platform = base.platform();
                    base.with_platform(&platform);
                    written(Some(&base), &wanted(&platform));
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
    fn a_config_is_rewritten_for_the_platform_of_its_index() {
        let mut base = base(json!({ "Env": ["A=b"] }));
        base.value["variant"] = json!("v8");
        let written = base.with_platform(&"linux/s390x".parse().unwrap());
        let BlobSource::Bytes(bytes) = &written.content else { panic!() };
        let again = BaseConfig::read("base", bytes, 1).unwrap();
        assert_eq!(
            (again.platform().to_string(), again.variable("A"), again.diff_ids()),
            ("linux/s390x".to_owned(), Some("b"), base.diff_ids())
        );
    }
}
