//! Reports of the backend's client.

use std::time::Duration;

use clap_cargo::style;

use super::Ui;
use crate::flyte;

impl flyte::Reporter for Ui {
    fn retrying(&self, what: &str, why: &str, after: Duration) {
        self.status(
            "Retrying",
            format!("{what} in {:.1} s: {why}", after.as_secs_f64()),
        );
    }

    fn login_required(&self, prompt: &flyte::LoginPrompt<'_>) {
        let code = prompt
            .code
            .map(|code| format!(" with the code {code}"))
            .unwrap_or_default();
        let about = match prompt.opened {
            true => format!(
                "your browser; if it does not open, visit {}{code}",
                prompt.address
            ),
            false => format!("{} to log in{code}", prompt.address),
        };
        // Printed even with `--quiet`, since the login requires the user's action.
        let verb = if prompt.opened { "Opened" } else { "Visit" };
        self.line(&format!(
            "{} {about}",
            self.paint(style::GOOD, &format!("{verb:>12}"))
        ));
    }

    fn login_stored(&self, place: &str) {
        self.detail("Keeping", format!("the login in {place}"));
    }

    fn traced(&self, step: &str, took: Duration) {
        self.status("Traced", format!("{step} in {:.2} s", took.as_secs_f64()));
    }
}
