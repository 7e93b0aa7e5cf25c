//! Grammar rules of strings: registries, names, tags, references, quantities and others.

use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::toml_text;
use crate::spec::variables::parts;
use places::{host, image_name, platform, reference, registry, tag_format};
pub(super) use tasks::amount;
use tasks::{
    address, cron, duration, environment, long, object, secret_env, short, task_name, timezone,
    variable,
};

mod places;
mod tasks;

/// A grammar rule of a string.
pub(super) struct GrammarRule {
    code: Code,
    /// The expected thing with its article: "a registry".
    what: &'static str,
    check: fn(&str) -> Result<(), GrammarError>,
}

/// The reason why a string breaks a rule.
pub(super) struct GrammarError {
    why: String,
    instead: Option<String>,
    help: Option<String>,
}

impl GrammarRule {
    /// Whether a string follows the rule.
    pub(super) fn fits(&self, text: &str) -> bool {
        (self.check)(text).is_ok()
    }

    /// The problem of a string; `None` when it follows the rule.
    pub(super) fn problem(&self, text: &str, origin: &Origin) -> Option<Diagnostic> {
        let wrong = (self.check)(text).err()?;
        let problem = Diagnostic::error(
            self.code,
            format!("`{}` is not {}", shown(text), self.what),
            origin,
            wrong.why,
        );
        Some(match (wrong.help, wrong.instead) {
            (Some(help), _) => problem.help(help),
            (None, Some(instead)) => {
                let problem = problem.help(format!("write `{instead}`"));
                match origin {
                    Origin::File(..) => problem.suggest(origin, toml_text::string(&instead)),
                    _ => problem,
                }
            }
            (None, None) => problem.help(self.code.help()),
        })
    }
}

/// The start of a string, escaped; the manifest shows it in full.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let escaped: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > LONGEST {
        escaped + "…"
    } else {
        escaped
    }
}

const fn rule(
    code: Code,
    what: &'static str,
    check: fn(&str) -> Result<(), GrammarError>,
) -> GrammarRule {
    GrammarRule { code, what, check }
}

pub(super) const TEXT: GrammarRule = rule(Code::InvalidValue, "a text without a zero byte", text);
pub(super) const WORD: GrammarRule = rule(Code::InvalidValue, "a usable word", word);
pub(super) const COMMAND: GrammarRule = rule(Code::InvalidValue, "a command", command);
pub(super) const NAME: GrammarRule = rule(Code::InvalidValue, "a name", name);
pub(super) const IMAGE_KEY: GrammarRule =
    rule(Code::InvalidImageName, "a name of an image spec", name);
pub(super) const IMAGE_NAME: GrammarRule =
    rule(Code::InvalidImageName, "an image name", image_name);
pub(super) const REGISTRY: GrammarRule = rule(Code::InvalidRegistry, "a registry", registry);
pub(super) const HOST: GrammarRule = rule(Code::InvalidRegistry, "a registry's host", host);
pub(super) const TAG_FORMAT: GrammarRule = rule(Code::InvalidTagFormat, "a tag format", tag_format);
pub(super) const REFERENCE: GrammarRule =
    rule(Code::InvalidReference, "an image reference", reference);
pub(super) const PLATFORM: GrammarRule = rule(Code::InvalidValue, "a platform", platform);
pub(super) const ENV_NAME: GrammarRule = rule(
    Code::InvalidValue,
    "a name of an environment variable",
    env_name,
);
pub(super) const IMAGE_ENV_NAME: GrammarRule = rule(
    Code::InvalidValue,
    "a name of an environment variable",
    image_env_name,
);
pub(super) const IMAGE_ENV: GrammarRule = rule(
    Code::InvalidValue,
    "a value of an environment variable",
    image_env,
);
pub(super) const LABEL_NAME: GrammarRule = rule(
    Code::InvalidValue,
    "a name of a label or an annotation",
    label_name,
);
pub(super) const APT_PACKAGE: GrammarRule =
    rule(Code::InvalidValue, "a Debian package", apt_package);
pub(super) const FEATURE: GrammarRule = rule(Code::InvalidValue, "a cargo feature", feature);
pub(super) const GLOB: GrammarRule = rule(Code::InvalidValue, "a pattern of files", glob);
pub(super) const SONAME: GrammarRule =
    rule(Code::InvalidValue, "a name of a shared library", soname);
pub(super) const SECRET_ID: GrammarRule = rule(Code::InvalidValue, "an id of a secret", secret_id);
pub(super) const MOUNT: GrammarRule = rule(Code::PathInvalid, "a path for a secret", mount);
pub(super) const INDEX: GrammarRule =
    rule(Code::InvalidValue, "an index of Python packages", index);
pub(super) const PYTHON_VERSION: GrammarRule =
    rule(Code::InvalidValue, "a version of Python", python_version);
pub(super) const USER: GrammarRule = rule(Code::InvalidValue, "a user", user);
pub(super) const ABSOLUTE: GrammarRule =
    rule(Code::PathInvalid, "a path inside of the image", absolute);
pub(super) const DESTINATION: GrammarRule =
    rule(Code::PathInvalid, "a path inside of the image", destination);
pub(super) const MODE: GrammarRule = rule(Code::InvalidValue, "a file mode", |text| {
    mode(text).map(drop).ok_or_else(|| {
        wrong("not 1 to 4 octal digits")
            .help("write the permission bits in octal, such as \"0644\"")
    })
});
pub(super) const QUANTITY: GrammarRule = rule(Code::InvalidValue, "a quantity", quantity);
pub(super) const GPU: GrammarRule = rule(Code::InvalidValue, "a number of accelerators", gpu);
pub(super) const SHARED_MEMORY: GrammarRule = rule(Code::InvalidValue, "a quantity", |text| {
    if text == "auto" {
        Ok(())
    } else {
        quantity(text)
    }
});

pub(super) const TASK_NAME: GrammarRule = rule(Code::InvalidValue, "a name of a task", task_name);
pub(super) const PROJECT: GrammarRule = rule(Code::InvalidValue, "a name of a project", task_name);
pub(super) const DOMAIN: GrammarRule = rule(Code::InvalidValue, "a name of a domain", task_name);
pub(super) const ENVIRONMENT: GrammarRule =
    rule(Code::InvalidValue, "a name of an environment", environment);
pub(super) const SHORT: GrammarRule = rule(Code::InvalidValue, "a short text", short);
pub(super) const LONG: GrammarRule = rule(Code::InvalidValue, "a text for the backend", long);
pub(super) const VARIABLE: GrammarRule = rule(
    Code::InvalidValue,
    "a name of an input or an output",
    variable,
);
pub(super) const ADDRESS: GrammarRule = rule(Code::InvalidValue, "an address of the web", address);
pub(super) const SECRET_ENV: GrammarRule = rule(
    Code::InvalidValue,
    "a variable that a secret can be in",
    secret_env,
);
pub(super) const OBJECT: GrammarRule = rule(Code::InvalidValue, "a name of Kubernetes", object);
pub(super) const CACHE_VERSION: GrammarRule =
    rule(Code::InvalidValue, "a version of results", |text| {
        let plain = !text.trim().is_empty() && !text.contains(char::is_control);
        ensure(plain, "is empty or has a control character")
            .map_err(|wrong| wrong.help("write `auto` or a version such as `v1`"))
    });
pub(super) const DURATION: GrammarRule = rule(Code::InvalidValue, "a duration", duration);
pub(super) const TIMEZONE: GrammarRule = rule(Code::InvalidValue, "a time zone", timezone);
pub(super) const CRON: GrammarRule = rule(Code::InvalidValue, "a schedule", cron);

fn wrong(why: impl Into<String>) -> GrammarError {
    GrammarError {
        why: why.into(),
        instead: None,
        help: None,
    }
}

impl GrammarError {
    fn instead(self, text: impl Into<String>) -> Self {
        Self {
            instead: Some(text.into()),
            ..self
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

fn ensure(holds: bool, why: &str) -> Result<(), GrammarError> {
    if holds { Ok(()) } else { Err(wrong(why)) }
}

fn text(text: &str) -> Result<(), GrammarError> {
    ensure(!text.contains('\0'), "has a zero byte")
        .map_err(|wrong| wrong.help("remove the zero byte"))
}

/// A command-line argument: it must not look like an option or contain a control character.
fn word(text: &str) -> Result<(), GrammarError> {
    let fitting =
        !text.trim().is_empty() && !text.starts_with('-') && !text.contains(char::is_control);
    ensure(
        fitting,
        "is empty, starts with a dash or has a control character",
    )
    .map_err(|wrong| wrong.help("write a plain word"))
}

fn command(text: &str) -> Result<(), GrammarError> {
    ensure(!text.trim().is_empty() && !text.contains('\0'), "is empty")
        .map_err(|wrong| wrong.help("write a shell command, or remove it"))
}

fn name(text: &str) -> Result<(), GrammarError> {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let fitting =
        text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(letters);
    ensure(
        fitting,
        "needs a letter first, then letters, digits, `-` or `_`",
    )
    .map_err(|wrong| wrong.help("start with a letter, and use letters, digits, `-` and `_`"))
}

fn env_name(text: &str) -> Result<(), GrammarError> {
    let letters =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    let fitting = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(letters);
    ensure(fitting, "not a variable's name")
        .map_err(|wrong| wrong.help("start with a letter or `_`, and use letters, digits and `_`"))
}

fn image_env_name(text: &str) -> Result<(), GrammarError> {
    env_name(text)?;
    ensure(text != "UNION_IMAGE_ID", "set by the tool")
        .map_err(|wrong| wrong.help("remove it: every image gets its own"))
}

fn image_env(value: &str) -> Result<(), GrammarError> {
    text(value)?;
    let invalid = |rest: &str| {
        wrong(format!(
            "`{}` is not a reference to a variable",
            shown(rest)
        ))
    };
    parts(value).map(drop).map_err(|rest| {
        invalid(rest)
            .help("write `$NAME` or `${NAME}` for the value of a variable, `$$` for a dollar")
    })
}

fn label_name(text: &str) -> Result<(), GrammarError> {
    let fitting = !text.is_empty()
        && !text.contains(|letter: char| {
            letter.is_control() || letter.is_whitespace() || letter == '='
        });
    ensure(fitting, "empty, or with a space")
        .map_err(|wrong| wrong.help("use letters, digits, `.`, `/`, `_` and `-`"))?;
    ensure(!text.starts_with("union."), "`union.` is the tool's own")
        .map_err(|wrong| wrong.help("choose another prefix than `union.`"))
}

/// The argument syntax of `apt-get install`: a name with a version, which may be a pattern, or with a release.
fn apt_package(text: &str) -> Result<(), GrammarError> {
    let (name, version, release) = match (text.split_once('='), text.split_once('/')) {
        (Some((name, version)), _) => (name, Some(version), None),
        (None, Some((name, release))) => (name, None, Some(release)),
        (None, None) => (text, None, None),
    };
    let (name, architecture) = name
        .split_once(':')
        .map_or((name, None), |(name, architecture)| {
            (name, Some(architecture))
        });
    let lower = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let letters = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|letter| lower(letter) || more.contains(letter))
    };
    // apt reads `+` and `-` at the end of a name as "install" and "remove".
    let fitting = name.starts_with(lower)
        && letters(name, "+.-")
        && !name.ends_with('-')
        && architecture.is_none_or(|architecture| letters(architecture, "-"))
        && version.is_none_or(|version| letters(&version.to_lowercase(), ".+~:-*?"))
        && release.is_none_or(|release| {
            letters(&release.to_lowercase(), ".-")
                && release.starts_with(|first: char| first.is_ascii_alphanumeric())
        });
    ensure(fitting, "not a package name").map_err(|wrong| {
        wrong.help("write `package`, `package:architecture`, `package=version`, such as `libpq5=17.*`, or `package/release`, such as `curl/trixie-backports`")
    })
}

fn feature(text: &str) -> Result<(), GrammarError> {
    word(text)?;
    ensure(!text.contains([',', ' ']), "more than one")
        .map_err(|wrong| wrong.help("write each feature as an entry of its own"))
}

fn glob(text: &str) -> Result<(), GrammarError> {
    let fitting = !text.is_empty() && !text.starts_with('/') && !text.contains(char::is_control);
    ensure(fitting, "is empty or absolute").map_err(|wrong| {
        wrong.help("write a pattern relative to the manifest, such as `schemas/**/*.sql`")
    })
}

fn soname(text: &str) -> Result<(), GrammarError> {
    word(text)?;
    ensure(!text.contains(['/', ' ']), "is a path")
        .map_err(|wrong| wrong.help("write the library's name, such as `libpq.so.5`"))
}

fn user(text: &str) -> Result<(), GrammarError> {
    let part = |part: &str| {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let name = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'));
        if number {
            part.parse::<i32>().is_ok()
        } else {
            name
        }
    };
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    ensure(part(user) && group.is_none_or(part), "not `user[:group]`")
        .map_err(|wrong| wrong.help("write names or numbers, such as `1000:1000`"))
}

fn absolute(path: &str) -> Result<(), GrammarError> {
    ensure(path.starts_with('/'), "is not absolute")?;
    destination(path)
}

/// A relative destination starts at the working directory.
fn destination(path: &str) -> Result<(), GrammarError> {
    ensure(!path.is_empty(), "is empty")?;
    ensure(!path.split('/').any(|part| part == ".."), "has `..` in it")?;
    ensure(!path.contains(char::is_control), "has a control character")
}

/// An id is used in a comma-separated list of mount options.
fn secret_id(text: &str) -> Result<(), GrammarError> {
    let letters =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    let fitting =
        text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(letters);
    ensure(fitting, "not an id")
        .map_err(|wrong| wrong.help("use letters, digits, `.`, `_` and `-`"))?;
    ensure(!text.starts_with("union-"), "`union-` is the tool's own")
        .map_err(|wrong| wrong.help("choose another prefix than `union-`"))
}

/// A path is used in the same mount options as the id of its secret.
fn mount(path: &str) -> Result<(), GrammarError> {
    absolute(path)?;
    let letters =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '/');
    ensure(
        path.chars().all(letters),
        "has other characters than letters, digits, `.`, `_`, `-`, `/`",
    )
}

/// The address of an index is stored in the history of the image, and so would be a password in it.
fn index(text: &str) -> Result<(), GrammarError> {
    word(text)?;
    let Some((_, rest)) = text.split_once("://") else {
        return Err(wrong("not a URL").help("write `https://host/simple`"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let with_login = "mount a `.netrc` instead: `secrets = [{ id = \"netrc\", file = \"…\" }]` and `pip-secret-mounts = { netrc = \"…/.netrc\" }`";
    ensure(
        !authority.contains('@'),
        "has a login in it, which would stay in the image's history",
    )
    .map_err(|wrong| wrong.help(with_login))
}

fn python_version(text: &str) -> Result<(), GrammarError> {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| {
        !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    ensure(
        matches!(parts.len(), 2 | 3) && parts.iter().all(digits),
        "not `MAJOR.MINOR`",
    )
    .map_err(|wrong| wrong.help("write a version such as `\"3.12\"`"))
}

/// Parses octal permission bits.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty()
        && digits.len() <= 5
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| octal && *mode <= 0o7777)
}

fn quantity(text: &str) -> Result<(), GrammarError> {
    if amount(text).is_some() {
        return Ok(());
    }
    let problem = wrong("not a Kubernetes quantity");
    Err(
        match text
            .strip_suffix(['B', 'b'])
            .filter(|short| amount(short).is_some())
        {
            Some(short) => problem.instead(short),
            None => problem.help(
                "write a number with a suffix such as `m`, `k`, `M`, `G`, `Ki`, `Mi` or `Gi`",
            ),
        },
    )
}

fn gpu(text: &str) -> Result<(), GrammarError> {
    let (kind, count) = text
        .rsplit_once(':')
        .map_or((None, text), |(kind, count)| (Some(kind), count));
    let letters =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '.' | '_' | '-');
    let named = kind.is_none_or(|kind| {
        kind.starts_with(|first: char| first.is_ascii_alphanumeric()) && kind.chars().all(letters)
    });
    let counted = count.bytes().all(|byte| byte.is_ascii_digit())
        && count.parse::<u32>().is_ok_and(|count| count > 0);
    ensure(named && counted, "not `COUNT` or `TYPE:COUNT`").map_err(|wrong| {
        wrong.help("write a number such as `1`, or one with a type such as `A100:1`")
    })
}

#[cfg(test)]
mod tests;
