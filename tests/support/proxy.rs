//! An HTTP and SOCKS 5 proxy on loopback, which connects to this machine for every host: names need not exist.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How it treats clients.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Policy {
    Open,
    /// Requires this login: `user:password` in base64.
    Login(String),
    Refuses,
    /// It answers this, whatever it is asked for.
    Answers(&'static str),
}

/// A running proxy. It stops when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    policy: Policy,
    seen: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy without a login.
    pub fn open() -> Self {
        Self::start(Policy::Open)
    }

    /// A proxy that requires a login over HTTP.
    pub fn with_login(user: &str, password: &str) -> Self {
        use base64::Engine as _;
        Self::start(Policy::Login(
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")),
        ))
    }

    /// A proxy that refuses to connect.
    pub fn refusing() -> Self {
        Self::start(Policy::Refuses)
    }

    /// A proxy that answers every request itself, for example with `502 Bad Gateway`.
    pub fn answering(status: &'static str) -> Self {
        Self::start(Policy::Answers(status))
    }

    fn start(policy: Policy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            policy,
            seen: Mutex::default(),
            open: Mutex::default(),
        });
        let stop = stopped.clone();
        let accepting_shared = shared.clone();
        let accepting = std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = accepting_shared.clone();
                shared.track(&client);
                std::thread::spawn(move || {
                    let copy = client.try_clone();
                    // A lost connection only ends its thread.
                    let _ = shared.serve(client);
                    let _ = copy.map(|copy| copy.shutdown(Shutdown::Both));
                });
            }
        });
        Self {
            address,
            stopped,
            shared,
            accepting: Some(accepting),
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far: `CONNECT host:port`, `GET http://host/path`, `SOCKS host:port`.
    pub fn seen(&self) -> Vec<String> {
        self.shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes up the listener, so that it stops.
        let _ = TcpStream::connect(self.address);
        for connection in self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.accepting.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn track(&self, stream: &TcpStream) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(stream.try_clone());
    }

    fn note(&self, request: String) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
    }

    fn serve(&self, client: TcpStream) -> std::io::Result<()> {
        let mut first = [0];
        client.peek(&mut first)?;
        if first == [5] {
            self.socks(client)
        } else {
            self.http(client)
        }
    }

    fn socks(&self, mut client: TcpStream) -> std::io::Result<()> {
        let count = usize::from(read_exactly::<2>(&mut client)?[1]);
        client.read_exact(&mut vec![0; count])?;
        client.write_all(&[5, 0])?;
        let [.., kind] = read_exactly::<4>(&mut client)?;
        let host = match kind {
            1 => std::net::Ipv4Addr::from(read_exactly::<4>(&mut client)?).to_string(),
            4 => std::net::Ipv6Addr::from(read_exactly::<16>(&mut client)?).to_string(),
            _ => {
                let mut name = vec![0; usize::from(read_exactly::<1>(&mut client)?[0])];
                client.read_exact(&mut name)?;
                String::from_utf8_lossy(&name).into_owned()
            }
        };
        let port = u16::from_be_bytes(read_exactly::<2>(&mut client)?);
        self.note(format!("SOCKS {host}:{port}"));
        if self.policy != Policy::Open {
            return client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]);
        }
        let server = self.connect(port)?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        copy_both_ways(client, server)
    }

    fn http(&self, client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut client = client;
        let Some((method, rest)) = head.first().and_then(|line| line.split_once(' ')) else {
            return Ok(());
        };
        let target = rest.split(' ').next().unwrap_or_default();
        self.note(format!("{method} {target}"));
        match &self.policy {
            Policy::Open => {}
            Policy::Login(login) => {
                if !head.iter().any(|line| {
                    line.to_ascii_lowercase()
                        .starts_with("proxy-authorization:")
                        && line.ends_with(login)
                }) {
                    return client.write_all(
                        b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                }
            }
            Policy::Answers(status) => {
                let page = "<html>The gateway says no.</html>";
                return write!(
                    client,
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                    page.len()
                );
            }
            Policy::Refuses => {
                return client.write_all(
                    b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }
        }
        let host = target
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap_or_default();
        let port = host
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(80);
        let mut server = self.connect(port)?;
        if method == "CONNECT" {
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        } else {
            // One request per connection: further requests would have to be parsed as well.
            let path = target
                .trim_start_matches("http://")
                .find('/')
                .map_or("/", |at| &target["http://".len() + at..]);
            write!(server, "{method} {path} HTTP/1.1\r\nConnection: close\r\n")?;
            for line in head
                .iter()
                .skip(1)
                .filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"))
            {
                write!(server, "{line}\r\n")?;
            }
            server.write_all(b"\r\n")?;
        }
        server.write_all(reader.buffer())?;
        copy_both_ways(client, server)
    }

    fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        let server = TcpStream::connect(("127.0.0.1", port))?;
        self.track(&server);
        Ok(server)
    }
}

fn read_exactly<const N: usize>(from: &mut TcpStream) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Copies in both directions until one side closes.
fn copy_both_ways(client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    let mut from_client = client.try_clone()?;
    let mut to_server = server.try_clone()?;
    let sending = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut from_server = server;
    let mut to_client = client;
    let _ = std::io::copy(&mut from_server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Both);
    let _ = sending.join();
    Ok(())
}
