//! The line to an engine: one HTTP client, whatever leads there.
//!
//! bollard is handed this client, and what bollard does not say (BuildKit's session, a build on
//! podman with secrets) goes through it as well.

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
use tokio::net::{TcpStream, UnixStream};
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span};

use crate::sys::process::{Environment, ProcessCommand};

/// Where the engine's name would stand in a request: the line leads to one engine only.
pub(super) const HOST: &str = "http://engine";

const CONNECT: Duration = Duration::from_secs(20);

/// The body of a request.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// What leads to an engine.
#[derive(Clone, Debug)]
pub(super) enum EngineEndpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `host:port`, without encryption.
    Tcp(String),
    /// `host:port`, with the name and the authorities that the engine's certificate must fit.
    Tls { address: String, name: ServerName<'static>, config: Arc<ClientConfig> },
    /// A program whose input and output are the line: `ssh … docker system dial-stdio`.
    Program { words: Vec<String>, environment: Environment },
}

/// The client of one engine.
#[derive(Clone)]
pub(super) struct EngineHttpClient(Client<Connector, Body>);

impl EngineHttpClient {
    /// A client. Nothing is opened before the first request.
    pub(super) fn new(way: EngineEndpoint) -> Self {
        // An idle line would be cut by an engine that restarts, and a new one costs next to nothing.
        Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(Connector(Arc::new(way))))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the engine is not there or the line breaks.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
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

/// A body whose bytes are here.
pub(super) fn body(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(Into::into).boxed_unsync()
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
        let way = self.0.clone();
        Box::pin(async move {
            let opened = tokio::time::timeout(CONNECT, open(&way)).await;
            opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
        })
    }
}

async fn open(way: &EngineEndpoint) -> io::Result<EngineStream> {
    Ok(EngineStream(match way {
        EngineEndpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
        EngineEndpoint::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        EngineEndpoint::Tls { address, name, config } => {
            let stream = TcpStream::connect(address).await?;
            Box::new(tokio_rustls::TlsConnector::from(config.clone()).connect(name.clone(), stream).await?)
        }
        EngineEndpoint::Program { words, environment } => {
            let (program, arguments) = words.split_first().expect("a way by program names the program");
            let mut command = ProcessCommand::new(program, std::path::Path::new("/"), environment);
            command.args(arguments);
            Box::new(command.line().map_err(|error| io::Error::other(error.chain().join(": ")))?)
        }
    }))
}

trait EngineIo: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> EngineIo for T {}

/// An open line.
pub(super) struct EngineStream(Box<dyn EngineIo>);

impl EngineStream {
    /// A line whose first request changed what is spoken on it.
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
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
