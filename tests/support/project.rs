//! A user's project in a temporary folder, and the environment in which programs are run in it.
//!
//! The environment is made from nothing: no variable of whoever runs the tests reaches the tool, save
//! where the Rust toolchain is. Home, cache and temporary files are the project's own, and no engine is found.

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

/// How long a run may take. Nothing is timed by it: it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Where a project and everything of its user is.
#[derive(Debug)]
enum Root {
    Temporary(TempDir),
    Kept(PathBuf, #[allow(dead_code, reason = "it is held")] File),
}

impl Root {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder, _) => folder,
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
    /// A package with a `main.rs` that prints `hello`. Its `Cargo.toml` has five lines.
    #[must_use]
    pub fn package(name: &str) -> Self {
        Self::empty().file("Cargo.toml", manifest(name)).file("src/main.rs", MAIN)
    }

    /// A workspace that takes every package which [`member`](Self::member) adds.
    #[must_use]
    pub fn workspace() -> Self {
        Self::empty().file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"members/*\"]\n\n")
    }

    /// A folder with nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self::at(Root::Temporary(TempDir::with_prefix("union-").expect("a temporary folder can be made")))
    }

    /// A folder with nothing in it but what cargo has compiled there in an earlier run of the tests: for crates that take
    /// minutes. Nobody else uses it meanwhile.
    #[must_use]
    pub fn kept(name: &str) -> Self {
        let (folder, lock) = base::kept(name);
        for entry in ["home", "cache", "temp", "project/target/union"] {
            drop(fs::remove_dir_all(folder.join(entry)));
        }
        for entry in fs::read_dir(folder.join("project")).into_iter().flatten().flatten() {
            if entry.file_name() != "target" {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("what was kept can be removed");
            }
        }
        Self::at(Root::Kept(folder, lock))
    }

    fn at(root: Root) -> Self {
        let project = Self { root, program: None, environment: Vec::new(), limit: LIMIT };
        for folder in ["project", "home", "cache", "temp"] {
            fs::create_dir_all(project.root.path().join(folder)).expect("folders can be made");
        }
        project.compilations().watch();
        project
    }

    /// Adds TOML to `Cargo.toml`; tables come with their whole header.
    #[must_use]
    pub fn union(self, toml: &str) -> Self {
        self.append("Cargo.toml", toml);
        self
    }

    /// Adds a member in `members/<name>`, like [`package`](Self::package), with TOML at its manifest's end.
    #[must_use]
    pub fn member(self, name: &str, toml: &str) -> Self {
        let folder = format!("members/{name}");
        self.file(&format!("{folder}/Cargo.toml"), manifest(name) + toml).file(&format!("{folder}/src/main.rs"), MAIN)
    }

    /// Writes a file and the folders above it.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(path, content);
        self
    }

    /// Lets a package's build script write `union_images.rs`: adds this repository's `union-build` to
    /// the manifest in `folder` (`""` is the root), and its `build.rs`.
    #[must_use]
    pub fn with_union_build(self, folder: &str) -> Self {
        let repository = repository();
        let dependency = format!("\n[build-dependencies]\nunion-build = {{ path = {:?} }}\n", repository.join("union-build"));
        self.append(&slashed(folder, "Cargo.toml"), &dependency);
        // The repository's own choice of versions: they are downloaded, since the tests are compiled with them.
        let lock = fs::read(repository.join("Cargo.lock")).expect("the repository has a Cargo.lock");
        self.file(&slashed(folder, "build.rs"), "fn main() {\n    union_build::emit();\n}\n").file("Cargo.lock", lock).locked()
    }

    /// Writes `Cargo.lock`, offline.
    #[must_use]
    #[track_caller]
    pub fn locked(self) -> Self {
        // Unlike `generate-lockfile`, this keeps the versions of a lock file that is already there.
        self.cargo(["metadata", "--format-version=1", "--offline", "--quiet"]).succeeds();
        self
    }

    /// Sets a variable for every run.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), Some(value.into())));
        self
    }

    /// Removes a variable from every run, one of those that a project sets itself.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.environment.push((name.to_owned(), None));
        self
    }

    /// Runs another program in place of the tool.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Allows runs less or more time than five minutes.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs `cargo-union <words>` in the project's folder. With `union` as its first word, it is called
    /// as cargo calls it.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.start(words).wait()
    }

    /// Like [`run`](Self::run), in a folder of the project.
    #[track_caller]
    pub fn run_in<S: AsRef<OsStr>>(&self, folder: &str, words: impl IntoIterator<Item = S>) -> Outcome {
        let mut command = self.command(&self.tool(), words);
        command.current_dir(self.path(folder));
        self.started(command).wait()
    }

    /// Starts `cargo-union <words>` and does not wait.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Running {
        self.started(self.command(&self.tool(), words))
    }

    /// Runs `cargo <words>`; `cargo union …` finds the tool.
    #[track_caller]
    pub fn cargo<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        self.started(self.command(Path::new("cargo"), words)).wait()
    }

    /// Runs a line of shell in the project's folder, in the environment of its other runs.
    #[track_caller]
    pub fn shell(&self, line: &str) -> Outcome {
        self.started(self.command(Path::new("/bin/bash"), ["-c", line])).wait()
    }

    /// Writes a file and the folders above it.
    ///
    /// # Panics
    /// When that fails; so do all the others below.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(&path, content).unwrap_or_else(|error| panic!("could not write {}: {error}", path.display()));
    }

    /// A file's text.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()))
    }

    /// Replaces a text that stands in a file exactly once.
    #[track_caller]
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(from).count(), 1, "{from:?} should stand in {path} once:\n{text}");
        self.write(path, text.replace(from, to));
    }

    /// Adds text to the end of a file.
    #[track_caller]
    pub fn append(&self, path: &str, text: &str) {
        self.write(path, self.read(path) + text);
    }

    /// Makes a file look edited: its bytes stay, its modification time is now.
    #[track_caller]
    pub fn touch(&self, path: &str) {
        let touched = File::options().append(true).open(self.path(path)).and_then(|file| file.set_modified(SystemTime::now()));
        touched.unwrap_or_else(|error| panic!("could not touch {path}: {error}"));
    }

    /// The project's folder.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// A path below the project's folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder().join(path)
    }

    /// The home folder of every run; `.docker/config.json` would stand in it.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The tool's cache.
    pub fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    /// Where runs put their temporary files.
    pub fn temp(&self) -> PathBuf {
        self.root.path().join("temp")
    }

    /// Every file below a folder of the project, relative to it and sorted; none when it is absent.
    pub fn files_below(&self, folder: &str) -> Vec<String> {
        let top = self.path(folder);
        let mut files = Vec::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&top).expect("it is below").to_string_lossy().into_owned());
                }
            }
        }
        files.sort_unstable();
        files
    }

    /// What is replaced in this project's output before it is compared.
    pub fn redactions(&self) -> Redactions {
        let [project, home, cache, temp] = [self.folder(), self.home(), self.cache(), self.temp()];
        text::redactions([("[PROJECT]", &*project), ("[HOME]", &*home), ("[CACHE]", &*cache), ("[TEMP]", &*temp)])
    }

    #[track_caller]
    fn started(&self, command: Command) -> Running {
        Running::start(command, self.limit, self.redactions(), self.compilations().mark())
    }

    fn command<S: AsRef<OsStr>>(&self, program: &Path, words: impl IntoIterator<Item = S>) -> Command {
        let home = std::env::var("HOME").unwrap_or_default();
        let of_the_toolchain = |name, below: &str| std::env::var(name).unwrap_or_else(|_| format!("{home}/{below}"));
        let path = std::env::var("PATH").unwrap_or_default();
        let tools = self.tool().parent().unwrap_or(Path::new("/")).to_path_buf();

        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("CARGO_HOME", of_the_toolchain("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", of_the_toolchain("RUSTUP_HOME", ".rustup"))
            .envs(std::env::var("RUSTUP_TOOLCHAIN").map(|toolchain| ("RUSTUP_TOOLCHAIN", toolchain)))
            .env("HOME", self.home())
            .env("TMPDIR", self.temp())
            .env("LC_ALL", "C.UTF-8")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_NET_OFFLINE", "true")
            .env("RUSTC_WRAPPER", self.compilations().wrapper())
            .env("UNION_CACHE_DIR", self.cache())
            // Not the engine of whoever runs the tests.
            .env("DOCKER_HOST", format!("unix://{}/no-engine", self.root.path().display()));
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn tool(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(tool)
    }

    fn compilations(&self) -> Compilations {
        Compilations { folder: self.root.path().to_path_buf(), seen: 0 }
    }
}

const MAIN: &str = "fn main() {\n    println!(\"hello\");\n}\n";

fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n")
}

fn slashed(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The repository that is tested.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_path_buf()
}

/// The tool that is tested.
///
/// # Panics
/// When it was not built.
pub fn tool() -> PathBuf {
    // Cargo says it while it runs the tests; a test that is started by hand has it beside its own folder.
    let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("cargo-union"));
    let tool = std::env::var_os("CARGO_BIN_EXE_cargo-union").map(PathBuf::from).or_else(beside);
    tool.filter(|tool| tool.is_file()).expect("cargo builds `cargo-union` before its tests")
}

/// For which crates rustc was called, as a wrapper round it writes down. Output could be silenced and
/// the layout of the target folder may change; this counts what was really started.
#[derive(Clone, Debug)]
pub(crate) struct Compilations {
    folder: PathBuf,
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
        // Cargo names the crate in the environment only when it compiles one, not when it asks for the version.
        let script =
            format!("#!/bin/sh\n[ -z \"$CARGO_CRATE_NAME\" ] || echo \"$CARGO_CRATE_NAME\" >>'{}'\nexec \"$@\"\n", self.log().display());
        fs::write(self.wrapper(), script).expect("the temporary folder can be written");
        fs::set_permissions(self.wrapper(), fs::Permissions::from_mode(0o755)).expect("the wrapper is ours");
    }

    fn mark(mut self) -> Self {
        self.seen = self.all().len();
        self
    }

    fn all(&self) -> Vec<String> {
        fs::read_to_string(self.log()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn wrapper(&self) -> PathBuf {
        self.folder.join("rustc-wrapper")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("compiled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Project {
        Project::package("hello").program("/bin/sh")
    }

    #[test]
    fn an_outcome_says_what_was_printed_and_how_it_ended() {
        let outcome = shell().run(["-c", "echo '{\"a\": 1}'; echo 'error[U0103]: no' >&2; exit 2"]);
        assert_eq!(outcome.json()["a"], 1);
        outcome.exits(2).fails_with("U0103").stderr_is("error[U0103]: no\n").stderr_lacks("U0104").stdout_has("1");
    }

    #[test]
    #[should_panic(expected = "should have named U0104")]
    fn another_code_is_not_the_code() {
        shell().run(["-c", "echo 'error[U0103]: no' >&2; exit 2"]).fails_with("U0104");
    }

    #[test]
    #[should_panic(expected = "should have failed with U0103")]
    fn success_is_not_failure() {
        shell().run(["-c", "echo U0103 >&2"]).fails_with("U0103");
    }

    #[test]
    #[should_panic(expected = "so far")]
    fn what_hangs_is_killed_and_its_output_shown() {
        shell().limit(Duration::from_millis(300)).run(["-c", "echo so far; sleep 600 & wait"]);
    }

    #[test]
    fn what_is_dropped_is_killed_with_all_that_it_started() {
        let project = shell();
        let mut running = project.start(["-c", "sleep 600 & echo $! >pid; echo ready >&2; wait"]);
        running.until_stderr_has("ready");
        let pid = project.read("pid");
        drop(running);
        crate::run::until_ended(&pid);
    }

    #[test]
    fn an_interrupt_reaches_the_program() {
        let project = shell();
        let mut running = project.start(["-c", "trap 'exit 130' INT; echo ready >&2; while :; do sleep 0.01; done"]);
        running.until_stderr_has("ready");
        running.interrupt();
        running.wait().exits(130);
    }

    #[test]
    fn nothing_of_our_own_environment_reaches_a_run() {
        let names = "env | sed 's/=.*//' | grep -v -e '^_$' -e PWD -e SHLVL -e RUSTUP_TOOLCHAIN | sort | tr '\\n' ' '";
        shell().run(["-c", names]).stdout_is(
            "CARGO_HOME CARGO_NET_OFFLINE CARGO_TERM_COLOR DOCKER_HOST HOME LC_ALL PATH RUSTC_WRAPPER RUSTUP_HOME TMPDIR UNION_CACHE_DIR ",
        );
        shell().env("A", "b").without_env("LC_ALL").run(["-c", "echo $A${LC_ALL-none}"]).stdout_is("bnone\n");
    }

    #[test]
    fn it_is_known_what_was_compiled() {
        let project =
            Project::workspace().member("one", "[dependencies]\ntwo = { path = \"../two\" }\n").member("two", "").program("cargo");
        let project = project.file("members/two/src/lib.rs", "pub fn two() {}\n").locked();
        project.cargo(["build", "--quiet", "-p", "one"]).succeeds().compiles(["one", "two"]);
        project.cargo(["build", "-p", "one"]).succeeds().compiles_nothing();
        project.edit("members/one/src/main.rs", "hello", "hallo");
        project.cargo(["build", "-p", "one"]).succeeds().compiles(["one"]);
    }

    #[test]
    #[should_panic(expected = "compiled [\"hello\"]")]
    fn a_compile_is_not_nothing() {
        Project::package("hello").program("cargo").run(["build"]).compiles_nothing();
    }

    #[test]
    #[should_panic(expected = "should stand in src/main.rs once")]
    fn an_edit_must_hit() {
        Project::package("hello").edit("src/main.rs", "absent", "");
    }
}
