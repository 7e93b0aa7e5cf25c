//! Documents about images, and signatures of images, computed from values alone. They are part of neither an image nor its key.

pub mod cyclonedx;
pub mod provenance;
pub mod signature;

/// The media type of an in-toto statement.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The type of an in-toto statement v1.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A document about an image, as it is written to a file or attached to the image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDocument {
    /// The media type of `bytes`, which is also the artifact type of a referrer.
    pub media_type: &'static str,
    /// The document.
    pub bytes: Vec<u8>,
}
