//! Image references: a repository of a registry, with a tag or pinned by digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sys::digest::Digest;

/// `host[:port]` of a registry and a repository's path in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Repository {
    /// `host[:port]`; Docker Hub is `docker.io`.
    pub registry: String,
    /// Path without a leading slash; official images of Docker Hub start with `library/`.
    pub path: String,
}

/// A tagged image, `registry/name:tag`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// Registry and path.
    pub repository: Repository,
    /// The tag, without `:`.
    pub tag: String,
}

/// An image pinned by its manifest's digest, `registry/name@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinnedRef {
    /// Registry and path.
    pub repository: Repository,
    /// Digest of the manifest or index.
    pub digest: Digest,
}

/// A base image as written by a user, with a tag, a digest, or both; the digest takes precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRef {
    /// Registry and path.
    pub repository: Repository,
    /// `latest` if neither a tag nor a digest was written.
    pub tag: Option<String>,
    /// The digest, if one was written.
    pub digest: Option<Digest>,
}

/// A text is not a valid image reference.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an image reference: {why}")]
pub struct InvalidReference {
    text: String,
    why: &'static str,
}

impl Repository {
    /// Joins `host[:port][/path]` and a name.
    pub fn below(registry: &str, name: &str) -> Self {
        match registry.split_once('/') {
            Some((host, path)) => Self {
                registry: host.to_owned(),
                path: format!("{path}/{name}"),
            },
            None => Self {
                registry: registry.to_owned(),
                path: name.to_owned(),
            },
        }
    }

    /// A reference to an image of this repository by tag.
    pub fn tagged(&self, tag: impl Into<String>) -> ImageRef {
        ImageRef {
            repository: self.clone(),
            tag: tag.into(),
        }
    }

    /// A reference to an image of this repository by digest.
    pub fn pinned(&self, digest: Digest) -> PinnedRef {
        PinnedRef {
            repository: self.clone(),
            digest,
        }
    }
}

/// Whether a text is `host[:port]`, with an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let (is_valid_host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (
            address.parse::<std::net::Ipv6Addr>().is_ok(),
            port.strip_prefix(':').or((!port.is_empty()).then_some("x")),
        ),
        None => {
            let (name, port) = text
                .split_once(':')
                .map_or((text, None), |(name, port)| (name, Some(port)));
            let is_allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            (!name.is_empty() && name.bytes().all(is_allowed), port)
        }
    };
    is_valid_host
        && port.is_none_or(|port| {
            port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit())
        })
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl fmt::Display for PinnedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl fmt::Display for BaseRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for BaseRef {
    type Err = InvalidReference;

    /// Parses a reference like Docker: the default registry is Docker Hub, whose default path is `library/`.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |why| InvalidReference {
            text: text.to_owned(),
            why,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(
                    digest
                        .parse()
                        .map_err(|_| invalid("the digest is not `sha256:` and 64 digits"))?,
                ),
            ),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if tag
            .as_deref()
            .is_some_and(|tag| !union_build::spec::names::is_tag(tag))
        {
            return Err(invalid("the tag has characters that no tag may have"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, path.to_owned())
            }
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if !is_host(registry) {
            return Err(invalid("the registry is not `host[:port]`"));
        }
        let registry = if registry == "index.docker.io" {
            "docker.io"
        } else {
            registry
        };
        if !path
            .split('/')
            .all(union_build::spec::names::is_path_component)
        {
            return Err(invalid(
                "a name has lower-case letters, digits, and single `.`, `_` or `-` between them",
            ));
        }
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self {
            repository: Repository {
                registry: registry.to_owned(),
                path,
            },
            tag,
            digest,
        })
    }
}

#[cfg(test)]
mod tests;
