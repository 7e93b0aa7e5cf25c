//! Opens addresses in the user's browser.

use std::path::PathBuf;

use crate::sys::process::{Environment, ProcessCommand};

#[derive(Debug)]
pub(super) struct Browser {
    environment: Environment,
    directory: PathBuf,
}

impl Browser {
    pub(super) fn new(environment: Environment, directory: PathBuf) -> Self {
        Self {
            environment,
            directory,
        }
    }

    /// Opens an address. Returns whether a browser was started.
    pub(super) fn open(&self, address: &str) -> bool {
        let Some(program) = self.program() else {
            return false;
        };
        let mut command = ProcessCommand::new(program, &self.directory, &self.environment);
        command.arg(address);
        command.leave().is_ok()
    }

    /// `$BROWSER`, or the opener of the desktop; `None` without a graphical session.
    fn program(&self) -> Option<String> {
        let nonempty = |name: &str| self.environment.get(name).filter(|value| !value.is_empty());
        if let Some(browser) = nonempty("BROWSER") {
            return Some(browser.to_owned());
        }
        if cfg!(target_os = "macos") {
            return Some("/usr/bin/open".to_owned());
        }
        (nonempty("DISPLAY").is_some() || nonempty("WAYLAND_DISPLAY").is_some())
            .then(|| "xdg-open".to_owned())
    }
}
