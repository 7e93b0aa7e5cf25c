//! Cryptographically secure random bytes and UUIDs.

use union_build::diag::Code;

use super::error::{Error, Result};

/// `N` bytes from the operating system's random number generator.
///
/// # Errors
/// `ToolMissing` when the generator is not available.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let unavailable = |cause: getrandom::Error| {
        Error::new(
            Code::ToolMissing,
            "could not read random numbers from the system",
        )
        .because(cause)
    };
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    Ok(bytes)
}

/// A random UUID, version 4.
///
/// # Errors
/// `ToolMissing`, like [`bytes()`].
pub fn uuid() -> Result<String> {
    let mut bytes = bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_4_and_unique() {
        let first = uuid().unwrap();
        let second = uuid().unwrap();
        assert_ne!(first, second);
        assert_eq!((first.len(), &first[14..15]), (36, "4"));
        assert!("89ab".contains(&first[19..20]), "{first}");
    }
}
