//! The part of a browser in a login: the address that the user is given, and the redirect to this machine.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;

use crate::http::parse_query;

/// The address at which a login continues in a browser.
#[derive(Clone, Debug)]
pub struct LoginAddress {
    /// The address without its query.
    pub url: String,
    fields: Vec<(String, String)>,
}

impl LoginAddress {
    /// The first address in a text that has a query.
    ///
    /// # Panics
    /// When there is none.
    pub fn find(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let (url, query) = words
            .find_map(|word| word.split_once("authorize?"))
            .unwrap_or_else(|| panic!("no address of a login in {text}"));
        Self {
            url: format!("{url}authorize"),
            fields: parse_query(query),
        }
    }

    /// A field of its query; empty if it has none of this name.
    pub fn field(&self, name: &str) -> &str {
        let mut fields = self.fields.iter();
        fields
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

/// Sends the request of a browser that a login server has redirected, and returns the response.
///
/// # Panics
/// When nothing listens at the port of loopback.
pub fn redirected(port: u16, query: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the tool listens");
    write!(
        stream,
        "GET /callback?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .expect("the tool reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the tool answers in UTF-8");
    answer
}

/// The code challenge (S256) of a verifier.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier))
}
