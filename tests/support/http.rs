//! A small HTTP server on loopback, for fake servers in tests: it can send wrong lengths and close connections in the
//! middle of a response, which server libraries do not allow. With an authority it uses TLS.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::tls::{Authority, Connection};

/// A port of 127.0.0.1 at which no program listens. The system gives it to no other program while this lives; a program that
/// knows it can listen there.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    #[allow(dead_code, reason = "its two ends keep the port in use")]
    connection: [TcpStream; 2],
}

impl ReservedPort {
    /// Reserves a port: the end of a connection has it, and a listener no more.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let client = TcpStream::connect(address).expect("loopback is up");
        let (accepted, _) = listener.accept().expect("a client has connected");
        Self {
            address,
            connection: [client, accepted],
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The number of the port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// Path and query, not decoded.
    pub target: String,
    /// The protocol version, such as `1.1`.
    pub version: String,
    /// The path without the query.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// Headers, with lower-case names.
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The value of `Content-Length`.
    pub fn content_length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// The first value of a query parameter.
    pub fn asks(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A response.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code; 0 closes the connection without a response.
    pub status: u16,
    /// The headers except `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body, or its beginning with `live`.
    pub body: Vec<u8>,
    /// A value for `Content-Length` instead of the body's length. After a longer one the connection is closed.
    pub announced: Option<usize>,
    /// The rest of the body in chunks, which are sent as they arrive. The response ends with the channel.
    pub live: Option<Arc<Mutex<Receiver<Vec<u8>>>>>,
}

impl Reply {
    /// A response without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// No response: the connection is closed.
    pub fn cut() -> Self {
        Self::default()
    }

    /// An error response of a registry (OCI distribution spec, "Error Codes").
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body =
            serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
        Self::status(status)
            .with("Content-Type", "application/json")
            .body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Continues the body with the chunks of a channel.
    #[must_use]
    pub fn live(mut self, pieces: Receiver<Vec<u8>>) -> Self {
        self.live = Some(Arc::new(Mutex::new(pieces)));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// The body of a request. Unread bytes are left on the connection.
pub struct Incoming<'a> {
    reader: &'a mut BufReader<Connection>,
    left: usize,
}

impl Incoming<'_> {
    /// Reads at most `most` bytes.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.left.min(most)];
        let mut done = 0;
        while done < bytes.len() {
            match self.reader.read(&mut bytes[done..]) {
                Ok(count) if count > 0 => done += count,
                _ => break,
            }
        }
        bytes.truncate(done);
        self.left -= done;
        bytes
    }

    /// How many bytes are not read yet.
    pub fn left(&self) -> usize {
        self.left
    }
}

type Handler = dyn Fn(&Request, &mut Incoming<'_>) -> Reply + Send + Sync;

/// A running server. It stops when this is dropped.
pub struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a free port.
    pub fn start(
        handler: impl Fn(&Request, &mut Incoming<'_>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(None, handler)
    }

    /// Starts a server with a certificate of an authority, or one without TLS.
    pub fn start_as(
        authority: Option<&Authority>,
        handler: impl Fn(&Request, &mut Incoming<'_>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let identity = authority.map(Authority::identity);
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let stop = stopped.clone();
        let open: Arc<Mutex<Vec<TcpStream>>> = connections.clone();
        let handler: Arc<Handler> = Arc::new(handler);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(copy) = stream.try_clone() {
                    open.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(copy);
                }
                let handler = handler.clone();
                let connection = Connection::new(stream, identity.as_ref());
                std::thread::spawn(move || serve(connection, &*handler));
            }
        });
        Self {
            address,
            stopped,
            connections,
            accepting: Some(accepting),
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes up the listener, so that it stops.
        let _ = TcpStream::connect(self.address);
        for connection in self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.accepting.take().map(JoinHandle::join);
    }
}

fn serve(connection: Connection, handler: &Handler) {
    let mut reader = BufReader::new(connection);
    loop {
        let request = match read_head(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(NotHttp) => {
                // Like real servers, also for a TLS handshake.
                let _ = reader
                    .get_mut()
                    .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                break;
            }
        };
        let left = request.content_length().unwrap_or(0);
        let mut incoming = Incoming {
            reader: &mut reader,
            left,
        };
        let reply = handler(&request, &mut incoming);
        let unread = incoming.left;
        let announced = reply.announced.unwrap_or(reply.body.len());
        let writer = reader.get_mut();
        if reply.status == 0
            || write(writer, &request, &reply, announced).is_err()
            || unread > 0
            || announced > reply.body.len()
        {
            break;
        }
    }
    reader.get_mut().end();
}

fn write(
    writer: &mut Connection,
    request: &Request,
    reply: &Reply,
    announced: usize,
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Because\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(chunks) = &reply.live {
        writer.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
        for chunk in chunks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writer.write_all(
                &[format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat(),
            )?;
            writer.flush()?;
        }
        writer.write_all(b"0\r\n\r\n")?;
        return writer.flush();
    }
    if reply.status != 204 {
        head.push_str(&format!("Content-Length: {announced}\r\n"));
    }
    let mut bytes = (head + "\r\n").into_bytes();
    if request.method != "HEAD" {
        bytes.extend(&reply.body);
    }
    writer.write_all(&bytes)?;
    writer.flush()
}

/// The received bytes are not an HTTP request.
struct NotHttp;

/// Reads the head of a request; `None` when the connection is closed.
fn read_head(reader: &mut BufReader<Connection>) -> Result<Option<Request>, NotHttp> {
    let mut next_line = || {
        let mut line = Vec::new();
        reader
            .read_until(b'\n', &mut line)
            .ok()
            .filter(|count| *count > 0)?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    let Some(first) = next_line() else {
        return Ok(None);
    };
    let words = first
        .split_once(' ')
        .and_then(|(method, rest)| Some((method, rest.split_once(" HTTP/")?)));
    let (method, (target, version)) = words.ok_or(NotHttp)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    while let Some(line) = next_line().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(NotHttp)?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }

    Ok(Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        path: path.to_owned(),
        query: parse_query(query),
        headers,
    }))
}

/// Parses `name=value&name=value`.
pub fn parse_query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        (rest, _) = match (first, escaped) {
            (b'%', Some(byte)) => (&after[2..], bytes.push(byte)),
            (b'+', _) => (after, bytes.push(b' ')),
            (other, _) => (after, bytes.push(*other)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reserved_port_refuses_connections_and_may_be_listened_at() {
        let port = ReservedPort::new();
        let refused = TcpStream::connect(port.host()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind(port.host()).unwrap();
        TcpStream::connect(port.host()).unwrap();
        listener.accept().unwrap();
    }
}
