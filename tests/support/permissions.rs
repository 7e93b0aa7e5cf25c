//! Runs without root's right to read what permissions deny.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::Project;

/// The words of a command line before those of a program that shall not have root's right to read what permissions deny.
pub const WITHOUT_READ_OVERRIDE: [&str; 5] = [
    "setpriv",
    "--bounding-set",
    "-dac_override,-dac_read_search",
    "--inh-caps",
    "-dac_override,-dac_read_search",
];

impl Project {
    /// Runs the tool without root's right to read what permissions deny.
    ///
    /// # Panics
    /// When the temporary directory is not writable.
    #[must_use]
    pub fn without_read_override(self) -> Self {
        let script = self.temp().join("without-read-override");
        let drops = WITHOUT_READ_OVERRIDE.join(" ");
        let tool = self.tool();
        let text = format!(
            "#!/bin/sh\n[ \"$(id -u)\" = 0 ] || exec '{0}' \"$@\"\nexec {drops} '{0}' \"$@\"\n",
            tool.display()
        );
        fs::write(&script, text).expect("the temporary directory is writable");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .expect("the script is ours");
        self.program(script)
    }
}
