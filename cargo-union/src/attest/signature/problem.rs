//! Why a key cannot be used, and why a signature is not valid.

/// Why a key cannot be used. Never contains a part of the key or of its password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The text has no PEM block.
    #[error("it is not a key in PEM")]
    NotPem,
    /// The text has PEM blocks of other kinds; that of the first one.
    #[error("it has `{0}`, which is not a supported key")]
    OtherKind(String),
    /// The text has a public key where a private one is needed.
    #[error("it is a public key")]
    Public,
    /// The text has a private key where a public one is needed.
    #[error("it is a private key")]
    Private,
    /// The key is encrypted in another way than cosign's keys are.
    #[error("it is encrypted, but not as the keys of cosign are")]
    OtherEncryption,
    /// A field of the encryption is missing or not supported.
    #[error("its encryption is not valid: {0}")]
    InvalidEncryption(&'static str),
    /// The key cannot be decrypted.
    #[error("the password is wrong, or the file is damaged")]
    WrongPassword,
    /// The key is valid, but of another algorithm or curve.
    #[error("it is not a key of the curve P-256")]
    OtherCurve,
    /// The content of the PEM block is not a key.
    #[error("its content is damaged")]
    Damaged,
}

impl KeyProblem {
    /// What to do about the problem of a private key.
    pub fn help(&self) -> &'static str {
        match self {
            Self::OtherEncryption => {
                "Encrypt it again with `cosign import-key-pair`, or decrypt it with `openssl pkcs8`."
            }
            Self::Public => "Name the file with the private key.",
            Self::Private => "Name the file with the public key; `openssl ec -pubout` writes it.",
            Self::WrongPassword => "Set COSIGN_PASSWORD to the password of the key.",
            Self::Damaged | Self::InvalidEncryption(_) => "Restore the file.",
            Self::NotPem | Self::OtherKind(_) | Self::OtherCurve => {
                "Create a key with `cosign generate-key-pair` or `openssl ecparam -name prime256v1 -genkey -noout`."
            }
        }
    }
}

/// Why a signature is not valid for an image and a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum SignatureProblem {
    /// The signature does not fit key and content.
    #[error("it is by another key, or what was signed has been changed")]
    Mismatch,
    /// The document names another key.
    #[error("it is by another key")]
    OtherKey,
    /// The document names this key, but the signature does not fit.
    #[error("it names this key, but the signature or what was signed has been changed")]
    Changed,
    /// The signature is valid, but for another image.
    #[error("it is about another image")]
    OtherImage,
    /// The signature is valid, but does not sign an image.
    #[error("it is about something else than an image")]
    OtherStatement,
    /// The document cannot be parsed.
    #[error("it cannot be parsed")]
    Malformed,
}
