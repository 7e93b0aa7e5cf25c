//! Keys with which tests sign images: those of OpenSSL and cosign in `tests/fixtures/signing`.

use std::path::{Path, PathBuf};

use crate::project::repository;

/// The password of `cosign.key`.
pub const PASSWORD: &str = "hunter2 of the tests";

/// A private key in a directory, which only its owner may read.
///
/// # Panics
/// When there is no such key, or the directory is not writable.
#[cfg(unix)]
pub fn private_key(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    std::fs::copy(key_file(name), &path).expect("the key exists and the directory is writable");
    set_mode(&path, 0o600);
    path.display().to_string()
}

/// Sets the permissions of a file.
///
/// # Panics
/// When it does not exist.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// The public key of `sec1.pem` and `pkcs8.pem`, which are one key.
pub fn public_key() -> String {
    key_file("public.pem").display().to_string()
}

/// A file of the fixtures.
pub fn key_file(name: &str) -> PathBuf {
    repository().join("tests/fixtures/signing").join(name)
}
