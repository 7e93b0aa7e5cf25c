//! A user's project in a temporary directory, and the environment in which programs are run in it.
//!
//! The environment starts empty: no variable of the user who runs the tests reaches the tool, except the location of the
//! Rust toolchain. Home, cache and temporary files belong to the project, and no engine is found.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use snapbox::Redactions;
use tempfile::TempDir;

use crate::run::{Outcome, Running};
use crate::{base, text};

/// The timeout of a run.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The directory of a project and of its home, cache and temporary files.
#[derive(Debug)]
enum Root {
    Temporary(TempDir),
    Kept(PathBuf, #[allow(dead_code, reason = "it is held")] File),
}

impl Root {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(directory, _) => directory,
        }
    }
}

/// A user's project.
#[derive(Debug)]
pub struct Project {
    root: Root,
    program: Option<PathBuf>,
    environment: Vec<(String, Option<String>)>,
    limit: Duration,
}

impl Project {
    /// A package whose `main.rs` prints `hello`. Its `Cargo.toml` has five lines.
    #[must_use]
    pub fn package(name: &str) -> Self {
        Self::empty()
            .file("Cargo.toml", manifest(name))
            .file("src/main.rs", MAIN)
    }

    /// A workspace for the packages that [`member`](Self::member) adds.
    #[must_use]
    pub fn workspace() -> Self {
        Self::empty().file(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"members/*\"]\n\n",
        )
    }

    /// An empty directory.
    #[must_use]
    pub fn empty() -> Self {
        Self::at(Root::Temporary(
            TempDir::with_prefix("union-").expect("a temporary directory can be created"),
        ))
    }

    /// An empty directory, except for the artifacts of an earlier run of the tests, for crates that take minutes to compile.
    /// It is locked for this project.
    #[must_use]
    pub fn kept(name: &str) -> Self {
        let (directory, lock) = base::lock_cached(name);
        for entry in ["home", "cache", "temp", "project/target/union"] {
            drop(fs::remove_dir_all(directory.join(entry)));
        }
        for entry in fs::read_dir(directory.join("project"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name() != "target" {
                let path = entry.path();
                if path.is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                }
                .expect("the earlier project can be removed");
            }
        }
        Self::at(Root::Kept(directory, lock))
    }

    fn at(root: Root) -> Self {
        let project = Self {
            root,
            program: None,
            environment: Vec::new(),
            limit: TIMEOUT,
        };
        for directory in ["project", "home", "cache", "temp"] {
            fs::create_dir_all(project.root.path().join(directory))
                .expect("directories can be created");
        }
        project.compilations().watch();
        project
    }

    /// Appends TOML to `Cargo.toml`.
    #[must_use]
    pub fn union(self, toml: &str) -> Self {
        self.append("Cargo.toml", toml);
        self
    }

    /// Adds a member in `members/<name>`, like [`package`](Self::package), with TOML at the end of its manifest.
    #[must_use]
    pub fn member(self, name: &str, toml: &str) -> Self {
        let directory = format!("members/{name}");
        self.file(&format!("{directory}/Cargo.toml"), manifest(name) + toml)
            .file(&format!("{directory}/src/main.rs"), MAIN)
    }

    /// Writes a file and the directories above it.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Adds a build script that writes `union_images.rs`: a `build.rs`, and a dependency on this repository's `union-build`
    /// in the manifest in `directory` (`""` for the root).
    #[must_use]
    pub fn with_union_build(self, directory: &str) -> Self {
        let repository = repository();
        let dependency = format!(
            "\n[build-dependencies]\nunion-build = {{ path = {:?} }}\n",
            repository.join("union-build")
        );
        self.append(&slashed(directory, "Cargo.toml"), &dependency);
        // The versions of the repository are already downloaded, since the tests are compiled with them.
        let lock =
            fs::read(repository.join("Cargo.lock")).expect("the repository has a Cargo.lock");
        self.file(
            &slashed(directory, "build.rs"),
            "fn main() {\n    union_build::emit();\n}\n",
        )
        .file("Cargo.lock", lock)
        .locked()
    }

    /// Writes `Cargo.lock`, offline.
    #[must_use]
    #[track_caller]
    pub fn locked(self) -> Self {
        // Unlike `generate-lockfile`, this keeps the versions of an existing lock file.
        self.cargo(["metadata", "--format-version=1", "--offline", "--quiet"])
            .succeeds();
        self
    }

    /// Sets a variable for every run.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Removes a variable that the project sets from every run.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.push((name.to_owned(), None));
        self
    }

    /// Runs another program instead of the tool.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Sets the timeout of runs, by default five minutes.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs `cargo-union <words>` in the project's directory. With `union` as the first word, it is called as cargo calls
    /// it.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.start(words).wait()
    }

    /// Like [`run`](Self::run), in a directory of the project.
    #[track_caller]
    pub fn run_in<S: AsRef<OsStr>>(
        &self,
        directory: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Outcome {
        let mut command = self.command(&self.tool(), words);
        command.current_dir(self.path(directory));
        self.start_command(command).wait()
    }

    /// Starts `cargo-union <words>` without waiting.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Running {
        self.start_command(self.command(&self.tool(), words))
    }

    /// Runs `cargo <words>`; `cargo union …` finds the tool.
    #[track_caller]
    pub fn cargo<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.start_command(self.command(Path::new("cargo"), words))
            .wait()
    }

    /// Runs a shell command in the project's directory and environment.
    #[track_caller]
    pub fn shell(&self, line: &str) -> Outcome {
        self.start_command(self.command(Path::new("/bin/bash"), ["-c", line]))
            .wait()
    }

    /// Writes a file and the directories above it.
    ///
    /// # Panics
    /// When that fails, as for all methods below.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file has a parent"))
            .expect("directories can be created");
        fs::write(&path, content)
            .unwrap_or_else(|error| panic!("could not write {}: {error}", path.display()));
    }

    /// The text of a file.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()))
    }

    /// Replaces a text that occurs exactly once in a file.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert_eq!(
            text.matches(from).count(),
            1,
            "{from:?} should occur once in {path}:\n{text}"
        );
        self.write(path, text.replace(from, to));
    }

    /// Appends text to a file.
    #[track_caller]
    pub fn append(&self, path: &str, text: &str) {
        self.write(path, self.read(path) + text);
    }

    /// Sets the modification time of a file to now.
    #[track_caller]
    pub fn touch(&self, path: &str) {
        let touched = File::options()
            .append(true)
            .open(self.path(path))
            .and_then(|file| file.set_modified(SystemTime::now()));
        touched.unwrap_or_else(|error| panic!("could not touch {path}: {error}"));
    }

    /// The project's directory.
    pub fn directory(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// A path below the project's directory.
    pub fn path(&self, path: &str) -> PathBuf {
        self.directory().join(path)
    }

    /// `HOME` of every run.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// `UNION_CACHE_DIR` of every run.
    pub fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    /// `TMPDIR` of every run.
    pub fn temp(&self) -> PathBuf {
        self.root.path().join("temp")
    }

    /// All files below a directory of the project, relative to it and sorted; none when it does not exist.
    pub fn files_below(&self, directory: &str) -> Vec<String> {
        let top = self.path(directory);
        let mut files = Vec::new();
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(path);
                } else {
                    files.push(
                        path.strip_prefix(&top)
                            .expect("it is below")
                            .to_string_lossy()
                            .into_owned(),
                    );
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// The redactions of this project's output.
    pub fn redactions(&self) -> Redactions {
        let [home, cache, temp] = [self.home(), self.cache(), self.temp()];
        text::redactions([
            ("[PROJECT]", &*self.directory()),
            ("[HOME]", &*home),
            ("[CACHE]", &*cache),
            ("[TEMP]", &*temp),
        ])
    }

    #[track_caller]
    fn start_command(&self, command: Command) -> Running {
        Running::start(
            command,
            self.limit,
            self.redactions(),
            self.compilations().mark(),
        )
    }

    fn command<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        words: impl IntoIterator<Item = S>,
    ) -> Command {
        let home = std::env::var("HOME").unwrap_or_default();
        let toolchain_path =
            |name, below: &str| std::env::var(name).unwrap_or_else(|_| format!("{home}/{below}"));
        let path = std::env::var("PATH").unwrap_or_default();
        let tools = self.tool().parent().unwrap_or(Path::new("/")).to_path_buf();

        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.directory())
            .env_clear()
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("CARGO_HOME", toolchain_path("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", toolchain_path("RUSTUP_HOME", ".rustup"))
            .envs(
                std::env::var("RUSTUP_TOOLCHAIN").map(|toolchain| ("RUSTUP_TOOLCHAIN", toolchain)),
            )
            .env("HOME", self.home())
            .env("TMPDIR", self.temp())
            .env("LC_ALL", "C.UTF-8")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_NET_OFFLINE", "true")
            .env("RUSTC_WRAPPER", self.compilations().wrapper())
            .env("UNION_CACHE_DIR", self.cache())
            // Not the engine of the user who runs the tests.
            .env(
                "DOCKER_HOST",
                format!("unix://{}/no-engine", self.root.path().display()),
            );
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    pub(crate) fn tool(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(tool)
    }

    fn compilations(&self) -> Compilations {
        Compilations {
            directory: self.root.path().to_path_buf(),
            seen: 0,
        }
    }
}

const MAIN: &str = "fn main() {\n    println!(\"hello\");\n}\n";

fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n")
}

fn slashed(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// The repository that is tested.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a directory of the repository")
        .to_path_buf()
}

/// The tool that is tested.
///
/// # Panics
/// When it was not built.
pub fn tool() -> PathBuf {
    // cargo sets the variable when it runs the tests; a test that is started by hand is in a directory beside it.
    let beside = || {
        Some(
            std::env::current_exe()
                .ok()?
                .parent()?
                .parent()?
                .join("cargo-union"),
        )
    };
    let tool = std::env::var_os("CARGO_BIN_EXE_cargo-union")
        .map(PathBuf::from)
        .or_else(beside);
    tool.filter(|tool| tool.is_file())
        .expect("cargo builds `cargo-union` before its tests")
}

/// The crates that rustc was called for, recorded by a wrapper. This is independent of cargo's output and of the layout of
/// the target directory.
#[derive(Clone, Debug)]
pub(crate) struct Compilations {
    directory: PathBuf,
    seen: usize,
}

impl Compilations {
    /// The crates since [`mark`](Self::mark), sorted.
    pub(crate) fn since_the_mark(&self) -> Vec<String> {
        let mut crates = self.all().split_off(self.seen);
        crates.sort_unstable();
        crates
    }

    fn watch(&self) {
        // cargo sets CARGO_CRATE_NAME only when it compiles a crate, not when it queries the version.
        let script = format!(
            "#!/bin/sh\n[ -z \"$CARGO_CRATE_NAME\" ] || echo \"$CARGO_CRATE_NAME\" >>'{}'\nexec \"$@\"\n",
            self.log().display()
        );
        fs::write(self.wrapper(), script).expect("the temporary directory is writable");
        fs::set_permissions(self.wrapper(), fs::Permissions::from_mode(0o755))
            .expect("the wrapper is ours");
    }

    fn mark(mut self) -> Self {
        self.seen = self.all().len();
        self
    }

    fn all(&self) -> Vec<String> {
        fs::read_to_string(self.log())
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn wrapper(&self) -> PathBuf {
        self.directory.join("rustc-wrapper")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("compiled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Project {
        Project::package("hello").program("/bin/sh")
    }

    #[test]
    fn outcome_has_output_and_exit_code() {
        let outcome = shell().run([
            "-c",
            "echo '{\"a\": 1}'; echo 'error[U0103]: no' >&2; exit 2",
        ]);
        assert_eq!(outcome.json()["a"], 1);
        outcome
            .exits(2)
            .fails_with("U0103")
            .stderr_is("error[U0103]: no\n")
            .stderr_lacks("U0104")
            .stdout_has("1");
    }

    #[test]
    #[should_panic(expected = "should have named U0104")]
    fn fails_with_rejects_another_code() {
        shell()
            .run(["-c", "echo 'error[U0103]: no' >&2; exit 2"])
            .fails_with("U0104");
    }

    #[test]
    #[should_panic(expected = "should have failed with U0103")]
    fn fails_with_rejects_success() {
        shell().run(["-c", "echo U0103 >&2"]).fails_with("U0103");
    }

    #[test]
    #[should_panic(expected = "so far")]
    fn hanging_program_is_killed_and_its_output_shown() {
        shell()
            .limit(Duration::from_millis(300))
            .run(["-c", "echo so far; sleep 600 & wait"]);
    }

    #[test]
    fn dropped_program_is_killed_with_its_children() {
        let project = shell();
        let mut running = project.start(["-c", "sleep 600 & echo $! >pid; echo ready >&2; wait"]);
        running.until_stderr_has("ready");
        let pid = project.read("pid");
        drop(running);
        crate::run::until_ended(&pid);
    }

    #[test]
    fn interrupt_reaches_the_program() {
        let project = shell();
        let mut running = project.start([
            "-c",
            "trap 'exit 130' INT; echo ready >&2; while :; do sleep 0.01; done",
        ]);
        running.until_stderr_has("ready");
        running.interrupt();
        running.wait().exits(130);
    }

    #[test]
    fn environment_of_a_run_is_isolated() {
        let names = "env | sed 's/=.*//' | grep -v -e '^_$' -e PWD -e SHLVL -e RUSTUP_TOOLCHAIN | sort | tr '\\n' ' '";
        shell().run(["-c", names]).stdout_is(
            "CARGO_HOME CARGO_NET_OFFLINE CARGO_TERM_COLOR DOCKER_HOST HOME LC_ALL PATH RUSTC_WRAPPER RUSTUP_HOME TMPDIR UNION_CACHE_DIR ",
        );
        shell()
            .env("A", "b")
            .without_env("LC_ALL")
            .run(["-c", "echo $A${LC_ALL-none}"])
            .stdout_is("bnone\n");
    }

    #[test]
    fn compiled_crates_are_recorded() {
        let project = Project::workspace()
            .member("one", "[dependencies]\ntwo = { path = \"../two\" }\n")
            .member("two", "")
            .program("cargo");
        let project = project
            .file("members/two/src/lib.rs", "pub fn two() {}\n")
            .locked();
        project
            .cargo(["build", "--quiet", "-p", "one"])
            .succeeds()
            .compiles(["one", "two"]);
        project
            .cargo(["build", "-p", "one"])
            .succeeds()
            .compiles_nothing();
        project.edit("members/one/src/main.rs", "hello", "hallo");
        project
            .cargo(["build", "-p", "one"])
            .succeeds()
            .compiles(["one"]);
    }

    #[test]
    #[should_panic(expected = "compiled [\"hello\"]")]
    fn compiles_nothing_rejects_a_compile() {
        Project::package("hello")
            .program("cargo")
            .run(["build"])
            .compiles_nothing();
    }

    #[test]
    #[should_panic(expected = "should occur once in src/main.rs")]
    fn edit_rejects_missing_text() {
        Project::package("hello").edit("src/main.rs", "absent", "");
    }
}
