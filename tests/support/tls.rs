//! A private certificate authority, and TLS servers with its certificates.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A private certificate authority. Its files are removed when this is dropped.
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// Certificate and key of a server, for `localhost`, `127.0.0.1` and `registry.corp.test`.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It was valid until the year 2000.
    Expired,
    /// It will be valid from the year 2200 on.
    NotYetValid,
    /// It is for `elsewhere.test`.
    OtherName,
    /// It is for clients only.
    ForClients,
    /// It says that it is one of an authority, as `openssl req -x509` makes them.
    OfAuthority,
}

impl Authority {
    /// Creates an authority, and writes its certificate to a file.
    pub fn new() -> Self {
        Self::named("Test")
    }

    /// Creates an authority with a name.
    pub fn named(name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let root = parameters.self_signed(&key).expect("a certificate");
        std::fs::write(directory.path().join("ca.crt"), root.pem())
            .expect("the directory is writable");
        Self {
            directory,
            issuer: Issuer::new(parameters, key),
        }
    }

    /// The path of the authority's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Certificate and key of a server, as PEM.
    pub fn leaf(&self) -> (String, String) {
        let (certificate, key) = self.sign();
        (certificate.pem(), key.serialize_pem())
    }

    /// Certificate and key of a server, as PEM, that a client has a reason to refuse.
    pub fn defective(&self, defect: Defect) -> (String, String) {
        let mut parameters = for_server();
        match defect {
            Defect::Expired => parameters.not_after = rcgen::date_time_ymd(2000, 1, 1),
            Defect::NotYetValid => parameters.not_before = rcgen::date_time_ymd(2200, 1, 1),
            Defect::OtherName => {
                parameters =
                    CertificateParams::new(vec!["elsewhere.test".to_owned()]).expect("a valid name")
            }
            Defect::ForClients => {
                parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
            }
            Defect::OfAuthority => parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        }
        let key = KeyPair::generate().expect("a key");
        (
            parameters
                .signed_by(&key, &self.issuer)
                .expect("a certificate")
                .pem(),
            key.serialize_pem(),
        )
    }

    /// Self-signed certificate and key, as PEM, of a server.
    pub fn self_signed() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        (
            for_server().self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    }

    /// Certificate and key of a client, as PEM.
    pub fn client(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters
            .distinguished_name
            .push(DnType::CommonName, "client");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (
            parameters
                .signed_by(&key, &self.issuer)
                .expect("a certificate")
                .pem(),
            key.serialize_pem(),
        )
    }

    /// The identity of a server.
    pub fn identity(&self) -> Identity {
        let (certificate, key) = self.sign();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key that was just made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("key and certificate belong together");
        Identity(Arc::new(config))
    }

    fn sign(&self) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        (
            for_server()
                .signed_by(&key, &self.issuer)
                .expect("a certificate"),
            key,
        )
    }
}

/// A certificate for `localhost`, `127.0.0.1` and `registry.corp.test`.
fn for_server() -> CertificateParams {
    let names = ["localhost", "127.0.0.1", "registry.corp.test"]
        .map(str::to_owned)
        .to_vec();
    CertificateParams::new(names).expect("valid names")
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A connection with or without TLS.
pub enum Connection {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS.
    Secure(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, identity: Option<&Identity>) -> Self {
        match identity {
            None => Self::Plain(stream),
            Some(Identity(config)) => {
                let connection =
                    ServerConnection::new(config.clone()).expect("the configuration is valid");
                Self::Secure(Box::new(StreamOwned::new(connection, stream)))
            }
        }
    }

    /// Closes the connection, with close_notify in TLS.
    pub(crate) fn end(&mut self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Secure(secure) => {
                secure.conn.send_close_notify();
                let _ = secure.flush();
                &mut secure.sock
            }
        };
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Secure(stream) => stream.flush(),
        }
    }
}
