//! An in-memory backend with the Connect protocol and a token server. It behaves correctly unless a rule overrides it.
//!
//!
//! It has one client with a secret, one user, and the tokens that it has issued.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

pub use crate::http::{Reply, Request};
use crate::http::{Server, parse_query};
use crate::tls::Authority;

/// The client that may log in with a secret.
pub const CLIENT: &str = "robot";
/// Its secret, with characters that have to be encoded.
pub const SECRET: &str = "p&ss wörd+/=";

/// A request with its body.
#[derive(Clone, Debug)]
pub struct Call {
    /// The head of the request.
    pub request: Request,
    /// The body of the request.
    pub body: Vec<u8>,
}

impl Call {
    /// Whether it calls a method: `UserInfo`.
    pub fn is(&self, method: &str) -> bool {
        self.request.path.ends_with(&format!("/{method}"))
    }

    /// A field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let form = parse_query(&String::from_utf8_lossy(&self.body));
        form.into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

/// The state of the backend.
#[derive(Debug)]
pub struct Memory {
    /// Access tokens that it accepts.
    pub accepted: BTreeSet<String>,
    /// Refresh tokens that it accepts.
    pub refreshing: BTreeSet<String>,
    /// The header in which it requires tokens.
    pub header: String,
    /// The redirect URI of its public client.
    pub redirect: String,
    /// How often it responds with `authorization_pending`.
    pub pending: usize,
    /// Every request so far.
    pub seen: Vec<Call>,
    issued: usize,
}

type Rule = dyn FnMut(&Call, &mut Memory) -> Option<Reply> + Send;

/// A running backend; dropping it ends it.
pub struct Backend {
    server: Server,
    authority: Option<Authority>,
    memory: Arc<Mutex<Memory>>,
}

impl Backend {
    /// A backend with TLS that behaves correctly.
    pub fn without_faults() -> Self {
        Self::secure(|_, _| None)
    }

    /// A backend with TLS that behaves correctly unless the rule overrides it.
    pub fn secure(rule: impl FnMut(&Call, &mut Memory) -> Option<Reply> + Send + 'static) -> Self {
        Self::start(Some(Authority::new()), rule)
    }

    /// A backend without TLS that behaves correctly unless the rule overrides it.
    pub fn plain(rule: impl FnMut(&Call, &mut Memory) -> Option<Reply> + Send + 'static) -> Self {
        Self::start(None, rule)
    }

    fn start(
        authority: Option<Authority>,
        rule: impl FnMut(&Call, &mut Memory) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let memory = Arc::new(Mutex::new(Memory {
            accepted: BTreeSet::new(),
            refreshing: BTreeSet::new(),
            header: "authorization".to_owned(),
            redirect: "http://127.0.0.1:0/callback".to_owned(),
            pending: 0,
            seen: Vec::new(),
            issued: 0,
        }));
        let rule: Mutex<Box<Rule>> = Mutex::new(Box::new(rule));
        let shared = memory.clone();
        let scheme = if authority.is_some() { "https" } else { "http" };
        let server = Server::start_as(authority.as_ref(), move |request, body| {
            let call = Call {
                request: request.clone(),
                body: body.read(usize::MAX),
            };
            let mut memory = lock(&shared);
            memory.seen.push(call.clone());
            let reply = (lock(&rule))(&call, &mut memory);
            reply.unwrap_or_else(|| respond(&call, &mut memory, scheme))
        });
        Self {
            server,
            authority,
            memory,
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The URL, with scheme and port.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.authority.is_some() {
                "https"
            } else {
                "http"
            },
            self.host()
        )
    }

    /// The certificate of the authority that has to be trusted.
    pub fn certificate(&self) -> PathBuf {
        self.authority
            .as_ref()
            .expect("a backend with encryption")
            .certificate()
    }

    /// The state of the backend.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// The requests so far whose path has this end.
    pub fn calls(&self, end: &str) -> Vec<Call> {
        self.memory()
            .seen
            .iter()
            .filter(|call| call.request.path.ends_with(end))
            .cloned()
            .collect()
    }

    /// The last path segments of all requests so far, in order: `UserInfo`, `token`.
    pub fn order(&self) -> Vec<String> {
        self.memory()
            .seen
            .iter()
            .map(|call| {
                call.request
                    .path
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }
}

impl Memory {
    /// Issues an access token and a refresh token.
    pub fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        let access = format!("access-token-{}", self.issued);
        let refresh = format!("refresh-token-{}", self.issued);
        self.accepted.insert(access.clone());
        self.refreshing.insert(refresh.clone());
        (access, refresh)
    }

    /// Revokes all issued tokens.
    pub fn revoke(&mut self) {
        self.accepted.clear();
        self.refreshing.clear();
    }
}

/// A protobuf message with string fields, by field number.
pub fn message(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, text) in fields {
        bytes.push(number << 3 | 2);
        let mut length = text.len();
        while length > 0x7f {
            bytes.push((length & 0x7f | 0x80) as u8);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// A frame of a Connect stream.
pub fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    [&[flags][..], &length, payload].concat()
}

/// The response of a unary method.
pub fn answer(message: Vec<u8>) -> Reply {
    Reply::status(200)
        .with("Content-Type", "application/proto")
        .body(message)
}

/// The response of a streaming method.
pub fn stream(frames: &[Vec<u8>]) -> Reply {
    Reply::status(200)
        .with("Content-Type", "application/connect+proto")
        .body(frames.concat())
}

/// An error response of the Connect protocol.
pub fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "code": code, "message": message }).to_string();
    Reply::status(status)
        .with("Content-Type", "application/json")
        .body(body)
}

/// An error response of a token server (RFC 6749, section 5.2).
pub fn denial(error: &str) -> Reply {
    json_reply(
        400,
        &json!({ "error": error, "error_description": "as the token server says" }),
    )
}

fn json_reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::status(status)
        .with("Content-Type", "application/json")
        .body(body.to_string())
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The correct response to a request.
fn respond(call: &Call, memory: &mut Memory, scheme: &str) -> Reply {
    let host = call.request.header("host").unwrap_or_default();
    let oauth_url = |path: &str| format!("{scheme}://{host}/oauth/{path}");
    match call.request.path.rsplit('/').next().unwrap_or_default() {
        "GetOAuth2Metadata" => answer(message(&[
            (2, &oauth_url("authorize")),
            (3, &oauth_url("token")),
            (10, &oauth_url("device")),
        ])),
        "GetPublicClientConfig" => answer(message(&[
            (1, "cli"),
            (2, &memory.redirect),
            (3, "all"),
            (3, "offline"),
            (4, &memory.header),
            (6, "aud"),
        ])),
        "token" => token(call, memory),
        "device" => json_reply(
            200,
            &json!({
                "device_code": "device-secret", "user_code": "ABCD-EFGH", "verification_uri": oauth_url("activate"),
                "expires_in": 60, "interval": 0,
            }),
        ),
        _ if !is_authorized(call, memory) => {
            refusal(401, "unauthenticated", "no token, or none that is known")
        }
        "UserInfo" => answer(message(&[
            (1, "0oa1"),
            (2, "Ada Lovelace"),
            (6, "ada@example.test"),
        ])),
        _ => Reply::status(404),
    }
}

fn is_authorized(call: &Call, memory: &Memory) -> bool {
    let token = call
        .request
        .header(&memory.header)
        .and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| memory.accepted.contains(token))
}

fn token(call: &Call, memory: &mut Memory) -> Reply {
    let field = |name| call.field(name).unwrap_or_default();
    let grant = field("grant_type");
    let is_valid = match grant.as_str() {
        "client_credentials" => {
            let encoded = SECRET
                .replace('&', "%26")
                .replace('ö', "%C3%B6")
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D");
            let login = STANDARD.encode(format!("{CLIENT}:{}", encoded.replace(' ', "+")));
            call.request.header("authorization") == Some(&format!("Basic {login}"))
        }
        "refresh_token" => memory.refreshing.remove(&field("refresh_token")),
        "authorization_code" => field("code") == "the-code" && field("code_verifier").len() >= 43,
        _ if field("device_code") != "device-secret" => false,
        _ if memory.pending > 0 => {
            memory.pending -= 1;
            return denial("authorization_pending");
        }
        _ => true,
    };
    if !is_valid {
        return denial(if grant == "client_credentials" {
            "invalid_client"
        } else {
            "invalid_grant"
        });
    }
    let (access, refresh) = memory.issue();
    json_reply(
        200,
        &json!({ "access_token": access, "refresh_token": refresh, "expires_in": 3600, "token_type": "Bearer" }),
    )
}
