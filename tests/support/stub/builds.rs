//! A backend with an image builder, and the images that it has built.

use std::path::PathBuf;

use serde_json::Value;

use super::Stub;

impl Stub {
    /// A backend that builds images and pushes them to a registry, with more keywords for its behaviour.
    pub fn building(registry: &str, behaviour: &str) -> Self {
        Self::behaving(&format!("builder,registry={registry},{behaviour}"))
    }

    /// All images that were built: `spec` and `run_spec` as official messages, `context` as a list of its entries, `secrets`
    /// by name.
    ///
    /// # Panics
    /// When the backend's record is not JSON.
    pub fn made(&self) -> Vec<Value> {
        self.kept("made")
            .iter()
            .map(|text| serde_json::from_str(text).expect("the backend writes JSON"))
            .collect()
    }

    /// The paths of all requests to the store, oldest first.
    pub fn puts(&self) -> Vec<String> {
        self.kept("puts")
    }

    /// The path of a file in its store, by the end of its name.
    ///
    /// # Panics
    /// When the file was not uploaded.
    pub fn stored(&self, name: &str) -> PathBuf {
        let directory = self.directory.path().join("state/store");
        let mut files = std::fs::read_dir(directory)
            .expect("something was sent")
            .flatten()
            .map(|entry| entry.path());
        files
            .find(|path| path.to_string_lossy().ends_with(name))
            .unwrap_or_else(|| panic!("{name} was not sent"))
    }

    /// Everything in its store: paths with `%` in place of `/`, and contents.
    pub fn store(&self) -> Vec<(String, String)> {
        let directory = self.directory.path().join("state/store");
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let content = std::fs::read(entry.path()).unwrap_or_default();
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    String::from_utf8_lossy(&content).into_owned(),
                )
            })
            .collect()
    }

    /// The records of a kind, sorted by name.
    pub fn kept(&self, kind: &str) -> Vec<String> {
        let directory = self.directory.path().join("state").join(kind);
        let mut paths: Vec<_> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| {
                String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
            })
            .collect()
    }
}
