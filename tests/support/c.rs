//! Programs and libraries from the host's C compiler, for tests of ELF files.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A directory for compiling C. It is removed when this is dropped.
pub struct CCompiler(TempDir);

impl Default for CCompiler {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }
}

impl CCompiler {
    /// The path of the directory.
    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    /// Compiles and links C in the directory, with more arguments for the compiler.
    ///
    /// # Panics
    /// When `cc` is missing or fails.
    #[track_caller]
    pub fn cc(&self, output: &str, source: &str, words: &[&str]) -> PathBuf {
        let path = self.directory().join(output);
        std::fs::create_dir_all(path.parent().expect("a file has a parent"))
            .expect("directories can be created");
        std::fs::write(self.directory().join("source.c"), source)
            .expect("the directory is writable");
        let run = Command::new("cc")
            .current_dir(self.directory())
            .args(["-o", output, "source.c"])
            .args(words)
            .output();
        let run = run.expect("`cc` is installed");
        assert!(
            run.status.success(),
            "cc {words:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        path
    }

    /// Compiles a shared library with a soname and versioned functions: `("MINE_1", "one")`. `words` are more arguments for
    /// the compiler.
    ///
    /// # Panics
    /// As [`cc`](Self::cc).
    #[track_caller]
    pub fn library(
        &self,
        output: &str,
        soname: &str,
        functions: &[(&str, &str)],
        words: &[&str],
    ) -> PathBuf {
        let source: String = functions
            .iter()
            .map(|(_, function)| format!("int {function}(void) {{ return 0; }}\n"))
            .collect();
        let map: String = functions
            .iter()
            .map(|(version, function)| format!("{version} {{ global: {function}; }};\n"))
            .collect();
        std::fs::write(self.directory().join("map"), map).expect("the directory is writable");
        let soname = format!("-Wl,-soname,{soname}");
        self.cc(
            output,
            &source,
            &[
                &[
                    "-shared",
                    "-nostdlib",
                    "-fPIC",
                    &soname,
                    "-Wl,--version-script,map",
                ],
                words,
            ]
            .concat(),
        )
    }
}
