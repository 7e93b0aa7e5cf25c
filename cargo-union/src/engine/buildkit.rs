//! Builds with BuildKit, Docker's builder.
//!
//! Two connections are upgraded to gRPC: on one this client calls BuildKit (solve, and its status while it runs), on the
//! other BuildKit calls this client for the context and the secrets. The context is streamed from its file, and a secret
//! is sent only to the step that mounts it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, SolveRequest, StatusRequest, StatusResponse, Vertex,
};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::upload::v1::upload_server::UploadServer;
use futures_util::StreamExt as _;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{Method, StatusCode};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint, Server};
use tracing::debug;
use union_build::diag::Code;

use super::http_client::{self, EngineStream};
use super::lines::Lines;
use super::session::{HealthService, RegistryLogins, SessionSecrets, Upload};
use super::solve::{DockerfileLocation, DockerfileRequest, SolveError, SolveListener};
use super::{Engine, innermost};
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};

impl Engine {
    pub(super) async fn build_with_buildkit(
        &self,
        request: &DockerfileRequest,
        listener: &dyn SolveListener,
    ) -> Result<Digest, SolveError> {
        let session = BuildkitSession::open(self, request)
            .await
            .map_err(SolveError::Engine)?;
        let channel = self.control().await.map_err(SolveError::Engine)?;
        let reference = random_id();
        let mut solve_client = ControlClient::new(channel.clone());
        let mut status_client = ControlClient::new(channel).max_decoding_message_size(64 << 20);
        let mut progress = BuildkitProgress::new(listener);
        let solved = {
            let solve = solve_client.solve(solve_request(request, &session, &reference));
            let report = async {
                let Ok(stream) = status_client
                    .status(StatusRequest {
                        r#ref: reference.clone(),
                    })
                    .await
                else {
                    return;
                };
                let mut stream = stream.into_inner();
                while let Ok(Some(response)) = stream.message().await {
                    progress.handle(response);
                }
            };
            tokio::pin!(solve, report);
            tokio::select! {
                // The status stream ends with the build, unless it was never opened.
                solved = &mut solve => {
                    let _ = tokio::time::timeout(Duration::from_secs(2), &mut report).await;
                    solved
                }
                () = &mut report => solve.await,
            }
        };
        let failed_step = progress.finish();
        let response = solved
            .map_err(|status| self.solve_error(&status, failed_step))?
            .into_inner();
        let id = response
            .exporter_response
            .get("containerimage.digest")
            .cloned()
            .unwrap_or_default();
        id.parse().map_err(|cause| {
            SolveError::Engine(
                self.failed(&format!("build `{}`", request.name))
                    .because(cause),
            )
        })
    }

    fn solve_error(&self, status: &tonic::Status, step: Option<String>) -> SolveError {
        // Only a lost connection has a source; an error that BuildKit returns has none.
        if let Some(cause) = std::error::Error::source(status) {
            return SolveError::Engine(
                self.failed("build")
                    .because(format!("connection lost: {}", innermost(cause))),
            );
        }
        SolveError::Step {
            step,
            why: status
                .message()
                .trim_start_matches("failed to solve: ")
                .to_owned(),
        }
    }

    async fn control(&self) -> Result<Channel> {
        let connected = Endpoint::from_static(http_client::HOST)
            .connect_with_connector(Upgrade(self.clone()))
            .await;
        connected.map_err(|cause| {
            self.failed("connect to BuildKit")
                .because(innermost(&cause))
        })
    }

    /// Opens a connection and upgrades it to HTTP/2.
    async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> Result<EngineStream> {
        let failed = || self.failed("connect to BuildKit");
        let version = self.docker.client_version();
        let uri = format!(
            "{}/v{}.{}{path}",
            http_client::HOST,
            version.major_version,
            version.minor_version
        );
        let mut request = hyper::Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(HOST, "engine");
        request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "h2c");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(http_client::body(""))
            .map_err(|cause| failed().because(cause))?;
        let response = self
            .http
            .send(request)
            .await
            .map_err(|cause| failed().because(innermost(&cause)))?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => {}
            StatusCode::NOT_FOUND => {
                let error = Error::new(
                    Code::EngineFailed,
                    format!("the engine at {} has no BuildKit", self.address()),
                );
                return Err(error.help("Use Docker 18.09 or newer, or podman."));
            }
            status => return Err(failed().because(format!("unexpected status {status}"))),
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|cause| failed().because(innermost(&cause)))?;
        Ok(EngineStream::upgraded(upgraded))
    }
}

fn solve_request(
    request: &DockerfileRequest,
    session: &BuildkitSession,
    reference: &str,
) -> SolveRequest {
    let mut attributes = HashMap::from([
        ("filename".to_owned(), request.dockerfile.file().to_owned()),
        ("context".to_owned(), session.context.clone()),
        ("platform".to_owned(), request.platform.to_string()),
        // Local images are used first; the engine pulls only images of the user's own Dockerfile.
        ("image-resolve-mode".to_owned(), "default".to_owned()),
    ]);
    let mut set = |name: &str, value: Option<&str>| {
        attributes.extend(value.map(|value| (name.to_owned(), value.to_owned())))
    };
    if let DockerfileLocation::Beside { context, .. } = &request.dockerfile {
        set("contextsubdir", Some(context));
    }
    set("target", request.stage.as_deref());
    set("force-network-mode", request.network.as_deref());
    for (name, value) in &request.arguments {
        set(&format!("build-arg:{name}"), Some(value));
    }
    // Only what the manifest sets is granted.
    let granted = request
        .network
        .iter()
        .filter(|network| *network == "host")
        .map(|_| "network.host".to_owned());
    SolveRequest {
        r#ref: reference.to_owned(),
        entitlements: granted.collect(),
        exporter_deprecated: "moby".to_owned(),
        exporter_attrs_deprecated: HashMap::from([("name".to_owned(), request.name.clone())]),
        session: session.id.clone(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes,
        cache: Some(CacheOptions::default()),
        ..SolveRequest::default()
    }
}

/// The connection on which BuildKit calls this client. It is closed when this is dropped.
struct BuildkitSession {
    id: String,
    context: String,
    _closes: oneshot::Sender<()>,
}

impl BuildkitSession {
    async fn open(engine: &Engine, request: &DockerfileRequest) -> Result<Self> {
        let id = random_id();
        let key = random_id();
        let methods = [
            "/grpc.health.v1.Health/Check",
            "/moby.upload.v1.Upload/Pull",
            "/moby.buildkit.secrets.v1.Secrets/GetSecret",
            "/moby.filesync.v1.Auth/Credentials",
        ];
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid", id.as_str()),
            ("X-Docker-Expose-Session-Name", "cargo-union"),
        ];
        headers.extend(methods.map(|method| ("X-Docker-Expose-Session-Grpc-Method", method)));
        let connection = engine.upgrade("/session", &headers).await?;
        let server = Server::builder()
            .add_service(HealthServer::new(HealthService))
            .add_service(UploadServer::new(Upload::new(&key, &request.context)))
            .add_service(SecretsServer::new(SessionSecrets(request.secrets.clone())))
            .add_service(AuthServer::new(RegistryLogins(request.pulls.clone())));
        let (closes, closed) = oneshot::channel();
        let incoming = futures_util::stream::iter([Ok::<_, std::io::Error>(connection)])
            .chain(futures_util::stream::pending());
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, async { drop(closed.await) }));
        Ok(Self {
            id,
            context: format!("http://buildkit-session/{key}"),
            _closes: closes,
        })
    }
}

/// Opens the connection for calls to BuildKit, for tonic.
#[derive(Clone)]
struct Upgrade(Engine);

impl tower_service::Service<hyper::Uri> for Upgrade {
    type Response = hyper_util::rt::TokioIo<EngineStream>;
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: hyper::Uri) -> Self::Future {
        let engine = self.0.clone();
        Box::pin(async move {
            Ok(hyper_util::rt::TokioIo::new(
                engine.upgrade("/grpc", &[]).await?,
            ))
        })
    }
}

/// Translates BuildKit's status for the listener.
struct BuildkitProgress<'a> {
    listener: &'a dyn SolveListener,
    steps: HashMap<String, BuildkitStep>,
    failed: Option<String>,
}

#[derive(Default)]
struct BuildkitStep {
    is_reported: bool,
    has_ended: bool,
    /// The unfinished lines of stdout and stderr, whose chunks come in any order.
    lines: BTreeMap<i64, Lines>,
}

impl<'a> BuildkitProgress<'a> {
    fn new(listener: &'a dyn SolveListener) -> Self {
        Self {
            listener,
            steps: HashMap::new(),
            failed: None,
        }
    }

    fn handle(&mut self, status: StatusResponse) {
        for mut vertex in status.vertexes {
            vertex.name = without_stage(&vertex.name);
            let step = self.steps.entry(vertex.digest.clone()).or_default();
            let is_user_step =
                vertex.name.starts_with('[') && !vertex.name.starts_with("[internal]");
            if is_user_step && !step.is_reported && vertex.cached {
                step.is_reported = true;
                self.listener.step_cached(&vertex.name);
            } else if is_user_step && !step.is_reported && vertex.started.is_some() {
                step.is_reported = true;
                self.listener.step(&vertex.name);
            }
            if let (false, Some(seconds)) = (step.has_ended, seconds(&vertex)) {
                step.has_ended = true;
                let failed = !vertex.error.is_empty();
                debug!(name: "step", step = position(&vertex), cached = vertex.cached, failed, duration = format!("{seconds:.3}s"));
            }
            if !vertex.error.is_empty() && !vertex.error.contains("context canceled") {
                self.failed.get_or_insert(vertex.name);
            }
        }
        for log in status.logs {
            let step = self.steps.entry(log.vertex).or_default();
            let lines = step.lines.entry(log.stream).or_default();
            lines.push(&log.msg, |line| self.listener.line(line));
        }
    }

    /// Reports unfinished lines, and returns the name of the failed step.
    fn finish(self) -> Option<String> {
        for step in self.steps.into_values() {
            for lines in step.lines.into_values() {
                lines.finish(|line| self.listener.line(line));
            }
        }
        self.failed
    }
}

/// A step as `[2/4]`, else by its digest. Its command or URL may contain secrets, which only `build` can redact.
fn position(step: &Vertex) -> &str {
    let end = if step.name.starts_with('[') {
        step.name.find(']')
    } else {
        None
    };
    end.map_or(&step.digest, |end| &step.name[..=end])
}

/// How long a step took; `None` when it has not ended.
fn seconds(step: &Vertex) -> Option<f64> {
    let (started, completed) = (step.started.as_ref()?, step.completed.as_ref()?);
    Some(
        (completed.seconds - started.seconds) as f64
            + f64::from(completed.nanos - started.nanos) / 1e9,
    )
}

/// `[stage-0 2/5] RUN …` without the number of a stage that has no name.
fn without_stage(name: &str) -> String {
    let named = name
        .strip_prefix("[stage-")
        .and_then(|rest| rest.split_once(' '));
    match named {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("[{rest}")
        }
        _ => name.to_owned(),
    }
}

/// A random id of 32 hexadecimal digits. It is unique, but not secret.
pub(super) fn random_id() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!(
        "{:016x}{:016x}",
        RandomState::new().hash_one(0),
        RandomState::new().hash_one(1)
    )
}

#[cfg(test)]
mod tests;
