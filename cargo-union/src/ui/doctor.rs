//! The report of `doctor`.

use std::io;

use serde::Serialize;

use super::Ui;
use crate::doctor::Check;
use crate::sys::words::printable;

/// The maximum number of characters of a line's text: keys of configuration files and errors may be long.
const LONGEST: usize = 4096;

impl Ui {
    /// Writes one line per check to stdout, grouped by area, and below a warning or an error its help; with `--format
    /// json` one document.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn checks(&self, checks: &[Check]) -> io::Result<()> {
        #[derive(Serialize)]
        struct Report<'a> {
            checks: &'a [Check],
        }
        if self.options.json {
            return self.document("doctor", &Report { checks });
        }
        self.data(&render(checks))
    }
}

fn render(checks: &[Check]) -> String {
    let mut text = String::new();
    let mut area = "";
    for check in checks {
        if check.area != area {
            area = check.area;
            text.push_str(&format!("{area}\n"));
        }
        let code = check
            .code
            .map(|code| format!("[{code}] "))
            .unwrap_or_default();
        let line = format!("{}: {code}{}", check.name, check.detail);
        let line = printable(&line, LONGEST).replace('\n', "\n           ");
        text.push_str(&format!("  {:>7}  {line}\n", check.status.word()));
        if let Some(help) = &check.help {
            let help = printable(help, LONGEST).replace('\n', "\n           ");
            text.push_str(&format!("           help: {help}\n"));
        }
    }
    text
}
