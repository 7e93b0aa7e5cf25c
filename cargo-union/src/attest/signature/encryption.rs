//! The encryption of cosign's keys: scrypt (RFC 7914) and NaCl's secretbox (XSalsa20 and Poly1305), in a JSON document.
//!
//! Source: `encrypted` of go-securesystemslib, which writes and reads the document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::elliptic_curve::subtle::ConstantTimeEq as _;
use p256::elliptic_curve::zeroize::Zeroizing;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::Deserialize;

use super::problem::KeyProblem;

/// The values of N that cosign accepts; r is 8 and p is 1. Other values could use up the memory.
const COSTS: [u64; 3] = [1 << 15, 1 << 16, 1 << 17];
const KEY: usize = 32;
const NONCE: usize = 24;
const TAG: usize = 16;

/// An encrypted key, whose parameters are checked.
pub(super) struct EncryptedKey {
    parameters: scrypt::Params,
    salt: Vec<u8>,
    nonce: [u8; NONCE],
    tag: [u8; TAG],
    ciphertext: Vec<u8>,
}

#[derive(Deserialize)]
struct EncryptedDocument {
    kdf: KeyDerivation,
    cipher: CipherChoice,
    ciphertext: String,
}

#[derive(Deserialize)]
struct KeyDerivation {
    name: String,
    params: ScryptCosts,
    salt: String,
}

#[derive(Deserialize)]
struct ScryptCosts {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct CipherChoice {
    name: String,
    nonce: String,
}

impl EncryptedKey {
    /// Parses the JSON document in a PEM block.
    pub(super) fn parse(json: &[u8]) -> Result<Self, KeyProblem> {
        let invalid = KeyProblem::InvalidEncryption;
        let document: EncryptedDocument = serde_json::from_slice(json)
            .map_err(|_| invalid("it is no JSON document of cosign"))?;
        let EncryptedDocument {
            kdf,
            cipher,
            ciphertext,
        } = document;
        if kdf.name != "scrypt" || cipher.name != "nacl/secretbox" {
            return Err(invalid("only scrypt with nacl/secretbox is supported"));
        }
        let is_known = COSTS.contains(&kdf.params.n) && kdf.params.r == 8 && kdf.params.p == 1;
        let parameters = u8::try_from(kdf.params.n.trailing_zeros())
            .ok()
            .filter(|_| is_known)
            .and_then(|log_n| scrypt::Params::new(log_n, kdf.params.r, kdf.params.p).ok())
            .ok_or(invalid("the parameters of scrypt are not supported"))?;
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| invalid("it is not base64"))
        };
        let mut ciphertext = decode(&ciphertext)?;
        if ciphertext.len() < TAG {
            return Err(invalid("the ciphertext is too short"));
        }
        let rest = ciphertext.split_off(TAG);
        let nonce = decode(&cipher.nonce)?.try_into();
        Ok(Self {
            parameters,
            salt: decode(&kdf.salt)?,
            nonce: nonce.map_err(|_| invalid("the nonce does not have 24 bytes"))?,
            tag: ciphertext
                .try_into()
                .map_err(|_| invalid("the ciphertext is too short"))?,
            ciphertext: rest,
        })
    }

    /// The key in PKCS#8. Takes about 0.1 s and 64 MB.
    ///
    /// # Errors
    /// `WrongPassword`.
    pub(super) fn decrypt(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
        let mut key = Zeroizing::new([0; KEY]);
        scrypt::scrypt(password, &self.salt, &self.parameters, &mut *key)
            .map_err(|_| KeyProblem::InvalidEncryption("scrypt does not yield a key"))?;
        let mut cipher = XSalsa20::new((&*key).into(), (&self.nonce).into());
        // The first 32 bytes of the key stream are the key of the authenticator.
        let mut authenticator_key = Zeroizing::new([0; KEY]);
        cipher.apply_keystream(&mut *authenticator_key);
        let authenticator = Poly1305::new((&*authenticator_key).into());
        let tag = authenticator.compute_unpadded(&self.ciphertext);
        if !bool::from(tag.as_slice().ct_eq(&self.tag)) {
            return Err(KeyProblem::WrongPassword);
        }
        let mut plaintext = Zeroizing::new(self.ciphertext.clone());
        cipher.apply_keystream(&mut plaintext);
        Ok(plaintext)
    }
}
