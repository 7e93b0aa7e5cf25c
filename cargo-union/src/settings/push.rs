//! Options of `push`.

use union_build::diag::Code;

use super::{OptionsReader, PushOptions};
use crate::cli;
use crate::image::reference::{BaseRef, InvalidReference, Repository};
use crate::sys::error::{Error, Result};

impl OptionsReader<'_> {
    pub(super) fn push(&self, push: cli::PushArgs) -> Result<PushOptions> {
        let overrides = self.overrides(cli::OverrideArgs {
            registry_config: push.registry_config,
            ..cli::OverrideArgs::default()
        })?;
        let source = source(&push.image)?;
        Ok(PushOptions {
            target: target(&push.to, &source)?,
            source,
            replace: push.rebuild,
            signing: self.signing(push.sign_key)?,
            registry_config: overrides.named("registry-config").map(Into::into),
            cache: self.cache()?,
            cache_limit: self.cache_limit()?,
        })
    }
}

fn source(text: &str) -> Result<BaseRef> {
    text.parse().map_err(|cause: InvalidReference| {
        Error::new(Code::SettingInvalid, "could not read the image to push")
            .because(cause)
            .help("Write `REGISTRY/NAME:TAG` or `REGISTRY/NAME@sha256:DIGEST`.")
    })
}

/// The repository below a registry with the last part of the source's name, as for images that are built.
fn target(registry: &str, source: &BaseRef) -> Result<Repository> {
    let path = &source.repository.path;
    let name = path.rsplit('/').next().unwrap_or(path);
    let host = registry.split('/').next().unwrap_or_default();
    let parsed = format!("{registry}/{name}:tag").parse::<BaseRef>().ok();
    let is_same_host = |target: &BaseRef| target.repository.registry == host;
    parsed
        .filter(|target| is_same_host(target) && target.digest.is_none())
        .map(|target| target.repository)
        .ok_or_else(|| {
            Error::new(
                Code::InvalidRegistry,
                format!("invalid value for `--to`: `{registry}`"),
            )
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_target_has_the_last_part_of_the_name() {
        let pushed = |to: &str| {
            let source = source("ghcr.io/acme/team/app:v1").unwrap();
            target(to, &source).map(|target| target.to_string())
        };
        for (to, expected) in [
            ("localhost:5000", "localhost:5000/app"),
            (
                "prod.example.com/released/apps",
                "prod.example.com/released/apps/app",
            ),
            ("docker.io/acme", "docker.io/acme/app"),
        ] {
            assert_eq!(pushed(to).unwrap(), expected);
        }
        for to in [
            "",
            "acme",
            "https://ghcr.io/acme",
            "ghcr.io/Acme",
            "ghcr.io/acme/",
            "ghcr.io/acme:v1",
            "ghcr.io/acme@sha256:12",
            "a.io:99999/acme",
        ] {
            let error = pushed(to).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRegistry, "{to}");
        }
    }

    #[test]
    fn an_invalid_image_is_refused() {
        for text in [
            "",
            "https://ghcr.io/app:v1",
            "ghcr.io/app@sha256:12",
            "ghcr.io/App",
        ] {
            assert_eq!(source(text).unwrap_err().code(), Code::SettingInvalid);
        }
    }
}
