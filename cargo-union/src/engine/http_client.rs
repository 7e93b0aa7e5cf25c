//! The HTTP client for an engine, over a Unix socket, TCP, TLS or the stdio of a program.
//!
//! bollard uses this client as its transport. Requests that bollard does not support (BuildKit's session, a build on
//! podman with secrets) use it directly.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};

use crate::sys::process::{Environment, ProcessCommand};

/// The URL of requests. The host is a placeholder, since a client is connected to one engine.
pub(super) const HOST: &str = "http://engine";

const CONNECT: Duration = Duration::from_secs(20);

/// A request body.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// How to connect to an engine.
#[derive(Clone, Debug)]
pub(super) enum EngineEndpoint {
    /// A Unix socket; on Windows a named pipe.
    Unix(PathBuf),
    /// `host:port`, without encryption.
    Tcp(String),
    /// `host:port`, with the name and the trusted certificate authorities for the engine's certificate.
    Tls {
        address: String,
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    },
    /// A program whose stdin and stdout are the connection: `ssh … docker system dial-stdio`.
    Program {
        words: Vec<String>,
        environment: Environment,
    },
}

#[derive(Clone)]
pub(super) struct EngineHttpClient(Client<Connector, Body>);

impl EngineHttpClient {
    /// Creates a client. It connects on the first request.
    pub(super) fn new(endpoint: EngineEndpoint) -> Self {
        // No idle connections: an engine that restarts closes them, and connecting is cheap.
        Self(
            Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(Connector(Arc::new(endpoint))),
        )
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the engine cannot be reached or the connection is lost.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let span = debug_span!("engine", method, path, status = Empty, error = Empty);
        let response = self.0.request(request).instrument(span.clone()).await;
        match &response {
            Ok(response) => span.record("status", response.status().as_u16()),
            Err(error) => span.record("error", super::innermost(error)),
        };
        response
    }
}

/// A body with all of its bytes in memory.
pub(super) fn body(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into())
        .map_err(Into::into)
        .boxed_unsync()
}

#[derive(Clone)]
struct Connector(Arc<EngineEndpoint>);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<EngineStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let endpoint = self.0.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT, connect(&endpoint)).await;
            connected
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map(TokioIo::new)
        })
    }
}

async fn connect(endpoint: &EngineEndpoint) -> io::Result<EngineStream> {
    Ok(EngineStream(match endpoint {
        EngineEndpoint::Unix(path) => Box::new(connect_local(path).await?),
        EngineEndpoint::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        EngineEndpoint::Tls {
            address,
            name,
            config,
        } => {
            let stream = TcpStream::connect(address).await?;
            Box::new(
                tokio_rustls::TlsConnector::from(config.clone())
                    .connect(name.clone(), stream)
                    .await?,
            )
        }
        EngineEndpoint::Program { words, environment } => {
            let (program, arguments) = words.split_first().expect("the first word is the program");
            let mut command = ProcessCommand::new(program, std::path::Path::new("/"), environment);
            command.args(arguments);
            Box::new(
                command
                    .connect()
                    .map_err(|error| io::Error::other(error.chain().join(": ")))?,
            )
        }
    }))
}

#[cfg(unix)]
async fn connect_local(path: &std::path::Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(windows)]
async fn connect_local(
    path: &std::path::Path,
) -> io::Result<tokio::net::windows::named_pipe::NamedPipeClient> {
    tokio::net::windows::named_pipe::ClientOptions::new().open(path)
}

trait EngineIo: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> EngineIo for T {}

/// An open connection.
pub(super) struct EngineStream(Box<dyn EngineIo>);

impl EngineStream {
    /// A connection that was upgraded to another protocol.
    pub(super) fn upgraded(upgraded: hyper::upgrade::Upgraded) -> Self {
        Self(Box::new(TokioIo::new(upgraded)))
    }
}

impl tonic::transport::server::Connected for EngineStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl Connection for EngineStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for EngineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
