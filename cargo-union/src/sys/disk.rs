//! The space on disks.

use std::io;
use std::path::Path;

/// The bytes that a user without special rights can still write to the disk of an existing path.
///
/// # Errors
/// When the system does not return it.
#[cfg(unix)]
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The bytes that a user without special rights can still write to the disk of an existing path.
///
/// # Errors
/// Always: this is not implemented for the system.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
