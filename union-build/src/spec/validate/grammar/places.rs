//! Grammar of registry hosts, repositories, tags, references and platforms.

use super::{GrammarError, ensure, wrong};
use crate::diag::nearest;
use crate::spec::names::{component, is_path_component, is_tag};

pub(super) fn image_name(text: &str) -> Result<(), GrammarError> {
    if text.split('/').all(is_path_component) {
        return Ok(());
    }
    let better: Vec<String> = text.split('/').map(component).collect();
    Err(
        wrong("needs lower-case letters and digits, with single `.`, `_` or `-` between them")
            .instead(better.join("/")),
    )
}

pub(super) fn registry(text: &str) -> Result<(), GrammarError> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest.trim_end_matches('/')));
    }
    if let Some(rest) = text.strip_suffix('/') {
        return Err(wrong("ends with a slash").instead(rest.trim_end_matches('/')));
    }
    let (first, path) = text
        .split_once('/')
        .map_or((text, None), |(first, path)| (first, Some(path)));
    if !is_host_like(first) && is_path_component(first) {
        let why = format!("`{first}` is not a host: it has neither a dot nor a port");
        return Err(wrong(why).help(format!(
            "write its host first; on Docker Hub that is `docker.io/{text}`"
        )));
    }
    host(first)?;
    let fitting = path.is_none_or(|path| path.split('/').all(is_path_component));
    let lower = text.to_lowercase();
    match fitting {
        true => Ok(()),
        false if lower != text && registry(&lower).is_ok() => {
            Err(wrong("has upper-case letters").instead(lower))
        }
        false => Err(wrong("has a path component that no repository may have")),
    }
}

/// Whether the first part of a reference is a registry host, by Docker's rule.
fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

pub(super) fn host(text: &str) -> Result<(), GrammarError> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest.trim_end_matches('/')));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) if address.parse::<std::net::Ipv6Addr>().is_err() => {
            return Err(wrong("is not an IPv6 address"));
        }
        Some((_, "")) => return Ok(()),
        // Only a port may follow the brackets.
        Some((_, port)) => ("address", Some(port.strip_prefix(':').unwrap_or_default())),
        None => text
            .split_once(':')
            .map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let label = |label: &str| {
        let letters = label.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        });
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && letters
    };
    if !name.split('.').all(label) {
        let lower = text.to_lowercase();
        let problem = wrong("is not a host name in lower case");
        return Err(if lower != text && host(&lower).is_ok() {
            problem.instead(lower)
        } else {
            problem
        });
    }
    let number = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    ensure(
        port.is_none_or(number),
        "has a port that is not a number from 1 to 65535",
    )
}

pub(super) fn tag_format(format: &str) -> Result<(), GrammarError> {
    const HASH: &str = "{spec-hash}";
    let example = format.replace(HASH, &"0".repeat(26));
    if let Some((_, rest)) = example.split_once('{') {
        let unknown = rest.split('}').next().unwrap_or(rest);
        return Err(wrong(format!("`{{{unknown}}}` is unknown"))
            .instead(format.replace(&format!("{{{unknown}}}"), HASH)));
    }
    ensure(
        format.contains(HASH),
        "has no `{spec-hash}`, so that two images would have the same tag",
    )?;
    ensure(
        example.len() <= 128,
        "results in a tag of more than 128 characters",
    )?;
    ensure(
        is_tag(&example),
        "a tag has letters, digits, `_`, `.` and `-`, and none of the last two first",
    )
}

pub(super) fn reference(text: &str) -> Result<(), GrammarError> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest));
    }
    let (rest, digest) = text
        .split_once('@')
        .map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let hex = |digits: &str| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    ensure(
        digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(hex)),
        "the digest is not `sha256:` and 64 digits",
    )?;
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    ensure(
        tag.is_none_or(is_tag),
        "the tag has characters that no tag may have",
    )?;
    let path = match name.split_once('/') {
        Some((first, path)) if is_host_like(first) => {
            host(first)?;
            path
        }
        _ => name,
    };
    ensure(
        path.split('/').all(is_path_component),
        "a name has lower-case letters, digits, and single `.`, `_` or `-` between them",
    )
}

pub(super) fn platform(text: &str) -> Result<(), GrammarError> {
    const ARCHITECTURES: [&str; 8] = [
        "amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x", "loong64",
    ];
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => {
            return Err(
                wrong("is not `os/architecture`").help("write a platform such as `linux/amd64`")
            );
        }
    };
    if os != "linux" {
        return Err(wrong("images are for `linux`").instead(format!("linux/{architecture}")));
    }
    if !ARCHITECTURES.contains(&architecture) {
        let meant = match architecture {
            "x86_64" | "x64" => Some("amd64"),
            "aarch64" => Some("arm64"),
            other => nearest(other, ARCHITECTURES),
        };
        let problem = wrong("the architecture is unknown");
        return Err(match meant {
            Some(meant) => problem.instead(format!("linux/{meant}")),
            None => problem.help(format!(
                "the architectures are {}",
                ARCHITECTURES.join(", ")
            )),
        });
    }
    let version = |text: &str| {
        text.strip_prefix('v')
            .is_some_and(|digit| digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit())
    };
    ensure(variant.is_none_or(version), "the variant is not like `v8`")
        .map_err(|wrong| wrong.help("write a variant such as `v8`, or none"))
}
