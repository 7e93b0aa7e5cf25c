#![allow(clippy::unwrap_used)]

use super::*;

fn expected() -> ExpectedRedirect {
    ExpectedRedirect {
        path: "callback".to_owned(),
        state: "s+1".to_owned(),
    }
}

#[test]
fn callback_accepts_only_its_own_state() {
    for (line, means) in [
        (
            "GET /callback?code=c%20d&state=s%2B1 HTTP/1.1",
            CallbackRequest::Code(Secret::new("c d".to_owned())),
        ),
        (
            "GET /callback/?state=s%2B1&code=x HTTP/1.1",
            CallbackRequest::Code(Secret::new("x".to_owned())),
        ),
        (
            "GET /callback?error=access_denied&error_description=no&state=s%2B1 HTTP/1.1",
            CallbackRequest::Denied("access_denied (no)".to_owned()),
        ),
    ] {
        assert_eq!(classify(line, &expected()), means, "{line}");
    }
    for line in [
        "GET /callback?code=c&state=other HTTP/1.1",
        "GET /callback?code=c HTTP/1.1",
        "GET /callback?state=s%2B1 HTTP/1.1",
        "GET /favicon.ico HTTP/1.1",
        "POST /callback?code=c&state=s%2B1 HTTP/1.1",
        "nonsense",
    ] {
        assert!(
            matches!(classify(line, &expected()), CallbackRequest::Unrelated(..)),
            "{line}"
        );
    }
}

#[tokio::test]
async fn redirect_must_be_a_port_of_this_machine() {
    for redirect in [
        "http://example.test:8080/callback",
        "http://localhost/callback",
        "",
        "http://127.0.0.1.example.test:1/",
    ] {
        let refused = Callback::listen(redirect, "s", "host").await.err().unwrap();
        assert_eq!(refused.code, Code::LoginFailed, "{redirect}");
        assert!(
            refused.cause.contains("not a port of this machine"),
            "{}",
            refused.cause
        );
    }
}

#[tokio::test]
async fn occupied_redirect_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = format!("http://{}/callback", taken.local_addr().unwrap());
    let refused = Callback::listen(&redirect, "s", "host")
        .await
        .err()
        .unwrap();
    assert!(
        refused
            .cause
            .contains(&taken.local_addr().unwrap().to_string()),
        "{}",
        refused.cause
    );
}

async fn get(address: std::net::SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn unrelated_requests_are_answered_and_the_code_is_taken_once() {
    // Port 0 selects a free port.
    let callback = Callback::listen("http://127.0.0.1:0/callback", "s", "host")
        .await
        .unwrap();
    let address = callback.listeners[0].local_addr().unwrap();
    let code = tokio::spawn(callback.code());
    let _silent = TcpStream::connect(address).await.unwrap();
    assert!(
        get(address, "/favicon.ico")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(
        get(address, "/callback?code=evil&state=guess")
            .await
            .starts_with("HTTP/1.1 400")
    );
    assert!(
        get(address, "/callback?code=good&state=s")
            .await
            .contains("You are logged in")
    );
    assert_eq!(code.await.unwrap().unwrap().reveal(), "good");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
}

proptest::proptest! {
    #[test]
    fn arbitrary_requests_are_classified(line in proptest::prop_oneof![
        union_tests::arbitrary::text(),
        union_tests::arbitrary::spoiled("GET /callback?code=c%20d&state=s%2B1 HTTP/1.1"),
    ]) {
        classify(&line, &expected());
    }
}
