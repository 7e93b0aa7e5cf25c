//! The redirect target of a browser login: a listener on this machine that takes one authorization response.
//!
//! Any process can connect to the port; only a response with the state of this login counts (RFC 6749, section 10.12).

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use union_build::diag::Code;

use crate::flyte::rpc::RpcFailure;
use crate::http::error::clean;
use crate::http::{Url, authority, is_loopback};
use crate::sys::secret::Secret;

/// How long the user may take to log in.
const LIMIT: Duration = Duration::from_secs(600);
/// The time limit and the maximum size of a browser's request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
const LONGEST: usize = 16 << 10;

pub(super) struct Callback {
    listeners: Vec<TcpListener>,
    expected: ExpectedRedirect,
}

/// The expected authorization response.
#[derive(Clone, Debug)]
struct ExpectedRedirect {
    /// Path without slashes at its ends.
    path: String,
    state: String,
}

/// A classified request.
#[derive(Debug, PartialEq, Eq)]
enum CallbackRequest {
    /// An authorization code.
    Code(Secret<String>),
    /// The server or the user denied the login.
    Denied(String),
    /// An unrelated request: HTTP status and text of the response.
    Unrelated(&'static str, &'static str),
}

impl Callback {
    /// Listens at the redirect address, which must be on this machine.
    pub(super) async fn listen(
        redirect: &str,
        state: &str,
        backend_host: &str,
    ) -> Result<Self, RpcFailure> {
        let url = Url::parse(redirect)
            .ok()
            .filter(|url| is_loopback(&authority(url)));
        let Some((url, port)) = url
            .and_then(|url| Some((url.port()?, url)))
            .map(|(port, url)| (url, port))
        else {
            let cause = format!(
                "{backend_host} lets browsers return to `{}`, which is not a port of this machine",
                clean(redirect)
            );
            let help = "Choose `admin.authType: DeviceFlow`, or ask the operator of the backend for a redirect to `localhost`.";
            return Err(RpcFailure::new(Code::LoginFailed, cause).help(help));
        };
        let host = url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let mut listeners = Vec::new();
        let mut why = String::new();
        // A browser may resolve `localhost` to an IPv4 or an IPv6 address.
        for address in tokio::net::lookup_host((host.as_str(), port))
            .await
            .into_iter()
            .flatten()
        {
            match TcpListener::bind(address).await {
                Ok(listener) => listeners.push(listener),
                Err(cause) => why = cause.to_string(),
            }
        }
        if listeners.is_empty() {
            let cause = format!(
                "could not listen on {}, where the browser returns to: {why}",
                authority(&url)
            );
            return Err(RpcFailure::new(Code::LoginFailed, cause)
                .help("End what uses this port, or choose `admin.authType: DeviceFlow`."));
        }
        let expected = ExpectedRedirect {
            path: url.path().trim_matches('/').to_owned(),
            state: state.to_owned(),
        };
        Ok(Self {
            listeners,
            expected,
        })
    }

    /// Waits for the authorization code.
    pub(super) async fn code(self) -> Result<Secret<String>, RpcFailure> {
        let (sender, mut requests) = mpsc::channel(1);
        // Dropping the tasks closes all listeners.
        let mut tasks = tokio::task::JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(accept(listener, self.expected.clone(), sender.clone()));
        }
        let waited = tokio::time::timeout(LIMIT, requests.recv()).await;
        match waited.ok().flatten() {
            Some(CallbackRequest::Code(code)) => Ok(code),
            Some(CallbackRequest::Denied(why)) => Err(RpcFailure::new(
                Code::LoginFailed,
                format!("the login was denied: {why}"),
            )),
            _ => Err(RpcFailure::new(
                Code::LoginFailed,
                format!(
                    "no browser was redirected back within {} minutes",
                    LIMIT.as_secs() / 60
                ),
            )),
        }
    }
}

async fn accept(
    listener: TcpListener,
    expected: ExpectedRedirect,
    sender: mpsc::Sender<CallbackRequest>,
) {
    let mut tasks = tokio::task::JoinSet::new();
    // Browsers open connections that they never use, so connections are served concurrently.
    while let Ok((stream, _)) = listener.accept().await {
        let expected = expected.clone();
        let sender = sender.clone();
        tasks.spawn(async move {
            if let Ok(Some(request)) =
                tokio::time::timeout(REQUEST_LIMIT, serve_redirect(stream, &expected)).await
            {
                // The send fails when another response was first.
                let _ = sender.send(request).await;
            }
        });
    }
}

/// Reads and answers a request; returns it unless it is unrelated.
async fn serve_redirect(
    mut stream: TcpStream,
    expected: &ExpectedRedirect,
) -> Option<CallbackRequest> {
    let mut head = Vec::new();
    while !head.windows(2).any(|pair| pair == b"\r\n") {
        if head.len() > LONGEST || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let request = classify(text.lines().next().unwrap_or_default(), expected);
    let (status, words) = match &request {
        CallbackRequest::Code(_) => ("200 OK", "You are logged in. You may close this page."),
        CallbackRequest::Denied(_) => ("200 OK", "The login was denied. You may close this page."),
        CallbackRequest::Unrelated(status, words) => (*status, *words),
    };
    let page =
        format!("<!doctype html><meta charset=utf-8><title>cargo union</title><p>{words}</p>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    // The browser's page does not affect the login.
    let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    let _ = stream.shutdown().await;
    (!matches!(request, CallbackRequest::Unrelated(..))).then_some(request)
}

/// Classifies a request by its first line.
fn classify(line: &str, expected: &ExpectedRedirect) -> CallbackRequest {
    const NOT_FOUND: CallbackRequest = CallbackRequest::Unrelated("404 Not Found", "Not found.");
    let Some(target) = line
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
    else {
        return NOT_FOUND;
    };
    let Ok(url) = Url::parse("http://localhost/").and_then(|base| base.join(target)) else {
        return NOT_FOUND;
    };
    if url.path().trim_matches('/') != expected.path {
        return NOT_FOUND;
    }
    let field = |key: &str| {
        url.query_pairs()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    };
    if field("state").as_deref() != Some(&expected.state) {
        return CallbackRequest::Unrelated(
            "400 Bad Request",
            "This redirect does not belong to the current login.",
        );
    }
    match (
        field("code").filter(|code| !code.is_empty()),
        field("error"),
    ) {
        (_, Some(error)) => CallbackRequest::Denied(clean(
            &field("error_description").map_or(error.clone(), |words| format!("{error} ({words})")),
        )),
        (Some(code), None) => CallbackRequest::Code(Secret::new(code)),
        (None, None) => {
            CallbackRequest::Unrelated("400 Bad Request", "The login server has sent no code.")
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
