//! Files and directories of a run's outputs, downloaded from their store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use union_tests::http::{Reply, Request, Server};
use union_tests::{Outcome, Project};

use crate::setup::Setup;

const TASK: &str = "[package.metadata.union.tasks.give]\ninputs = { model = \"file\", table = \"directory\", n = \"integer\" }\n\
    outputs = { model = \"file\", table = \"directory\", n = \"integer\" }\n";

/// The response of a store in place of an object.
type Rule = Box<dyn FnMut(&str) -> Option<Reply> + Send>;

/// A store with the API of S3, with one bucket and at most two objects on a page of its lists.
struct Store {
    server: Server,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn with(objects: &[(&str, &str)]) -> Self {
        Self::ruled(objects, Box::new(|_| None))
    }

    fn ruled(objects: &[(&str, &str)], rule: Rule) -> Self {
        let objects: BTreeMap<String, String> = objects
            .iter()
            .map(|(key, content)| ((*key).to_owned(), (*content).to_owned()))
            .collect();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, rule) = (seen.clone(), Mutex::new(rule));
        let server = Server::start(move |request, _| {
            log.lock().unwrap().push(request.path.clone());
            let login = request.asks("X-Amz-Credential").unwrap_or_default();
            let is_signed = login.starts_with("reader/")
                && login.ends_with("/eu-test-1/s3/aws4_request")
                && request
                    .asks("X-Amz-Signature")
                    .is_some_and(|text| text.len() == 64);
            if !is_signed || request.header("authorization").is_some() {
                return denied();
            }
            if request.path == "/bucket" {
                return list(&objects, request);
            }
            let key = request
                .path
                .trim_start_matches("/bucket/")
                .replace("%20", " ");
            if let Some(reply) = (rule.lock().unwrap())(&key) {
                return reply;
            }
            match objects.get(&key) {
                Some(content) => Reply::status(200)
                    .with("ETag", entity_tag(content))
                    .body(content.as_bytes()),
                None => Reply::status(404).body("<Error><Code>NoSuchKey</Code></Error>"),
            }
        });
        Self { server, seen }
    }

    fn project(&self, setup: &Setup) -> Project {
        setup
            .hello(TASK)
            .env(
                "FLYTE_AWS_ENDPOINT",
                format!("http://{}", self.server.host()),
            )
            .env("AWS_REGION", "eu-test-1")
            .env("AWS_ACCESS_KEY_ID", "reader")
            .env("AWS_SECRET_ACCESS_KEY", "TOPSECRET")
    }
}

fn entity_tag(content: &str) -> String {
    let md5: Vec<u8> = <md5::Md5 as md5::Digest>::digest(content).to_vec();
    let digits: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn denied() -> Reply {
    Reply::status(403).body("<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
}

/// A page of at most two objects, which starts after the key of the token.
fn list(objects: &BTreeMap<String, String>, request: &Request) -> Reply {
    let prefix = request.asks("prefix").unwrap_or_default();
    let after = request.asks("continuation-token").unwrap_or_default();
    let rest: Vec<_> = objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after)
        .collect();
    let shown = &rest[..rest.len().min(2)];
    let entry = |(key, content): &(&String, &String)| {
        format!(
            "<Contents><Key>{key}</Key><Size>{}</Size></Contents>",
            content.len()
        )
    };
    let entries: String = shown.iter().map(entry).collect();
    let next = match shown.last() {
        Some((key, _)) if rest.len() > shown.len() => format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{key}</NextContinuationToken>"
        ),
        _ => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    Reply::status(200).body(format!(
        "<ListBucketResult>{next}{entries}</ListBucketResult>"
    ))
}

const OBJECTS: [(&str, &str); 7] = [
    ("run/model.bin", "weights"),
    ("run/table/", ""),
    ("run/table/a.csv", "1,2\n"),
    ("run/table/deep/b c.csv", "3\n"),
    ("run/table/deep/empty", ""),
    ("run/table/z.csv", "4\n"),
    ("run/tableau", "another"),
];

fn give(project: &Project, more: &[&str], model: &str) -> Outcome {
    let inputs = ["--model", model, "--table=s3://bucket/run/table", "--n=7"];
    project.run([&["run", "--remote"], more, &["give", "--"], &inputs].concat())
}

/// The files below a directory, with their contents.
fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(current).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().display().to_string();
                files.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn files_and_directories_are_downloaded_without_overwriting() {
    let setup = Setup::new();
    let store = Store::with(&OBJECTS);
    let project = store.project(&setup);
    let outcome = give(
        &project,
        &["-vv", "--save-outputs", "out"],
        "s3://bucket/run/model.bin",
    )
    .succeeds()
    .stderr_lacks("TOPSECRET")
    .stderr_lacks("X-Amz-Signature");
    let out = project.path("out");
    outcome
        .stderr_has(&format!(
            "Saved model (1 file, 7 B) to {}/model",
            out.display()
        ))
        .stderr_has("Saved table (4 files, 8 B) to ")
        .stdout_is("model = \"[PROJECT]/out/model\"\nn = 7\ntable = \"[PROJECT]/out/table\"\n");
    let expected = [
        ("model", "weights"),
        ("table/a.csv", "1,2\n"),
        ("table/deep/b c.csv", "3\n"),
        ("table/deep/empty", ""),
        ("table/z.csv", "4\n"),
    ];
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()))
        .collect();
    assert_eq!(files(&out), expected);

    // Existing files are kept: no run is created.
    project.write("out/model", "mine");
    let runs = setup.backend.runs();
    let again = give(
        &project,
        &["--save-outputs", "out"],
        "s3://bucket/run/model.bin",
    )
    .exits(1)
    .fails_with("U0785");
    again
        .stderr_has("/out/model` and `")
        .stderr_has("/out/table` exist already");
    assert_eq!(setup.backend.runs(), runs);
    assert_eq!(project.read("out/model"), "mine");

    // Another user may download them later.
    let followed = |directory: &str| {
        project.run([
            "run",
            "--format",
            "json",
            "--follow",
            &runs[0],
            "--save-outputs",
            directory,
        ])
    };
    followed("out").fails_with("U0785");
    let json = followed("elsewhere/deep").succeeds().json();
    let elsewhere = project.path("elsewhere/deep");
    assert_eq!(files(&elsewhere), expected);
    assert_eq!(
        json["outputs"],
        serde_json::json!({
            "model": elsewhere.join("model"), "table": elsewhere.join("table"), "n": 7
        })
    );
    // Without the flag the store gets no request.
    let asked = store.seen.lock().unwrap().len();
    project
        .run(["run", "--follow", &runs[0]])
        .succeeds()
        .stdout_has("model = \"s3://bucket/run/model.bin\"");
    assert_eq!(store.seen.lock().unwrap().len(), asked);
}

#[test]
fn interrupted_download_is_restarted() {
    let setup = Setup::new();
    let mut cuts = 2;
    let store = Store::ruled(
        &OBJECTS,
        Box::new(move |key| {
            let is_cut = key == "run/model.bin" && cuts > 0;
            cuts -= i32::from(is_cut);
            let reply = Reply {
                announced: Some(7),
                ..Reply::status(200).body("wei")
            };
            is_cut.then_some(reply)
        }),
    );
    let project = store.project(&setup);
    give(
        &project,
        &["--save-outputs", "out"],
        "s3://bucket/run/model.bin",
    )
    .succeeds()
    .stderr_has("Retrying");
    assert_eq!(project.read("out/model"), "weights");
}

#[test]
fn failed_download_is_reported_and_leaves_no_files() {
    let wrong = |key: &str| {
        Some(match key {
            "run/wrong" => Reply::status(200)
                .with("ETag", "\"00000000000000000000000000000000\"")
                .body("weights"),
            "run/secret" => denied(),
            "run/far" => Reply::status(301)
                .with("x-amz-bucket-region", "mars-1")
                .body("<Error><Code>PermanentRedirect</Code></Error>"),
            _ => return None,
        })
    };
    let setup = Setup::new();
    let store = Store::ruled(&OBJECTS, Box::new(wrong));
    let project = store.project(&setup);
    for (address, code, text) in [
        ("s3://bucket/run/wrong", "U0784", "MD5 checksum"),
        ("s3://bucket/run/secret", "U0783", "AccessDenied: no"),
        ("s3://bucket/run/far", "U0783", "set AWS_REGION=mars-1"),
        ("s3://bucket/run/none", "U0782", "NoSuchKey"),
        (
            "gs://bucket/model",
            "U0781",
            "could not fetch `gs://bucket/model`",
        ),
        ("s3://buc ket/model", "U0781", "is not a bucket name"),
    ] {
        let failed = give(&project, &["--save-outputs", "out"], address)
            .exits(1)
            .fails_with(code)
            .stdout_is("");
        failed
            .stderr_has(text)
            .stderr_has("cargo union run --follow")
            .stderr_lacks("TOPSECRET");
        assert_eq!(files(&project.path("out")), [], "{address}");
    }
    let stranger = project.without_env("AWS_ACCESS_KEY_ID");
    give(
        &stranger,
        &["--save-outputs", "out"],
        "s3://bucket/run/model.bin",
    )
    .fails_with("U0783")
    .stderr_has("No login was sent");
}

#[test]
fn object_name_that_escapes_the_directory_is_refused() {
    for key in ["run/table/../../../evil", "run/table//etc/evil"] {
        let setup = Setup::new();
        let store = Store::with(&[("run/model.bin", "m"), (key, "x")]);
        let project = store.project(&setup);
        give(
            &project,
            &["--save-outputs", "out"],
            "s3://bucket/run/model.bin",
        )
        .exits(1)
        .fails_with("U0781")
        .stderr_has("cannot be the path of a file");
        assert_eq!(files(&project.path("out")), []);
    }
}
