//! What a text may look like: registries, names, tags, references, quantities and the rest.

use super::{is_path_component, is_tag};
use crate::diag::{Code, Diagnostic, Origin, nearest};
use crate::spec::toml_text;

/// A rule for a text.
pub(super) struct Rule {
    code: Code,
    /// What the text should be: "a registry".
    what: &'static str,
    check: fn(&str) -> Result<(), Wrong>,
}

/// Why a text breaks a rule.
pub(super) struct Wrong {
    why: String,
    instead: Option<String>,
    help: Option<String>,
}

impl Rule {
    /// The problem of a text that breaks the rule.
    pub(super) fn problem(&self, text: &str, origin: &Origin) -> Option<Diagnostic> {
        let wrong = (self.check)(text).err()?;
        let problem = Diagnostic::error(self.code, format!("`{}` is not {}", text.escape_debug(), self.what), origin, wrong.why);
        Some(match (wrong.help, wrong.instead) {
            (Some(help), _) => problem.help(help),
            (None, Some(instead)) => {
                let problem = problem.help(format!("write `{instead}`"));
                match origin {
                    Origin::File(..) => problem.suggest(origin, toml_text::string(&instead)),
                    _ => problem,
                }
            }
            (None, None) => problem.help(self.code.cure()),
        })
    }
}

const fn rule(code: Code, what: &'static str, check: fn(&str) -> Result<(), Wrong>) -> Rule {
    Rule { code, what, check }
}

pub(super) const TEXT: Rule = rule(Code::InvalidValue, "a text without a zero byte", text);
pub(super) const WORD: Rule = rule(Code::InvalidValue, "a usable word", word);
pub(super) const COMMAND: Rule = rule(Code::InvalidValue, "a command", command);
pub(super) const NAME: Rule = rule(Code::InvalidValue, "a name", name);
pub(super) const IMAGE_KEY: Rule = rule(Code::InvalidImageName, "a name of an image spec", name);
pub(super) const IMAGE_NAME: Rule = rule(Code::InvalidImageName, "an image name", image_name);
pub(super) const REGISTRY: Rule = rule(Code::InvalidRegistry, "a registry", registry);
pub(super) const HOST: Rule = rule(Code::InvalidRegistry, "a registry's host", host);
pub(super) const TAG_FORMAT: Rule = rule(Code::InvalidTagFormat, "a tag format", tag_format);
pub(super) const REFERENCE: Rule = rule(Code::InvalidReference, "an image reference", reference);
pub(super) const PLATFORM: Rule = rule(Code::InvalidValue, "a platform", platform);
pub(super) const ENV_NAME: Rule = rule(Code::InvalidValue, "a name of an environment variable", env_name);
pub(super) const IMAGE_ENV_NAME: Rule = rule(Code::InvalidValue, "a name of an environment variable", image_env_name);
pub(super) const LABEL_NAME: Rule = rule(Code::InvalidValue, "a name of a label or an annotation", label_name);
pub(super) const APT_PACKAGE: Rule = rule(Code::InvalidValue, "a Debian package", apt_package);
pub(super) const FEATURE: Rule = rule(Code::InvalidValue, "a cargo feature", feature);
pub(super) const GLOB: Rule = rule(Code::InvalidValue, "a pattern of files", glob);
pub(super) const SONAME: Rule = rule(Code::InvalidValue, "a name of a shared library", soname);
pub(super) const USER: Rule = rule(Code::InvalidValue, "a user", user);
pub(super) const ABSOLUTE: Rule = rule(Code::PathInvalid, "a path inside of the image", absolute);
pub(super) const MODE: Rule = rule(Code::InvalidValue, "a file mode", |text| {
    mode(text).map(drop).ok_or_else(|| wrong("not 1 to 4 octal digits").help("write the permission bits in octal, such as \"0644\""))
});
pub(super) const QUANTITY: Rule = rule(Code::InvalidValue, "a quantity", quantity);
pub(super) const GPU: Rule = rule(Code::InvalidValue, "a number of accelerators", gpu);
pub(super) const SHARED_MEMORY: Rule = rule(Code::InvalidValue, "a quantity", |text| if text == "auto" { Ok(()) } else { quantity(text) });

fn wrong(why: impl Into<String>) -> Wrong {
    Wrong { why: why.into(), instead: None, help: None }
}

impl Wrong {
    fn instead(self, text: impl Into<String>) -> Self {
        Self { instead: Some(text.into()), ..self }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

fn ensure(holds: bool, why: &str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(wrong(why)) }
}

fn text(text: &str) -> Result<(), Wrong> {
    ensure(!text.contains('\0'), "has a zero byte").map_err(|wrong| wrong.help("remove the zero byte"))
}

/// Something that ends up as an argument: it must not be taken for an option, nor hide a line.
fn word(text: &str) -> Result<(), Wrong> {
    let fitting = !text.trim().is_empty() && !text.starts_with('-') && !text.contains(char::is_control);
    ensure(fitting, "is empty, starts with a dash or has a control character").map_err(|wrong| wrong.help("write a plain word"))
}

fn command(text: &str) -> Result<(), Wrong> {
    ensure(!text.trim().is_empty() && !text.contains('\0'), "is empty").map_err(|wrong| wrong.help("write a shell command, or remove it"))
}

fn name(text: &str) -> Result<(), Wrong> {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let fitting = text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(letters);
    ensure(fitting, "needs a letter first, then letters, digits, `-` or `_`")
        .map_err(|wrong| wrong.help("start with a letter, and use letters, digits, `-` and `_`"))
}

fn image_name(text: &str) -> Result<(), Wrong> {
    if text.split('/').all(is_path_component) {
        return Ok(());
    }
    let better: Vec<String> = text.split('/').map(crate::spec::complete::component).collect();
    Err(wrong("needs lower-case letters and digits, with single `.`, `_` or `-` between them").instead(better.join("/")))
}

fn registry(text: &str) -> Result<(), Wrong> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest.trim_end_matches('/')));
    }
    if let Some(rest) = text.strip_suffix('/') {
        return Err(wrong("ends with a slash").instead(rest.trim_end_matches('/')));
    }
    let (first, path) = text.split_once('/').map_or((text, None), |(first, path)| (first, Some(path)));
    if !is_host_like(first) && is_path_component(first) {
        let why = format!("`{first}` is not a host: it has neither a dot nor a port");
        return Err(wrong(why).help(format!("write its host first; on Docker Hub that is `docker.io/{text}`")));
    }
    host(first)?;
    let fitting = path.is_none_or(|path| path.split('/').all(is_path_component));
    let lower = text.to_lowercase();
    match fitting {
        true => Ok(()),
        false if lower != text && registry(&lower).is_ok() => Err(wrong("has upper-case letters").instead(lower)),
        false => Err(wrong("has a path component that no repository may have")),
    }
}

/// Whether the first part of a reference names a registry, as Docker decides it.
fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn host(text: &str) -> Result<(), Wrong> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest.trim_end_matches('/')));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) if address.parse::<std::net::Ipv6Addr>().is_err() => return Err(wrong("is not an IPv6 address")),
        Some((_, "")) => return Ok(()),
        // What stands after the brackets must be a port.
        Some((_, port)) => ("address", Some(port.strip_prefix(':').unwrap_or_default())),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let label = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && letters
    };
    if !name.split('.').all(label) {
        let lower = text.to_lowercase();
        let problem = wrong("is not a host name in lower case");
        return Err(if lower != text && host(&lower).is_ok() { problem.instead(lower) } else { problem });
    }
    let number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    ensure(port.is_none_or(number), "has a port that is not a number from 1 to 65535")
}

fn tag_format(format: &str) -> Result<(), Wrong> {
    const HASH: &str = "{spec-hash}";
    let example = format.replace(HASH, &"0".repeat(26));
    if let Some((_, rest)) = example.split_once('{') {
        let unknown = rest.split('}').next().unwrap_or(rest);
        return Err(wrong(format!("`{{{unknown}}}` is unknown")).instead(format.replace(&format!("{{{unknown}}}"), HASH)));
    }
    ensure(format.contains(HASH), "has no `{spec-hash}`, so that two images would meet in one tag")?;
    ensure(example.len() <= 128, "gives a tag of more than 128 characters")?;
    ensure(is_tag(&example), "a tag has letters, digits, `_`, `.` and `-`, and none of the last two first")
}

fn reference(text: &str) -> Result<(), Wrong> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(wrong("has a scheme").instead(rest));
    }
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let hex = |digits: &str| digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ensure(digest.is_none_or(|digest| digest.strip_prefix("sha256:").is_some_and(hex)), "the digest is not `sha256:` and 64 digits")?;
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    ensure(tag.is_none_or(is_tag), "the tag has characters that no tag may have")?;
    let path = match name.split_once('/') {
        Some((first, path)) if is_host_like(first) => {
            host(first)?;
            path
        }
        _ => name,
    };
    ensure(path.split('/').all(is_path_component), "a name has lower-case letters, digits, and single `.`, `_` or `-` between them")
}

fn platform(text: &str) -> Result<(), Wrong> {
    const ARCHITECTURES: [&str; 8] = ["amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x", "loong64"];
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => return Err(wrong("is not `os/architecture`").help("write a platform such as `linux/amd64`")),
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
            None => problem.help(format!("the architectures are {}", ARCHITECTURES.join(", "))),
        });
    }
    let version = |text: &str| text.strip_prefix('v').is_some_and(|digit| digit.len() == 1 && digit.as_bytes()[0].is_ascii_digit());
    ensure(variant.is_none_or(version), "the variant is not like `v8`").map_err(|wrong| wrong.help("write a variant such as `v8`, or none"))
}

fn env_name(text: &str) -> Result<(), Wrong> {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    let fitting = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && text.chars().all(letters);
    ensure(fitting, "not a variable's name").map_err(|wrong| wrong.help("start with a letter or `_`, and use letters, digits and `_`"))
}

fn image_env_name(text: &str) -> Result<(), Wrong> {
    env_name(text)?;
    ensure(text != "UNION_IMAGE_ID", "set by the tool").map_err(|wrong| wrong.help("remove it: every image gets its own"))
}

fn label_name(text: &str) -> Result<(), Wrong> {
    let fitting = !text.is_empty() && !text.contains(|letter: char| letter.is_control() || letter.is_whitespace() || letter == '=');
    ensure(fitting, "empty, or with a space").map_err(|wrong| wrong.help("use letters, digits, `.`, `/`, `_` and `-`"))?;
    ensure(!text.starts_with("union."), "`union.` is the tool's own").map_err(|wrong| wrong.help("choose another prefix than `union.`"))
}

fn apt_package(text: &str) -> Result<(), Wrong> {
    let (name, version) = text.split_once('=').map_or((text, None), |(name, version)| (name, Some(version)));
    let (name, architecture) = name.split_once(':').map_or((name, None), |(name, architecture)| (name, Some(architecture)));
    let lower = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let letters = |text: &str, more: &str| !text.is_empty() && text.chars().all(|letter| lower(letter) || more.contains(letter));
    let fitting = name.starts_with(lower)
        && letters(name, "+.-")
        && architecture.is_none_or(|architecture| letters(architecture, "-"))
        && version.is_none_or(|version| letters(&version.to_lowercase(), ".+~:-"));
    ensure(fitting, "not a package name").map_err(|wrong| wrong.help("write `package`, `package:architecture` or `package=version`"))
}

fn feature(text: &str) -> Result<(), Wrong> {
    word(text)?;
    ensure(!text.contains([',', ' ']), "more than one").map_err(|wrong| wrong.help("write each feature as an entry of its own"))
}

fn glob(text: &str) -> Result<(), Wrong> {
    let fitting = !text.is_empty() && !text.starts_with('/') && !text.contains(char::is_control);
    ensure(fitting, "is empty or absolute")
        .map_err(|wrong| wrong.help("write a pattern relative to the manifest, such as `schemas/**/*.sql`"))
}

fn soname(text: &str) -> Result<(), Wrong> {
    word(text)?;
    ensure(!text.contains(['/', ' ']), "is a path").map_err(|wrong| wrong.help("write the library's name, such as `libpq.so.5`"))
}

fn user(text: &str) -> Result<(), Wrong> {
    let part = |part: &str| {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let name = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
        if number { part.parse::<i32>().is_ok() } else { name }
    };
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    ensure(part(user) && group.is_none_or(part), "not `user[:group]`")
        .map_err(|wrong| wrong.help("write names or numbers, such as `1000:1000`"))
}

fn absolute(path: &str) -> Result<(), Wrong> {
    ensure(path.starts_with('/'), "is not absolute")?;
    ensure(!path.split('/').any(|part| part == ".."), "has `..` in it")?;
    ensure(!path.contains(char::is_control), "has a control character")
}

/// Permission bits from octal digits.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o7777)
}

fn quantity(text: &str) -> Result<(), Wrong> {
    const SUFFIXES: [&str; 16] = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix = &text[number.len()..];
    let decimal = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && number.parse::<f64>().is_ok();
    if decimal && SUFFIXES.contains(&suffix) {
        return Ok(());
    }
    let short = suffix.strip_suffix(['B', 'b']).filter(|short| decimal && SUFFIXES.contains(short));
    let problem = wrong("not a Kubernetes quantity");
    Err(match short {
        Some(short) => problem.instead(format!("{number}{short}")),
        None => problem.help("write a number with a suffix such as `m`, `k`, `M`, `G`, `Ki`, `Mi` or `Gi`"),
    })
}

fn gpu(text: &str) -> Result<(), Wrong> {
    let (kind, count) = text.rsplit_once(':').map_or((None, text), |(kind, count)| (Some(kind), count));
    let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '.' | '_' | '-');
    let named = kind.is_none_or(|kind| kind.starts_with(|first: char| first.is_ascii_alphanumeric()) && kind.chars().all(letters));
    let counted = count.bytes().all(|byte| byte.is_ascii_digit()) && count.parse::<u32>().is_ok_and(|count| count > 0);
    ensure(named && counted, "not `COUNT` or `TYPE:COUNT`")
        .map_err(|wrong| wrong.help("write a number such as `1`, or one with a type such as `A100:1`"))
}

#[cfg(test)]
mod tests;
