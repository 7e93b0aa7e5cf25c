//! Containers in real engines: copied files, outputs and removal.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::sync::Mutex;
use std::time::Duration;

use cargo_union::engine::{BindMount, Container, ContainerOptions, Engine, EngineLocator};
use cargo_union::publish::Publisher;
use cargo_union::publish::daemon::Daemon;
use cargo_union::sys::process::OutputStream;
use cargo_union::sys::secret::Secret;
use futures_util::TryStreamExt as _;

use super::*;

/// An engine with a small Debian image, and a function that lists its containers.
struct ContainerSetup {
    engine: Engine,
    image: String,
    containers: Box<dyn Fn() -> String>,
    _fixture: Fixture,
}

impl ContainerSetup {
    async fn docker() -> Self {
        let names = || {
            Dockerd::shared().docker(&[
                "ps",
                "--all",
                "--format",
                "{{.Names}}",
                "--filter",
                "name=union-",
            ])
        };
        Self::with(Dockerd::shared().address(), Box::new(names)).await
    }

    async fn podman() -> Self {
        let podman = Podman::start();
        let address = podman.address();
        Self::with(
            address,
            Box::new(move || podman.podman(&["ps", "--all", "--format", "{{.Names}}"])),
        )
        .await
    }

    async fn with(address: String, containers: Box<dyn Fn() -> String>) -> Self {
        let fixture = Fixture::with_base(&debian_layout());
        let recipe = fixture.recipe(vec![spec("default", reference())], &[]);
        let image = fixture.build(&recipe).await.unwrap();
        let engines = Arc::new(EngineLocator::at([address]));
        let daemon = Daemon::new(engines.clone(), fixture.source.clone(), Arc::new(Silent));
        let image = daemon
            .publish(&named(&recipe, "containers"), &image, true)
            .await
            .unwrap()
            .digest
            .to_string();
        Self {
            engine: engines.engine().await.unwrap().clone(),
            image,
            containers,
            _fixture: fixture,
        }
    }

    /// A container that is going to run a line of shell.
    async fn shell(
        &self,
        name: &str,
        line: &str,
        change: impl FnOnce(&mut ContainerOptions),
    ) -> Container {
        let mut run = ContainerOptions {
            name: format!("union-{name}"),
            image: self.image.clone(),
            command: Some(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
            network: Some("none".to_owned()),
            ..ContainerOptions::default()
        };
        change(&mut run);
        self.engine.container(&run).await.unwrap()
    }
}

/// stdout, stderr and exit code of a container.
async fn run_to_end(container: &Container) -> (String, String, i64) {
    let printed = Mutex::new((Vec::new(), Vec::new()));
    let code = container.run(|stream, bytes| {
        let (out, err) = &mut *printed.lock().unwrap();
        if stream == OutputStream::Stdout {
            out
        } else {
            err
        }
        .extend_from_slice(bytes);
    });
    let code = code.await.unwrap();
    let (out, err) = printed.into_inner().unwrap();
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
        code,
    )
}

/// Puts a directory with mode 0777 and a file into a container.
async fn fill(container: &Container) {
    let filled = container.upload("/", |archive| {
        let mut archive = tar::Builder::new(archive);
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o777);
        header.set_size(0);
        archive.append_data(&mut header, "var/run/deep/data/", io::empty())?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(5);
        archive.append_data(&mut header, "var/run/deep/data/in", &b"hello"[..])?;
        archive.finish()
    });
    filled.await.unwrap();
}

/// Everything below a directory of a container: path and content.
async fn emptied(container: &Container, directory: &str) -> BTreeMap<String, String> {
    let bytes = container
        .download(directory)
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
    let bytes = bytes.await.unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(
            entry
                .path()
                .unwrap()
                .display()
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
            text,
        );
    }
    files
}

/// The lifecycle of a container: files are copied in, it runs as `nobody`, outputs are copied out, it is removed.
async fn goes_the_whole_way(setup: &ContainerSetup) {
    let line = "cat in; echo; id -u; echo $A$SECRET >&2; pwd >&2; echo made >out; exit 3";
    let container = setup.shell("whole", line, |run| {
        run.user = Some("1234:1234".to_owned());
        run.workdir = Some("/run/deep/data".to_owned());
        run.env = [("A", "a"), ("SECRET", "s")]
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .into();
    });
    let container = container.await;
    fill(&container).await;
    assert_eq!(
        run_to_end(&container).await,
        (
            "hello\n1234\n".to_owned(),
            "as\n/run/deep/data\n".to_owned(),
            3
        )
    );
    // `/var/run` is a link in Debian: files are copied to its target.
    let expected = [("data", ""), ("data/in", "hello"), ("data/out", "made\n")];
    let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(emptied(&container, "/run/deep/data").await, expected.into());
    let name = container.name().to_owned();
    assert!(
        (setup.containers)().contains(&name),
        "the engine is asked in the right way"
    );
    container.remove().await.unwrap();
    assert!(
        !(setup.containers)().contains(&name),
        "{name} is still there"
    );
}

#[tokio::test]
async fn container_lifecycle_in_docker() {
    goes_the_whole_way(&ContainerSetup::docker().await).await;
}

#[tokio::test]
async fn container_lifecycle_in_podman() {
    goes_the_whole_way(&ContainerSetup::podman().await).await;
}

#[tokio::test]
async fn output_is_streamed_while_the_program_runs() {
    let setup = ContainerSetup::docker().await;
    let container = setup
        .shell(
            "live",
            "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last",
            |_| (),
        )
        .await;
    let seen = Mutex::new(String::new());
    let go = async {
        while !seen.lock().unwrap().contains("first") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Without streaming, this would never be reached.
        let put = container.upload("/", |archive| {
            let mut archive = tar::Builder::new(archive);
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            archive.append_data(&mut header, "go", io::empty())?;
            archive.finish()
        });
        put.await.unwrap();
    };
    let run = container.run(|_, bytes| {
        seen.lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(bytes))
    });
    let (code, ()) = tokio::join!(run, go);
    assert_eq!(
        (code.unwrap(), seen.lock().unwrap().as_str()),
        (0, "first\nlast\n")
    );
}

/// A container whose future is dropped during its run is removed when the drop returns.
async fn vanishes_when_it_is_dropped(setup: &ContainerSetup) {
    let container = setup
        .shell("dropped", "echo running; sleep 600", |_| ())
        .await;
    let name = container.name().to_owned();
    let running = tokio::sync::Notify::new();
    let run = async move {
        let code = container.run(|_, _| running.notify_one());
        tokio::select! {
            code = code => panic!("it ended with {code:?}"),
            () = running.notified() => {}
        }
        // The run and the container are dropped here, while the program sleeps.
    };
    run.await;
    assert!(
        !(setup.containers)().contains(&name),
        "{name} is still there"
    );
}

#[tokio::test]
async fn dropped_container_is_removed_from_docker() {
    vanishes_when_it_is_dropped(&ContainerSetup::docker().await).await;
}

#[tokio::test]
async fn dropped_container_is_removed_from_podman() {
    vanishes_when_it_is_dropped(&ContainerSetup::podman().await).await;
}

#[tokio::test]
async fn bind_mount_is_writable_only_on_request() {
    let setup = ContainerSetup::docker().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in"), "from outside").unwrap();
    let line = "cat /ro/in; touch /ro/no 2>/dev/null; echo inside >/rw/out";
    let bind = |to: &str, writable| BindMount {
        from: directory.path().to_owned(),
        to: to.to_owned(),
        writable,
    };
    let container = setup
        .shell("bound", line, |run| {
            run.binds = vec![bind("/ro", false), bind("/rw", true)]
        })
        .await;
    assert_eq!(
        run_to_end(&container).await,
        ("from outside".to_owned(), String::new(), 0)
    );
    assert!(!directory.path().join("no").exists());
    assert_eq!(
        std::fs::read_to_string(directory.path().join("out")).unwrap(),
        "inside\n"
    );
}

#[tokio::test]
async fn entrypoint_replaces_that_of_the_image() {
    let setup = ContainerSetup::docker().await;
    let container = setup.shell("entrypoint", "", |run| {
        run.entrypoint = Some(vec!["/bin/echo".to_owned(), "entry".to_owned()]);
        run.command = Some(vec!["word".to_owned()]);
    });
    assert_eq!(
        run_to_end(&container.await).await,
        ("entry word\n".to_owned(), String::new(), 0)
    );
}

#[tokio::test]
async fn missing_program_shows_the_message_of_the_engine() {
    let setup = ContainerSetup::docker().await;
    let container = setup
        .shell("absent", "", |run| {
            run.command = Some(vec!["/no/such/program".to_owned()])
        })
        .await;
    let name = container.name().to_owned();
    let error = container.run(|_, _| ()).await.unwrap_err();
    assert_eq!(error.code(), Code::EngineFailed);
    assert!(
        error.chain().join(": ").contains("/no/such/program"),
        "{:?}",
        error.chain()
    );
    drop(container);
    assert!(
        !(setup.containers)().contains(&name),
        "{name} is still there"
    );
}

#[tokio::test]
async fn unpackable_files_are_reported_and_not_the_engine() {
    let setup = ContainerSetup::docker().await;
    let container = setup.shell("unpacked", "true", |_| ()).await;
    let error = container
        .upload("/", |_| Err(io::Error::other("the disk is on fire")))
        .await
        .unwrap_err();
    assert!(
        error.chain().join(": ").contains("the disk is on fire"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn missing_image_leaves_no_container() {
    let setup = ContainerSetup::docker().await;
    let run = ContainerOptions {
        name: "union-none".to_owned(),
        image: "no-such-image:v1".to_owned(),
        ..ContainerOptions::default()
    };
    let error = setup.engine.container(&run).await.unwrap_err();
    assert!(
        error.chain().join(": ").contains("no-such-image:v1"),
        "{:?}",
        error.chain()
    );
    assert!(!(setup.containers)().contains("union-none"));
}
