//! The platform an image is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Operating system, architecture and variant, in the words of the OCI specification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, …; `None` when there is none, and for the one that is meant without a word: `amd64/v1`, `arm64/v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The text is not `os/architecture[/variant]`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a platform such as `linux/amd64`")]
pub struct InvalidPlatform(String);

impl Platform {
    /// Puts a platform into its usual form, as containerd does: names of uname and of Debian become OCI's, `arm` is `arm/v7`,
    /// and a variant that is the default is left out.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let lower = |text: &str| text.trim().to_ascii_lowercase();
        let (architecture, variant) = (lower(architecture), lower(variant.unwrap_or_default()));
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("amd64" | "x86_64" | "x86-64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("arm64" | "aarch64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        let variant = Some(variant.to_owned()).filter(|variant| !variant.is_empty());
        Self { os: lower(os), architecture: architecture.to_owned(), variant }
    }

    /// Whether operating system and architecture are both known.
    pub fn is_whole(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty()
    }

    /// How well an image for another platform serves this one: 0 is this platform itself, larger is older, and `None` not at
    /// all. A processor runs what was made for the lesser variants of its own architecture.
    pub fn distance(&self, other: &Self) -> Option<u32> {
        if (&self.os, &self.architecture) != (&other.os, &other.architecture) {
            return None;
        }
        // The version of an architecture without a variant: of amd64 it is the first.
        let version = |platform: &Self| match (&*platform.architecture, platform.variant.as_deref()) {
            ("amd64", None) => Some(1),
            ("amd64" | "arm", Some(variant)) => variant.strip_prefix('v')?.parse::<u32>().ok(),
            _ => None,
        };
        match (version(self), version(other)) {
            _ if self == other => Some(0),
            (Some(own), Some(others)) => own.checked_sub(others).filter(|distance| *distance > 0),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [os, architecture] if !os.is_empty() && !architecture.is_empty() => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if !variant.is_empty() => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_normalised_as_in_containerd() {
        for (typed, usual) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(typed.parse::<Platform>().unwrap().to_string(), usual, "{typed}");
        }
    }

    #[test]
    fn a_lesser_variant_serves_and_a_greater_one_does_not() {
        for (own, other, distance) in [
            ("linux/arm/v7", "linux/arm/v7", Some(0)),
            ("linux/arm/v7", "linux/arm/v6", Some(1)),
            ("linux/arm/v7", "linux/arm/v5", Some(2)),
            ("linux/arm/v6", "linux/arm/v7", None),
            ("linux/arm", "linux/arm/v7", Some(0)),
            ("linux/amd64/v3", "linux/amd64", Some(2)),
            ("linux/amd64", "linux/amd64/v2", None),
            ("linux/arm64", "linux/arm64/v9", None),
            ("linux/arm64", "linux/amd64", None),
            ("linux/arm/odd", "linux/arm/v6", None),
            ("linux/arm/v99999999999", "linux/arm/v6", None),
        ] {
            let [own, other] = [own, other].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(own.distance(&other), distance, "{own} {other}");
        }
    }
}
