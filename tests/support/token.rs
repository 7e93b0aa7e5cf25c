//! A token server for Docker's registry, which signs the scopes of a user.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{Certificate, CertificateParams, KeyPair, SigningKey as _};
use serde_json::json;

use crate::http::{Reply, Request, Server, parse_query};

/// The identity token of the user.
pub const IDENTITY: &str = "identity-token-of-the-user";

/// A running token server. It stops when this is dropped.
pub struct TokenServer {
    server: Server,
    certificate: String,
    issued: Arc<Mutex<Vec<Vec<String>>>>,
}

impl TokenServer {
    /// Starts a token server for one user.
    pub fn start(user: &str, password: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["token".to_owned()])
            .expect("a valid name")
            .self_signed(&key)
            .expect("a certificate");
        let pem = certificate.pem();
        let issued = Arc::new(Mutex::new(Vec::new()));
        let log = issued.clone();
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let server = Server::start(move |request, body| {
            let form = parse_query(&String::from_utf8_lossy(&body.read(usize::MAX)));
            let Some(allowed) = is_user(request, &form, &basic) else {
                return Reply::status(401);
            };
            let scopes = scopes(request, &form);
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(scopes.clone());
            let token = sign(&key, &certificate, if allowed { &scopes } else { &[] });
            Reply::status(200).body(json!({ "token": token, "expires_in": 300 }).to_string())
        });
        Self {
            server,
            certificate: pem,
            issued,
        }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The scopes of all tokens so far.
    pub fn asked(&self) -> Vec<Vec<String>> {
        self.issued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }
}

/// Whether the request is from the user or anonymous; `None` when the credentials are wrong.
fn is_user(request: &Request, form: &[(String, String)], basic: &str) -> Option<bool> {
    let token = form.iter().find(|(name, _)| name == "refresh_token");
    match (request.header("authorization"), token) {
        (Some(login), _) => (login == basic).then_some(true),
        (None, Some((_, token))) => (token == IDENTITY).then_some(true),
        (None, None) => Some(false),
    }
}

fn scopes(request: &Request, form: &[(String, String)]) -> Vec<String> {
    let all = request
        .query
        .iter()
        .chain(form)
        .filter(|(name, _)| name == "scope");
    all.flat_map(|(_, value)| value.split(' '))
        .map(str::to_owned)
        .collect()
}

fn sign(key: &KeyPair, certificate: &Certificate, scopes: &[String]) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    let access: Vec<_> = scopes
        .iter()
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
        })
        .collect();
    let header =
        json!({ "typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(certificate.der())] });
    let claims = json!({
        "iss": "test-issuer", "sub": "user", "aud": "test-registry", "jti": "1",
        "exp": now + 300, "nbf": now - 10, "iat": now, "access": access,
    });
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = der_to_fixed(&key.sign(text.as_bytes()).expect("the key signs"));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Converts an ECDSA signature from DER to two numbers of 32 bytes each, as a JWT requires.
fn der_to_fixed(der: &[u8]) -> Vec<u8> {
    let mut numbers = &der[2..];
    let mut signature = Vec::new();
    while let [0x02, length, rest @ ..] = numbers {
        let (number, after) = rest.split_at(usize::from(*length));
        let digits = &number[number.len().saturating_sub(32)..];
        signature.extend(std::iter::repeat_n(0, 32 - digits.len()).chain(digits.iter().copied()));
        numbers = after;
    }
    signature
}
