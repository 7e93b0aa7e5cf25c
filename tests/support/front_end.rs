//! A strict reverse proxy before a registry, like those of cloud providers: it rejects a body without a length with 411, a
//! body above a limit with 413 and a web page, and every protocol version but HTTP/1.1.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::{Incoming, Reply, Request, Server};

/// The size of the chunks in which a body is read.
const CHUNK: usize = 1 << 18;

/// A running front end. It stops when this is dropped.
pub struct FrontEnd {
    server: Server,
    refused: Arc<Mutex<Vec<String>>>,
}

/// What a front end does with a body that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It reads the body to its end and responds with 413 and a web page.
    Page,
    /// It reads up to its limit and closes the connection.
    Close,
}

impl FrontEnd {
    /// A front end before a registry, `host:port`, which accepts bodies of up to `limit` bytes.
    pub fn before(registry: &str, limit: usize) -> Self {
        Self::with(registry, limit, Refusal::Page)
    }

    /// A front end with a choice of how it rejects long bodies.
    pub fn with(registry: &str, limit: usize, refusal: Refusal) -> Self {
        let registry = registry.to_owned();
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = refused.clone();
        let server = Server::start(move |request, body| {
            let note = |status: u16| {
                let line = format!(
                    "{status} {} {} of {} bytes",
                    request.method,
                    request.path,
                    body_length(request)
                );
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            };
            if request.version != "1.1" {
                note(505);
                return error_page(505, "HTTP Version Not Supported");
            }
            let has_length = ["content-length", "transfer-encoding"]
                .iter()
                .any(|name| request.header(name).is_some());
            if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") && !has_length {
                note(411);
                return error_page(411, "Length Required");
            }
            if body.left() > limit {
                note(413);
                if refusal == Refusal::Close {
                    body.read(limit);
                    return Reply::cut();
                }
                while !body.read(CHUNK).is_empty() {}
                return error_page(413, "Request Entity Too Large");
            }
            forward(&registry, request, body)
                .unwrap_or_else(|cause| error_page(502, &cause.to_string()))
        });
        Self { server, refused }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The rejected requests: `413 PUT /v2/app/blobs/uploads/1 of 80000000 bytes`.
    pub fn refused(&self) -> Vec<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn body_length(request: &Request) -> &str {
    request.header("content-length").unwrap_or("no")
}

fn error_page(status: u16, title: &str) -> Reply {
    let html = format!(
        "<html><head><title>{status} {title}</title></head><body><h1>{status} {title}</h1></body></html>"
    );
    Reply::status(status)
        .with("Content-Type", "text/html; charset=UTF-8")
        .body(html)
}

/// Forwards a request over HTTP/1.0, where a response ends with the connection.
fn forward(registry: &str, request: &Request, body: &mut Incoming<'_>) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(registry)?;
    let mut head = format!("{} {} HTTP/1.0\r\n", request.method, request.target);
    for (name, value) in request
        .headers
        .iter()
        .filter(|(name, _)| *name != "connection")
    {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    loop {
        let chunk = body.read(CHUNK);
        if chunk.is_empty() {
            break;
        }
        stream.write_all(&chunk)?;
    }
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    parse_response(&response, request)
        .ok_or_else(|| std::io::Error::other("the registry's response is not HTTP"))
}

fn parse_response(response: &[u8], request: &Request) -> Option<Reply> {
    let end = response
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&response[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut reply = Reply::status(lines.next()?.split(' ').nth(1)?.parse().ok()?);
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "connection" => {}
            _ => reply = reply.with(name, value),
        }
    }
    // The response to a HEAD has a Content-Length, but no body.
    let body = if request.method == "HEAD" {
        vec![0; length]
    } else {
        response[end + 4..].to_vec()
    };
    Some(reply.body(body))
}
