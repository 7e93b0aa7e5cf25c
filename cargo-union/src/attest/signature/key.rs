//! P-256 keys: private ones from PEM in the formats of OpenSSL and cosign, public ones as SPKI in PEM.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::elliptic_curve::ALGORITHM_OID;
use p256::pkcs8::der::Decode as _;
use p256::pkcs8::der::asn1::AnyRef;
use p256::pkcs8::{
    AlgorithmIdentifierRef, AssociatedOid as _, DecodePrivateKey as _, DecodePublicKey as _,
    EncodePublicKey as _, ObjectIdentifier, PrivateKeyInfoRef, SubjectPublicKeyInfoRef,
};
use p256::{NistP256, SecretKey};
use sha2::{Digest as _, Sha256};

use super::encryption::EncryptedKey;
use super::pem::{PemBlock, blocks};
use super::problem::KeyProblem;

/// The name of the curve in keys.
const CURVE: ObjectIdentifier = NistP256::OID;

const PKCS8: &str = "PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const SPKI: &str = "PUBLIC KEY";
/// The label of cosign, and the one of its first versions.
const OF_COSIGN: [&str; 2] = [
    "ENCRYPTED SIGSTORE PRIVATE KEY",
    "ENCRYPTED COSIGN PRIVATE KEY",
];
/// The label of PKCS#8 that OpenSSL has encrypted.
const OF_OPENSSL: &str = "ENCRYPTED PRIVATE KEY";
/// Precedes a key that `openssl ecparam -genkey` writes.
const PARAMETERS: &str = "EC PARAMETERS";

/// A private key as its file holds it.
pub struct PrivateKeyFile(FileContent);

enum FileContent {
    Plain(SignatureKey),
    Encrypted(EncryptedKey),
}

/// A private key, with which images are signed. It is zeroed when it is dropped.
pub struct SignatureKey(SigningKey);

/// A public key, with which signatures are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationKey(VerifyingKey);

impl PrivateKeyFile {
    /// Parses a file: `PRIVATE KEY`, `EC PRIVATE KEY`, or a key that cosign has encrypted.
    ///
    /// # Errors
    /// What is wrong with it. An encrypted key is checked as far as that is possible without its password.
    pub fn parse(text: &[u8]) -> Result<Self, KeyProblem> {
        let block = key_block(text)?;
        let content = match block.label.as_str() {
            SPKI => return Err(KeyProblem::Public),
            OF_OPENSSL => return Err(KeyProblem::OtherEncryption),
            // OpenSSL's older encryption has headers before the base64.
            SEC1 if block.content.is_none() => return Err(KeyProblem::OtherEncryption),
            _ => block.content.ok_or(KeyProblem::Damaged)?,
        };
        match block.label.as_str() {
            PKCS8 => SignatureKey::from_pkcs8(&content).map(FileContent::Plain),
            SEC1 => SignatureKey::from_sec1(&content).map(FileContent::Plain),
            label if OF_COSIGN.contains(&label) => {
                EncryptedKey::parse(&content).map(FileContent::Encrypted)
            }
            _ => return Err(KeyProblem::OtherKind(block.label)),
        }
        .map(Self)
    }

    /// Whether a password is needed.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, FileContent::Encrypted(_))
    }

    /// The key. `password` is not used for a key that is not encrypted.
    ///
    /// # Errors
    /// `WrongPassword`; `Damaged` and `OtherCurve` for what was encrypted.
    pub fn into_key(self, password: &[u8]) -> Result<SignatureKey, KeyProblem> {
        match self.0 {
            FileContent::Plain(key) => Ok(key),
            FileContent::Encrypted(encrypted) => {
                SignatureKey::from_pkcs8(&encrypted.decrypt(password)?)
            }
        }
    }
}

impl SignatureKey {
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyProblem> {
        SecretKey::from_pkcs8_der(der)
            .map(|key| Self(key.into()))
            .map_err(|_| match PrivateKeyInfoRef::from_der(der) {
                Ok(info) if !is_p256(&info.algorithm) => KeyProblem::OtherCurve,
                _ => KeyProblem::Damaged,
            })
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyProblem> {
        SecretKey::from_sec1_der(der)
            .map(|key| Self(key.into()))
            .map_err(|_| {
                let names_p256 = der
                    .windows(CURVE.as_bytes().len())
                    .any(|bytes| bytes == CURVE.as_bytes());
                match AnyRef::from_der(der) {
                    Ok(_) if !names_p256 => KeyProblem::OtherCurve,
                    _ => KeyProblem::Damaged,
                }
            })
    }

    /// Signs a message: ECDSA with SHA-256 and the deterministic nonce of RFC 6979, in ASN.1 DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }

    /// The public key.
    pub fn verification_key(&self) -> VerificationKey {
        VerificationKey(*self.0.verifying_key())
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl VerificationKey {
    /// Parses a file with `PUBLIC KEY`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, KeyProblem> {
        let block = key_block(text)?;
        match (block.label.as_str(), block.content) {
            (SPKI, Some(der)) => VerifyingKey::from_public_key_der(&der)
                .map(Self)
                .map_err(|_| match SubjectPublicKeyInfoRef::from_der(&der) {
                    Ok(info) if !is_p256(&info.algorithm) => KeyProblem::OtherCurve,
                    _ => KeyProblem::Damaged,
                }),
            (SPKI, None) => Err(KeyProblem::Damaged),
            (label, _) if label.ends_with(PKCS8) => Err(KeyProblem::Private),
            _ => Err(KeyProblem::OtherKind(block.label)),
        }
    }

    /// Whether a signature in ASN.1 DER is one of the message by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature)
            .is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }

    /// The name of the key in bundles of cosign: the sha256 of its SPKI in DER, in base64.
    pub fn hint(&self) -> String {
        let der = self.0.to_public_key_der();
        let der = der.expect("a point on the curve always encodes");
        STANDARD.encode(Sha256::digest(der.as_bytes()))
    }
}

fn is_p256(algorithm: &AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.assert_oids(ALGORITHM_OID, CURVE).is_ok()
}

/// The block with the key: the first one that is not about parameters.
fn key_block(text: &[u8]) -> Result<PemBlock, KeyProblem> {
    let text = std::str::from_utf8(text).map_err(|_| KeyProblem::NotPem)?;
    let mut found = blocks(text).into_iter();
    found
        .find(|block| block.label != PARAMETERS)
        .ok_or(KeyProblem::NotPem)
}
