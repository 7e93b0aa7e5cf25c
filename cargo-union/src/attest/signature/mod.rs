//! Signatures of images by a P-256 key, in the two forms that cosign verifies: simple signing ([`simple`]) and a Sigstore
//! bundle ([`bundle`]). Pure: nothing is read or sent.
//!
//! Signatures are deterministic (RFC 6979): the same key and image give the same bytes.

pub mod bundle;
mod encryption;
mod key;
mod pem;
mod problem;
pub mod simple;

pub use key::{PrivateKeyFile, SignatureKey, VerificationKey};
pub use problem::{KeyProblem, SignatureProblem};

#[cfg(test)]
mod tests;
