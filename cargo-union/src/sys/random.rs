//! The door to chance that nobody can guess.

use union_build::diag::Code;

use super::error::{Error, Result};

/// So many bytes from the system's source of chance.
///
/// # Errors
/// `ToolMissing` when the system has none.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let none = |cause: getrandom::Error| Error::new(Code::ToolMissing, "could not read random numbers from the system").because(cause);
    getrandom::fill(&mut bytes).map_err(none)?;
    Ok(bytes)
}

/// A random UUID, version 4.
///
/// # Errors
/// `ToolMissing`, as [`bytes()`].
pub fn uuid() -> Result<String> {
    let mut bytes = bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version_and_is_another_each_time() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), &one[14..15]), (36, "4"));
        assert!("89ab".contains(&one[19..20]), "{one}");
    }
}
