//! Builds with buildah, podman's builder.
//!
//! The request body is an archive with the secrets, followed by the context, which is streamed from its file. podman
//! removes the secrets from the context before it builds.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, StatusCode};
use tokio_util::io::ReaderStream;
use url::form_urlencoded::Serializer;

use super::http_client::{self, Body};
use super::lines::{EngineMessage, Lines, for_each_line};
use super::solve::{
    DockerfileLocation, DockerfileRequest, PullCredentials, SolveError, SolveListener,
};
use super::{Engine, innermost};
use crate::image::RegistryLogin;
use crate::sys::digest::Digest;
use crate::sys::error::Result;
use crate::sys::fs;
use crate::sys::secret::Secret;

impl Engine {
    pub(super) async fn build_with_buildah(
        &self,
        request: &DockerfileRequest,
        listener: &dyn SolveListener,
    ) -> Result<Digest, SolveError> {
        let failed = || self.failed(&format!("build `{}`", request.name));
        let logins = logins(&request.pulls).await.map_err(SolveError::Engine)?;
        let body = body(&request.context, &request.secrets)
            .await
            .map_err(SolveError::Engine)?;
        let call = hyper::Request::builder()
            .method(Method::POST)
            .uri(format!("{}/build?{}", http_client::HOST, query(request)))
            .header(HOST, "engine")
            .header(CONTENT_TYPE, "application/x-tar");
        let call = match logins {
            Some(logins) => call.header("X-Registry-Config", logins),
            None => call,
        };
        let call = call
            .body(body)
            .map_err(|cause| SolveError::Engine(failed().because(cause)))?;
        let response = self
            .http
            .send(call)
            .await
            .map_err(|cause| SolveError::Engine(failed().because(innermost(&cause))))?;
        let status = response.status();
        let mut progress = BuildahProgress {
            listener,
            step: None,
            lines: Lines::default(),
            error: None,
        };
        let read = for_each_line(response.into_body(), |line| progress.handle(line)).await;
        read.map_err(|cause| SolveError::Engine(failed().because(cause)))?;
        if let Some(why) = progress.error {
            return Err(SolveError::Step {
                step: progress.step,
                why,
            });
        }
        if status != StatusCode::OK {
            return Err(SolveError::Engine(
                failed().because(format!("unexpected status {status}")),
            ));
        }
        match self
            .inspect(&request.name)
            .await
            .map_err(SolveError::Engine)?
        {
            Some(image) => Ok(image.digest),
            None => Err(SolveError::Engine(failed().because(
                "the engine reported success, but the image is not present",
            ))),
        }
    }
}

fn query(request: &DockerfileRequest) -> String {
    let mut query = Serializer::new(String::new());
    query
        .append_pair("dockerfile", request.dockerfile.file())
        .append_pair("t", &request.name)
        .append_pair("platform", &request.platform.to_string());
    query
        .append_pair("layers", "true")
        .append_pair("rm", "true")
        .append_pair("forcerm", "true");
    if let DockerfileLocation::Hidden(file) = &request.dockerfile {
        query.append_pair("excludes", &to_json(&[file]));
    }
    if let Some(stage) = &request.stage {
        query.append_pair("target", stage);
    }
    // By default every step has a network. These parameters are podman's, not Docker's.
    if request.network.as_deref() == Some("none") {
        query
            .append_pair("networkmode", "NetworkDisabled")
            .append_pair("nsoptions", r#"[{"Name":"network","Host":false}]"#);
    }
    if !request.arguments.is_empty() {
        query.append_pair("buildargs", &to_json(&request.arguments));
    }
    // Docker does not verify loopback registries either. For other registries podman reads registries.conf.
    if !request.pulls.repositories.is_empty()
        && request.pulls.registries().into_iter().all(is_loopback)
    {
        query.append_pair("tlsVerify", "false");
    }
    if !request.secrets.is_empty() {
        let sources: Vec<String> = request
            .secrets
            .keys()
            .enumerate()
            .map(|(position, id)| format!("id={id},src={}", secret_path(position)))
            .collect();
        query.append_pair("secrets", &to_json(&sources));
    }
    query.finish()
}

/// The logins for the registries of images that are pulled, as a header, since podman does not request logins later.
async fn logins(pulls: &PullCredentials) -> Result<Option<HeaderValue>> {
    let mut logins = serde_json::Map::new();
    for registry in pulls.registries() {
        let login = match pulls.login(registry).await? {
            Some(RegistryLogin::Password { user, password }) => {
                serde_json::json!({ "username": user, "password": password.reveal() })
            }
            Some(RegistryLogin::Identity(token)) => {
                serde_json::json!({ "identitytoken": token.reveal() })
            }
            Some(RegistryLogin::Bearer(token)) => {
                serde_json::json!({ "registrytoken": token.reveal() })
            }
            None => continue,
        };
        logins.insert(registry.to_owned(), login);
    }
    if logins.is_empty() {
        return Ok(None);
    }
    let header =
        HeaderValue::from_str(&URL_SAFE.encode(serde_json::Value::from(logins).to_string()));
    Ok(header.ok().map(|mut header| {
        header.set_sensitive(true);
        header
    }))
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts always serialize")
}

/// Whether a registry is on this machine, so that TLS is not required.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The path of a secret in the archive.
fn secret_path(position: usize) -> String {
    format!(".union.secret.{position}")
}

/// The secrets, then the context, which contains the end of the archive.
async fn body(context: &Path, secrets: &BTreeMap<String, Secret<Vec<u8>>>) -> Result<Body> {
    let file = tokio::fs::File::open(context)
        .await
        .map_err(|cause| fs::unreadable(context, cause))?;
    let secrets = stream::iter([Ok(Bytes::from(secret_entries(secrets)))]);
    let pieces = secrets
        .chain(ReaderStream::with_capacity(file, 1 << 18))
        .map_ok(Frame::data)
        .map_err(Into::into);
    Ok(StreamBody::new(pieces).boxed_unsync())
}

fn secret_entries(secrets: &BTreeMap<String, Secret<Vec<u8>>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (position, secret) in secrets.values().enumerate() {
        let mut header = tar::Header::new_ustar();
        header
            .set_path(secret_path(position))
            .expect("the name is short");
        header.set_mode(0o600);
        header.set_size(secret.reveal().len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(secret.reveal());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

/// Translates buildah's output for the listener.
struct BuildahProgress<'a> {
    listener: &'a dyn SolveListener,
    step: Option<String>,
    lines: Lines,
    error: Option<String>,
}

impl BuildahProgress<'_> {
    fn handle(&mut self, line: &str) {
        let Some(mut message) = EngineMessage::parse(line) else {
            return;
        };
        if let Some(text) = message.stream.take() {
            let Self {
                listener,
                step,
                lines,
                ..
            } = self;
            lines.push(text.as_bytes(), |line| match step_name(line) {
                Some(name) => {
                    listener.step(name);
                    *step = Some(name.to_owned());
                }
                None if line.starts_with("--> Using cache") => {
                    step.iter().for_each(|name| listener.step_cached(name))
                }
                None => listener.line(line),
            });
        }
        if let Some(why) = message.error_text() {
            self.error.get_or_insert(why.trim_end().to_owned());
        }
    }
}

/// The name of a step that a line starts: `STEP 2/4: RUN …`, after `[2/3] ` when there are several stages.
fn step_name(line: &str) -> Option<&str> {
    let line = match line
        .strip_prefix('[')
        .and_then(|stage| stage.split_once("] "))
    {
        Some((stage, rest))
            if stage
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'/') =>
        {
            rest
        }
        _ => line,
    };
    line.strip_prefix("STEP ")
}

#[cfg(test)]
mod tests;
