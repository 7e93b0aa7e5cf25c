//! The redirect target of a browser login: a listener on this machine that takes one authorization response.
//!
//! Any process can connect to the port; a response without the state of this login is ignored (RFC 6749, section
//! 10.12).

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

/// Reads a request and responds to it; returns it unless it is unrelated.
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
mod tests;
