//! The config of an image, merged from the base's config and the settings of the spec.
//!
//! Entrypoint and Cmd of the base are dropped: Kubernetes passes the arguments of a task to the entrypoint, and the
//! base's would consume them. Fields that are not in the OCI image spec (OnBuild, Healthcheck, Shell) are dropped, too.

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

/// The environment variable with the image's key, for running containers.
pub const IMAGE_ID: &str = "UNION_IMAGE_ID";

/// The environment variable with the labels of an image whose builder does not support labels: a JSON object in
/// URL-safe base64 without padding.
pub const TASK_INTERFACES: &str = "UNION_TASK_INTERFACES";

/// The config of a base image.
#[derive(Clone, Debug)]
pub struct BaseConfig {
    value: Value,
    diff_ids: Vec<DiffId>,
}

impl BaseConfig {
    /// Parses the config of a base; `layers` is the number of layers in its manifest, `name` is for error messages.
    ///
    /// # Errors
    /// `BaseCorrupt` when it is not valid, or has a different number of layers.
    pub fn read(name: &str, bytes: &[u8], layers: usize) -> Result<Self> {
        let corrupt = || {
            Error::new(
                Code::BaseCorrupt,
                format!("could not read the config of base image `{name}`"),
            )
        };
        let value: Value =
            serde_json::from_slice(bytes).map_err(|cause| corrupt().because(cause))?;
        let diff_ids: Vec<DiffId> = serde_json::from_value(value["rootfs"]["diff_ids"].clone())
            .map_err(|cause| corrupt().because(cause))?;
        if diff_ids.len() != layers {
            return Err(corrupt().because(format!(
                "it lists {} layers and the manifest {layers}",
                diff_ids.len()
            )));
        }
        Ok(Self { value, diff_ids })
    }

    /// Digests of the uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// The platform; operating system and architecture are empty if the config does not have them.
    pub fn platform(&self) -> Platform {
        let text = |field: &str| self.value[field].as_str().unwrap_or_default();
        Platform::new(
            text("os"),
            text("architecture"),
            self.value["variant"].as_str(),
        )
    }

    /// The config with another platform, as a blob: container runtimes check the platform of the config.
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

    /// `config.User`; `None` if it is missing or empty.
    pub fn user(&self) -> Option<&str> {
        self.value["config"]["User"]
            .as_str()
            .filter(|user| !user.is_empty())
    }

    /// `config.Env` as names and values.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.value["config"]["Env"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        variables.filter_map(|variable| variable.split_once('='))
    }

    /// The value of a variable of `config.Env`.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// `config.WorkingDir`, normalized, without a leading slash; empty is the root.
    pub fn workdir(&self) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.value["config"]["WorkingDir"]
            .as_str()
            .unwrap_or_default()
            .split('/')
        {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }

    /// The history, if it is consistent with the layers; builders may omit it.
    fn history(&self) -> Option<Vec<Value>> {
        let history = self.value["history"].as_array()?;
        let layers = history
            .iter()
            .filter(|entry| entry["empty_layer"] != json!(true))
            .count();
        (layers == self.diff_ids.len()).then(|| history.clone())
    }
}

/// The labels of a config, including those in [`TASK_INTERFACES`]; empty if the bytes are not a config.
pub fn labels_of(config: &[u8]) -> BTreeMap<String, String> {
    let value: Value = serde_json::from_slice(config).unwrap_or_default();
    let labels = value["config"]["Labels"].as_object().into_iter().flatten();
    let mut labels: BTreeMap<_, _> = labels
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let variables = value["config"]["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let encoded = variables
        .filter_map(|variable| variable.strip_prefix(TASK_INTERFACES)?.strip_prefix('='))
        .next_back();
    let decoded = encoded.and_then(|encoded| {
        serde_json::from_slice::<BTreeMap<_, _>>(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
    });
    labels.extend(decoded.unwrap_or_default());
    labels
}

/// The settings of an image's config that are merged with the base's config.
#[derive(Clone, Debug)]
pub struct ConfigOptions<'a> {
    /// Replaces the platform of the base.
    pub platform: &'a Platform,
    /// The content key, for [`KEY`] and [`IMAGE_ID`].
    pub key: String,
    /// Environment variables, added to those of the base.
    pub env: BTreeMap<&'a str, &'a str>,
    /// Labels, added to those of the base.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Entrypoint; the base's is never inherited.
    pub entrypoint: Option<&'a [String]>,
    /// `Cmd`: the path of the only binary.
    pub command: Option<String>,
    /// `user[:group]` as IDs; `None` is root.
    pub user: Option<String>,
    /// Working directory; `None` inherits the base's.
    pub workdir: Option<&'a str>,
    /// The layers on top of the base: diff ID, and `created_by` of the history entry.
    pub layers: Vec<(DiffId, &'static str)>,
    /// Every timestamp, in seconds since the Unix epoch.
    pub epoch: u64,
}

/// The config of an image on a base, or from scratch.
pub fn config(base: Option<&BaseConfig>, options: &ConfigOptions<'_>) -> Blob {
    let created = rfc3339(options.epoch);
    let diff_ids = base
        .map_or(&[][..], BaseConfig::diff_ids)
        .iter()
        .chain(options.layers.iter().map(|(diff_id, _)| diff_id));
    let mut config = json!({
        "architecture": options.platform.architecture,
        "config": run_config(base, options),
        "created": created,
        "history": history(base, options, &created),
        "os": options.platform.os,
        "rootfs": { "type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>() },
    });
    if let Some(variant) = &options.platform.variant {
        config["variant"] = json!(variant);
    }
    Blob::of_bytes(media_type::OCI_CONFIG, sorted(config).to_string())
}

/// Sorts the keys of every object: serde_json preserves the insertion order if any crate of the build enables that
/// feature, and the digest must not depend on it.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn run_config(base: Option<&BaseConfig>, options: &ConfigOptions<'_>) -> Value {
    const INHERITED: [&str; 4] = ["ExposedPorts", "StopSignal", "Volumes", "WorkingDir"];
    let nothing = Value::Null;
    let from_base = base.map_or(&nothing, |base| &base.value["config"]);
    let mut config = Map::new();
    for field in INHERITED {
        if let Some(value) = from_base
            .get(field)
            .filter(|value| !value.is_null() && **value != json!(""))
        {
            config.insert(field.to_owned(), value.clone());
        }
    }
    config.insert("Env".to_owned(), json!(env(from_base, options)));
    config.insert("Labels".to_owned(), labels(from_base, options));
    let mut set = |field: &str, value: Option<Value>| {
        drop(value.map(|value| config.insert(field.to_owned(), value)))
    };
    set("WorkingDir", options.workdir.map(|workdir| json!(workdir)));
    set("User", options.user.as_ref().map(|user| json!(user)));
    set(
        "Entrypoint",
        options.entrypoint.map(|entrypoint| json!(entrypoint)),
    );
    set(
        "Cmd",
        options.command.as_ref().map(|command| json!([command])),
    );
    Value::Object(config)
}

/// The variables of the base in their order, with replaced values, followed by new variables.
fn env(base: &Value, options: &ConfigOptions<'_>) -> Vec<String> {
    let mut added: BTreeMap<&str, &str> = options.env.clone();
    added.remove(IMAGE_ID);
    let mut env = Vec::new();
    for variable in base["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let name = variable.split_once('=').map_or(variable, |(name, _)| name);
        match added.remove(name) {
            Some(value) => env.push(format!("{name}={value}")),
            None if name == IMAGE_ID => {}
            None => env.push(variable.to_owned()),
        }
    }
    env.extend(
        added
            .into_iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    env.push(format!("{IMAGE_ID}={}", options.key));
    env
}

fn labels(base: &Value, options: &ConfigOptions<'_>) -> Value {
    let mut labels = base["Labels"].as_object().cloned().unwrap_or_default();
    // The label of the base does not apply to this image.
    labels.remove(START_CHECK);
    labels.extend(
        options
            .labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value))),
    );
    labels.insert(KEY.to_owned(), json!(options.key));
    Value::Object(labels)
}

/// One entry per layer, which engines verify. The added entries have no paths of the host.
fn history(base: Option<&BaseConfig>, options: &ConfigOptions<'_>, created: &str) -> Vec<Value> {
    let unknown = |base: &BaseConfig| {
        base.diff_ids
            .iter()
            .map(|_| json!({ "created": created, "created_by": "base image" }))
            .collect()
    };
    let mut history = base.map_or_else(Vec::new, |base| {
        base.history().unwrap_or_else(|| unknown(base))
    });
    history.extend(
        options
            .layers
            .iter()
            .map(|(_, created_by)| json!({ "created": created, "created_by": created_by })),
    );
    history
}

/// Formats seconds since the Unix epoch as `2001-09-09T01:46:40Z`.
fn rfc3339(seconds: u64) -> String {
    let days = seconds / 86_400;
    let second = seconds % 86_400;
    // Years start in March here, so that the leap day is the last day of a year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests;
