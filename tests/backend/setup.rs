//! A client with its own home directory, and a reporter that records all events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cargo_union::flyte::client::{Client, ClientOptions};
use cargo_union::flyte::config::{self, FlyteConfig};
use cargo_union::flyte::idl::auth::{UserInfoRequest, UserInfoResponse};
use cargo_union::flyte::rpc::{RpcFailure, Streaming, Unary};
use cargo_union::flyte::{LoginPrompt, Reporter};
use cargo_union::http::retry::RetryPolicy;
use cargo_union::sys::process::Environment;
use tempfile::TempDir;
use union_build::diag::Code;
use union_build::spec::BackendChoice;
use union_tests::backend::Backend;

/// A method that reads.
pub(crate) const READ: Unary<UserInfoRequest, UserInfoResponse> =
    Unary::repeatable("test.Service", "UserInfo");
/// A method that is not idempotent.
pub(crate) const WRITE: Unary<UserInfoRequest, UserInfoResponse> =
    Unary::non_idempotent("test.Service", "UserInfo");
/// A method that streams.
pub(crate) const WATCH: Streaming<UserInfoRequest, UserInfoResponse> =
    Streaming::new("test.Service", "Watch");

/// Records all reported events.
#[derive(Debug, Default)]
pub(crate) struct RecordedReports(Mutex<Vec<String>>);

impl RecordedReports {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Reporter for RecordedReports {
    fn retrying(&self, what: &str, why: &str, _: Duration) {
        self.0.lock().unwrap().push(format!("again: {what}: {why}"));
    }

    fn login_required(&self, prompt: &LoginPrompt<'_>) {
        self.0
            .lock()
            .unwrap()
            .push(format!("visit {} {:?}", prompt.address, prompt.code));
    }

    fn login_stored(&self, place: &str) {
        self.0.lock().unwrap().push(format!("kept in {place}"));
    }
}

/// A home directory, variables and a config for one client.
pub(crate) struct Setup {
    pub(crate) home: TempDir,
    pub(crate) environment: Environment,
    pub(crate) reports: Arc<RecordedReports>,
    pub(crate) interactive: bool,
}

impl Setup {
    /// A user whose config has a backend and its certificate authority.
    pub(crate) fn of(backend: &Backend) -> Self {
        let setup = Self::at(&backend.url());
        if backend.url().starts_with("https") {
            setup.env(
                "FLYTE_ADMIN_CACERTFILEPATH",
                backend.certificate().to_str().unwrap(),
            )
        } else {
            setup
        }
    }

    /// A user whose config names an endpoint.
    pub(crate) fn at(endpoint: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("HOME", home.path());
        environment.set("PATH", "/usr/bin:/bin");
        environment.set("FLYTE_ADMIN_ENDPOINT", endpoint);
        Self {
            home,
            environment,
            reports: Arc::default(),
            interactive: true,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.set(name, value);
        self
    }

    pub(crate) fn config(&self) -> FlyteConfig {
        let request = config::ConfigRequest {
            environment: &self.environment,
            directory: self.home.path(),
            file: None,
            endpoint: None,
            org: None,
        };
        let (config, problems) = config::load(&request).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        config
    }

    pub(crate) fn client(&self) -> Client {
        let retry = RetryPolicy {
            attempts: 3,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(20),
            jitter: true,
        };
        let options = ClientOptions::new(
            self.environment.clone(),
            self.home.path().to_owned(),
            self.interactive,
            self.reports.clone(),
        );
        Client::new(
            &self.config(),
            ClientOptions {
                retry,
                // No request for the generation.
                backend: BackendChoice::Flyte2,
                ..options
            },
        )
        .unwrap()
    }

    /// A user who has logged in before.
    pub(crate) fn with_tokens(self, backend: &Backend, access: &str, refresh: &str) -> Self {
        let directory = self.home.path().join(".local/state/cargo-union/logins");
        std::fs::create_dir_all(&directory).unwrap();
        let tokens =
            serde_json::json!({ "access_token": access, "refresh_token": refresh }).to_string();
        std::fs::write(
            directory.join(format!("{}.json", backend.host().replace(':', "_"))),
            tokens,
        )
        .unwrap();
        self
    }
}

/// Requires a failure with this code whose text contains all the words.
#[track_caller]
pub(crate) fn assert_failure<T>(result: Result<T, RpcFailure>, code: Code, words: &[&str]) {
    let Err(failure) = result else {
        panic!("it went well")
    };
    let error = failure.into_error("could not try");
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
