//! A client with its own home directory and cache, and a reporter that records all events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cargo_union::http::retry::RetryPolicy;
use cargo_union::image::reference::Repository;
use cargo_union::publish::registry::{Registry, RegistryOptions, RegistrySettings};
use cargo_union::publish::{ImageTarget, Reporter, Transfer, TransferKind};
use cargo_union::sys::cache::Cache;
use cargo_union::sys::digest::Digest;
use cargo_union::sys::error::Error;
use tempfile::TempDir;
use union_build::diag::Code;
use union_build::key::Key;

/// Records all reported events.
#[derive(Debug, Default)]
pub(crate) struct RecordedReports(Mutex<Vec<String>>);

impl RecordedReports {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The recorded warnings.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter_map(|line| line.strip_prefix("warning: ").map(str::to_owned))
            .collect()
    }

    /// Whether a transfer of this kind was reported for a blob.
    pub(crate) fn has(&self, kind: TransferKind, digest: Digest) -> bool {
        self.lines().contains(&format!("{kind:?} {digest} done"))
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Reporter for RecordedReports {
    fn credentials(&self, host: &str, source: &str) {
        self.note(format!("{host} is served by {source}"));
    }

    fn warning(&self, text: &str) {
        self.note(format!("warning: {text}"));
    }

    fn retrying(&self, what: &str, why: &str, after: Duration) {
        self.note(format!("again in {} s: {what}: {why}", after.as_secs_f64()));
    }

    fn transfer(&self, transfer: &Transfer<'_>) {
        if transfer.done == transfer.total {
            self.note(format!("{:?} {} done", transfer.kind, transfer.digest));
        }
    }
}

/// A client with its own home directory and cache.
pub(crate) struct Setup {
    pub(crate) directory: TempDir,
    pub(crate) settings: RegistrySettings,
    pub(crate) reports: Arc<RecordedReports>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let retry = RetryPolicy {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            jitter: true,
        };
        let options = RegistryOptions {
            home: Some(directory.path().to_owned()),
            ..RegistryOptions::default()
        };
        Self {
            settings: RegistrySettings {
                retry,
                options,
                ..RegistrySettings::default()
            },
            directory,
            reports: Arc::default(),
        }
    }

    /// Logs in, as `docker login` would.
    pub(crate) fn login(self, host: &str, user: &str, password: &str) -> Self {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.config(&serde_json::json!({ "auths": { host: { "auth": login } } }).to_string())
    }

    /// Writes Docker's config.json.
    pub(crate) fn config(self, text: &str) -> Self {
        let directory = self.directory.path().join(".docker");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.json"), text).unwrap();
        self
    }

    /// Puts a credential helper, which is a script, on the path of helpers.
    pub(crate) async fn helper(mut self, name: &str, script: &str) -> Self {
        let helper = self
            .directory
            .path()
            .join(format!("docker-credential-{name}"));
        // Written by another process: a file that this one has had open for writing cannot be started
        // while a test beside this one is just starting something else.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#;
        let written = tokio::process::Command::new("sh")
            .args(["-c", write, "sh", script])
            .arg(&helper)
            .status()
            .await
            .unwrap();
        assert!(written.success());
        self.settings.options.helpers.search_path =
            Some(format!("{}:/usr/bin:/bin", self.directory.path().display()).into());
        self
    }

    pub(crate) fn mirror(mut self, registry: &str, mirror: &str) -> Self {
        self.settings
            .mirrors
            .insert(registry.to_owned(), mirror.to_owned());
        self
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.directory.path().join("cache"))
    }

    pub(crate) fn client(&self) -> Registry {
        Registry::new(self.settings.clone(), self.cache(), self.reports.clone())
    }
}

pub(crate) fn repository(host: &str, path: &str) -> Repository {
    Repository {
        registry: host.to_owned(),
        path: path.to_owned(),
    }
}

/// Tag `v1` of a repository, for `linux/amd64`.
pub(crate) fn target(host: &str, path: &str, key: &Key) -> ImageTarget {
    ImageTarget {
        name: "app".to_owned(),
        tag: "v1".to_owned(),
        reference: Some(repository(host, path).tagged("v1")),
        key: *key,
        platforms: vec!["linux/amd64".parse().unwrap()],
        known: None,
    }
}

/// Requires an error with this code whose text contains all the words.
#[track_caller]
pub(crate) fn assert_error<T: std::fmt::Debug>(
    result: Result<T, Error>,
    code: Code,
    words: &[&str],
) {
    let error = result.unwrap_err();
    let text = error.chain().join(": ");
    assert_eq!(error.code(), code, "{text}");
    for word in words {
        assert!(
            text.contains(word) || error.advice().contains(word),
            "`{word}` is not in: {text} ({})",
            error.advice()
        );
    }
}
