//! What a backend with an image builder has done.

use std::path::PathBuf;

use serde_json::Value;

use super::Stub;

impl Stub {
    /// A backend that makes images, and pushes them to a registry; words of its sources say how else it behaves.
    pub fn building(registry: &str, behaviour: &str) -> Self {
        Self::behaving(&format!("builder,registry={registry},{behaviour}"))
    }

    /// Every image that was made: `spec` and `run_spec` as the official messages have them, `context` as a
    /// list of its entries, `secrets` by name.
    ///
    /// # Panics
    /// When the backend has not written JSON.
    pub fn made(&self) -> Vec<Value> {
        self.kept("made").iter().map(|text| serde_json::from_str(text).expect("the backend writes JSON")).collect()
    }

    /// The path of every request to the store, oldest first.
    pub fn puts(&self) -> Vec<String> {
        self.kept("puts")
    }

    /// The file of that name in its store.
    ///
    /// # Panics
    /// When it was not sent there.
    pub fn stored(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("state/store");
        let mut files = std::fs::read_dir(folder).expect("something was sent").flatten().map(|entry| entry.path());
        files.find(|path| path.to_string_lossy().ends_with(name)).unwrap_or_else(|| panic!("{name} was not sent"))
    }

    /// Everything that it keeps of a kind, in the order of names.
    pub fn kept(&self, kind: &str) -> Vec<String> {
        let folder = self.folder.path().join("state").join(kind);
        let mut paths: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()).collect()
    }
}
