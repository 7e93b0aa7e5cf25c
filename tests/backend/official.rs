//! The official server of the protocol: a login after `unauthenticated`, and a stream that ends with an error.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use cargo_union::flyte::idl::auth::{UserInfoRequest, UserInfoResponse};
use cargo_union::flyte::rpc::Streaming;
use futures_util::StreamExt as _;
use union_build::diag::Code;
use union_tests::tls::Authority;

use crate::setup::{Setup, assert_failure};

/// Its messages are decoded as other messages whose first field is a string: only the framing is tested.
const WATCH: Streaming<UserInfoRequest, UserInfoResponse> =
    Streaming::new("flyteidl2.workflow.RunService", "WatchActionDetails");

/// The server; dropping it ends it.
struct Official {
    child: Child,
    host: String,
    authority: Authority,
}

impl Official {
    fn start() -> Self {
        let authority = Authority::new();
        let directory = authority.certificate().parent().unwrap().to_owned();
        let (certificate, key) = authority.leaf();
        std::fs::write(directory.join("leaf.crt"), certificate).unwrap();
        std::fs::write(directory.join("leaf.key"), key).unwrap();
        let repository = union_tests::project::repository();
        let python = repository.join(".python/bin/python");
        let mut child = Command::new(&python)
            .arg(repository.join("tests/backend/official.py"))
            .args([directory.join("leaf.crt"), directory.join("leaf.key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|cause| panic!("`.ci/python` makes {}: {cause}", python.display()));
        let mut host = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut host)
            .unwrap();
        Self {
            child,
            host: host.trim().to_owned(),
            authority,
        }
    }

    fn setup(&self, token: &str) -> Setup {
        let setup = Setup::at(&self.host).env(
            "FLYTE_ADMIN_CACERTFILEPATH",
            self.authority.certificate().to_str().unwrap(),
        );
        setup
            .env("FLYTE_AUTH_TYPE", "ExternalCommand")
            .env("FLYTE_AUTH_COMMAND", &format!("echo {token}"))
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn official_server_accepts_calls_and_streams_with_a_token() {
    let server = Official::start();
    let user = server.setup("the-token").client().user().await.unwrap();
    assert_eq!(user.to_string(), "Ada Lovelace <ada@example.test>");
    let mut messages = server
        .setup("the-token")
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .unwrap();
    for name in ["a0", "a1"] {
        assert!(
            messages
                .next()
                .await
                .unwrap()
                .unwrap()
                .subject
                .ends_with(name)
        );
    }
    assert_failure(
        messages.next().await.unwrap(),
        Code::BackendNotFound,
        &["the run is gone"],
    );
    assert!(messages.next().await.is_none());
}

#[tokio::test]
async fn official_server_refusal_is_parsed() {
    let server = Official::start();
    let refused = server.setup("another-token").client().user().await;
    assert_failure(
        refused,
        Code::LoginRefused,
        &[&server.host, "unauthenticated", "none that is known"],
    );
    let refused = server
        .setup("another-token")
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .map(drop);
    assert_failure(
        refused,
        Code::LoginRefused,
        &[&server.host, "none that is known"],
    );
}
