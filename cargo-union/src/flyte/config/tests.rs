#![allow(clippy::unwrap_used)]

use tempfile::TempDir;

use super::*;

mod flytekit;
mod login;
mod places;
mod precedence;
mod properties;
mod syntax;

/// A user's directories and variables.
struct Home {
    root: TempDir,
    environment: Environment,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("HOME", root.path().join("home"));
        Self { root, environment }.file("work/.keep", "")
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.environment.set(name, value);
        self
    }

    fn load_with(
        &self,
        change: impl FnOnce(&mut ConfigRequest<'_>),
    ) -> Result<(FlyteConfig, Vec<Diagnostic>)> {
        let directory = self.root.path().join("work");
        let mut request = ConfigRequest {
            environment: &self.environment,
            directory: &directory,
            file: None,
            endpoint: None,
            org: None,
        };
        change(&mut request);
        load(&request)
    }

    /// The config of a user without problems.
    #[track_caller]
    fn config(&self) -> FlyteConfig {
        let (config, problems) = self.load_with(|_| {}).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        config
    }

    /// Code, message and place of the only problem.
    #[track_caller]
    fn problem(&self) -> (Code, String, String) {
        let (_, problems) = self.load_with(|_| {}).unwrap();
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        let place = problem.labels[0].origin.to_string();
        (
            problem.code,
            problem.message.clone(),
            place.rsplit('/').next().unwrap().to_owned(),
        )
    }
}

/// A user with this config in the home directory.
fn home_with_config(text: &str) -> Home {
    Home::new().file("home/.flyte/config.yaml", text)
}

fn text(value: &Option<Sourced<String>>) -> Option<&str> {
    value.as_ref().map(|value| value.value.as_str())
}

const EXAMPLE: &str = "admin: {endpoint: dns:///acme.example.test, authType: Pkce}
image: {builder: remote, registry: ghcr.io/acme}
task: {project: flytesnacks, domain: development}
";
