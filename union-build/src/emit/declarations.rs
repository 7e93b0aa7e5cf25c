//! The images and tasks that a package declares, from `cargo metadata`, which needs no run of `cargo union`. Nothing is
//! validated here; `cargo union` does that.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::handover::{References, object_members};

/// The names that a package declares.
pub(crate) struct DeclaredImages {
    /// Whether the package has its own `[package.metadata.union]`.
    pub takes_part: bool,
    /// Repository name by image key.
    pub images: BTreeMap<String, String>,
    /// Image key by task name.
    pub tasks: BTreeMap<String, String>,
}

impl DeclaredImages {
    /// Reads the output of `cargo metadata --no-deps`.
    pub(crate) fn of(metadata: &Value, package: &str) -> Self {
        let packages = metadata.get("packages").and_then(Value::as_array);
        let mut packages = packages.into_iter().flatten();
        let package_metadata = packages
            .find(|candidate| candidate.get("name").and_then(Value::as_str) == Some(package));
        let package_metadata = package_metadata.unwrap_or(&Value::Null);
        let mut images = BTreeMap::new();
        let mut tasks = BTreeMap::new();
        // The package's own table comes last, since it takes precedence.
        for union in [metadata, package_metadata] {
            for (name, image) in object_members(union, "/metadata/union/images") {
                merge(&mut images, name, image, "name");
            }
            for (name, task) in object_members(union, "/metadata/union/tasks") {
                merge(&mut tasks, name, task, "image");
            }
        }
        if images.is_empty() {
            images.insert("default".to_owned(), None);
        }
        if let (true, Some(bin)) = (tasks.is_empty(), sole_binary(package_metadata)) {
            tasks.insert(bin.to_owned(), None);
        }
        let sole = images
            .keys()
            .next()
            .filter(|_| images.len() == 1)
            .map_or("default", String::as_str)
            .to_owned();
        let image_of = |image: Option<String>| image.unwrap_or_else(|| sole.clone());
        let tasks = tasks
            .into_iter()
            .map(|(task, image)| (task, image_of(image)))
            .filter(|(_, image)| images.contains_key(image))
            .collect();
        let name_of = |key: &str| {
            if key == "default" {
                package.to_owned()
            } else {
                format!("{package}-{key}")
            }
        };
        let images = images
            .into_iter()
            .map(|(key, name)| (key.clone(), name.unwrap_or_else(|| name_of(&key))))
            .collect();
        Self {
            takes_part: package_metadata.pointer("/metadata/union").is_some(),
            images,
            tasks,
        }
    }

    /// The images that have no tag, in backticks.
    pub(super) fn unresolved(&self, references: Option<&References>) -> Vec<String> {
        let resolved = |key: &str| {
            let mut images = references
                .into_iter()
                .flat_map(|references| &references.images);
            images.any(|image| image.key == key && image.tag.is_some())
        };
        self.images
            .keys()
            .filter(|key| !resolved(key))
            .map(|key| format!("`{key}`"))
            .collect()
    }
}

fn merge(names: &mut BTreeMap<String, Option<String>>, name: &str, table: &Value, key: &str) {
    let value = table.get(key).and_then(Value::as_str).map(str::to_owned);
    let entry = names.entry(name.to_owned()).or_default();
    *entry = value.or(entry.take());
}

/// The only binary, or else `default-run`.
fn sole_binary(package: &Value) -> Option<&str> {
    let targets = package
        .get("targets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let is_bin = |target: &&Value| target.pointer("/kind/0").and_then(Value::as_str) == Some("bin");
    let mut binaries = targets
        .filter(is_bin)
        .filter_map(|target| target.get("name")?.as_str());
    match (binaries.next(), binaries.next()) {
        (Some(only), None) => Some(only),
        _ => package.get("default_run").and_then(Value::as_str),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(
        workspace: Value,
        package: Value,
        bins: &[&str],
        default_run: Option<&str>,
    ) -> DeclaredImages {
        let targets: Vec<Value> = bins
            .iter()
            .map(|bin| json!({ "kind": ["bin"], "name": bin }))
            .collect();
        let package = json!({ "name": "app", "metadata": package, "targets": targets, "default_run": default_run });
        let other = json!({ "name": "other", "metadata": { "union": { "images": { "else": {} } } }, "targets": [] });
        DeclaredImages::of(
            &json!({ "packages": [other, package], "metadata": workspace }),
            "app",
        )
    }

    fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
        map.iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    #[test]
    fn empty_table_declares_one_image_and_the_sole_binary() {
        let declared = declared(Value::Null, json!({ "union": {} }), &["main"], None);
        assert!(declared.takes_part);
        assert_eq!(pairs(&declared.images), [("default", "app")]);
        assert_eq!(pairs(&declared.tasks), [("main", "default")]);
    }

    #[test]
    fn workspace_table_gives_defaults() {
        let workspace =
            json!({ "union": { "images": { "gpu": { "name": "shared" }, "cpu": {} } } });
        let package = json!({ "union": { "images": { "gpu": {} }, "tasks": { "train": { "image": "gpu" } } } });
        let declared = declared(workspace, package, &["a", "b"], None);
        assert_eq!(
            pairs(&declared.images),
            [("cpu", "app-cpu"), ("gpu", "shared")]
        );
        assert_eq!(pairs(&declared.tasks), [("train", "gpu")]);
    }

    #[test]
    fn default_run_is_the_task_of_a_package_with_several_binaries() {
        let declared = declared(
            Value::Null,
            json!({ "union": { "images": { "gpu": {} } } }),
            &["a", "b"],
            Some("b"),
        );
        assert_eq!(pairs(&declared.tasks), [("b", "gpu")]);
    }

    #[test]
    fn package_without_a_table_does_not_take_part() {
        let declared = declared(json!({ "union": {} }), Value::Null, &[], None);
        assert!(!declared.takes_part);
        assert_eq!(pairs(&declared.images), [("default", "app")]);
        assert!(declared.tasks.is_empty());
    }
}
