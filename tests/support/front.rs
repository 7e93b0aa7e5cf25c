//! A strict front end before a registry, as cloud providers and companies have them: a body without a length is refused
//! with 411, a body above a limit with 413 and a web page, and nothing but HTTP/1.1 is spoken.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::{Incoming, Reply, Request, Server};

/// How much of a body is read at a time.
const PIECE: usize = 1 << 18;

/// A running front end; dropping it ends it.
pub struct Front {
    server: Server,
    refused: Arc<Mutex<Vec<String>>>,
}

/// What a front end does with a body that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It reads the body to its end and answers 413 with a web page.
    Page,
    /// It reads up to its limit and closes the connection.
    Close,
}

impl Front {
    /// A front end before a registry, `host:port`, which passes on bodies of so many bytes.
    pub fn before(registry: &str, limit: usize) -> Self {
        Self::with(registry, limit, Refusal::Page)
    }

    /// A front end that refuses long bodies in its own way.
    pub fn with(registry: &str, limit: usize, refusal: Refusal) -> Self {
        let registry = registry.to_owned();
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = refused.clone();
        let server = Server::start(move |request, body| {
            let note = |status: u16| {
                let line = format!("{status} {} {} of {} bytes", request.method, request.path, body_length(request));
                told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            };
            if request.version != "1.1" {
                note(505);
                return page(505, "HTTP Version Not Supported");
            }
            let has_length = ["content-length", "transfer-encoding"].iter().any(|name| request.header(name).is_some());
            if matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") && !has_length {
                note(411);
                return page(411, "Length Required");
            }
            if body.left() > limit {
                note(413);
                if refusal == Refusal::Close {
                    body.read(limit);
                    return Reply::cut();
                }
                while !body.read(PIECE).is_empty() {}
                return page(413, "Request Entity Too Large");
            }
            pass_on(&registry, request, body).unwrap_or_else(|cause| page(502, &cause.to_string()))
        });
        Self { server, refused }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// What was refused: `413 PUT /v2/app/blobs/uploads/1 of 80000000 bytes`.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn body_length(request: &Request) -> &str {
    request.header("content-length").unwrap_or("no")
}

fn page(status: u16, title: &str) -> Reply {
    let page = format!("<html><head><title>{status} {title}</title></head><body><h1>{status} {title}</h1></body></html>");
    Reply::status(status).with("Content-Type", "text/html; charset=UTF-8").body(page)
}

/// Asks the registry over HTTP/1.0, in which answers end with the connection.
fn pass_on(registry: &str, request: &Request, body: &mut Incoming<'_>) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(registry)?;
    let mut head = format!("{} {} HTTP/1.0\r\n", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| *name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    loop {
        let piece = body.read(PIECE);
        if piece.is_empty() {
            break;
        }
        stream.write_all(&piece)?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    read_answer(&answer, request).ok_or_else(|| std::io::Error::other("the registry does not speak HTTP"))
}

fn read_answer(answer: &[u8], request: &Request) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
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
    // An answer to a HEAD has the length of a body that is not there.
    let body = if request.method == "HEAD" { vec![0; length] } else { answer[end + 4..].to_vec() };
    Some(reply.body(body))
}
