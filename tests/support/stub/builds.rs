//! What a backend with an image builder has done.

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

    /// Everything that it keeps of a kind, in the order of names.
    pub fn kept(&self, kind: &str) -> Vec<String> {
        let folder = self.folder.path().join("state").join(kind);
        let mut paths: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()).collect()
    }
}
