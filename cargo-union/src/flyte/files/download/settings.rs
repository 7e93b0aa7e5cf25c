//! Where a store is, and the login for it, from the variables that the official SDK and the tools of AWS read.

use union_build::diag::Code;

use super::sign::{StoreLogin, encoded};
use crate::http::Url;
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;
use crate::sys::secret::Secret;

/// Settings of stores with the API of S3.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The endpoint that the user has set; `None` is AWS.
    endpoint: Option<Url>,
    pub(super) region: String,
    /// Without a login, requests are not signed.
    pub(super) login: Option<StoreLogin>,
    /// Whether the bucket is a part of the host's name; `None` when it is not set.
    is_virtual: Option<bool>,
}

impl StoreSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// U0008 (`SettingInvalid`) for an endpoint that is no address.
    pub fn of(environment: &Environment) -> Result<Self> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = environment.get(name).filter(|value| !value.is_empty())?;
                Some((*name, value.to_owned()))
            })
        };
        let value = |name| first(&[name]).map(|(_, value)| value);
        let login = |id, secret, session: Option<&'static str>| {
            Some(StoreLogin {
                id: value(id)?,
                secret: Secret::new(value(secret)?),
                session: session.and_then(value).map(Secret::new),
            })
        };
        let endpoint = first(&[
            "FLYTE_AWS_ENDPOINT",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL",
        ]);
        let endpoint = endpoint.map(|(name, value)| {
            Url::parse(&value)
                .ok()
                .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"))
                .ok_or_else(|| {
                    Error::new(Code::SettingInvalid, format!("{name} is not valid"))
                        .because("it should be an address such as `http://localhost:4566`")
                })
        });
        Ok(Self {
            endpoint: endpoint.transpose()?,
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
                .map_or_else(|| "us-east-1".to_owned(), |(_, region)| region),
            login: login(
                "FLYTE_AWS_ACCESS_KEY_ID",
                "FLYTE_AWS_SECRET_ACCESS_KEY",
                None,
            )
            .or_else(|| {
                login(
                    "AWS_ACCESS_KEY_ID",
                    "AWS_SECRET_ACCESS_KEY",
                    Some("AWS_SESSION_TOKEN"),
                )
            }),
            is_virtual: value("FLYTE_AWS_S3_ADDRESSING_STYLE").map(|style| style == "virtual"),
        })
    }

    /// The URL of an object; of the bucket itself with an empty key. `None` when the bucket's name fits no URL.
    pub(super) fn url(&self, bucket: &str, key: &str) -> Option<Url> {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if bucket.is_empty() || !bucket.bytes().all(is_plain) || bucket.starts_with('.') {
            return None;
        }
        // A wildcard certificate does not match bucket names with dots.
        let is_virtual = self
            .is_virtual
            .unwrap_or(self.endpoint.is_none() && !bucket.contains('.'));
        let mut url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                let domain = if self.region.starts_with("cn-") {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                Url::parse(&format!("https://s3.{}.{domain}/", self.region)).ok()?
            }
        };
        let base = url.path().trim_end_matches('/').to_owned();
        let key = encoded(key, true);
        if is_virtual {
            let host = format!("{bucket}.{}", url.host_str()?);
            url.set_host(Some(&host)).ok()?;
            url.set_path(&format!("{base}/{key}"));
        } else if key.is_empty() {
            url.set_path(&format!("{base}/{bucket}"));
        } else {
            url.set_path(&format!("{base}/{bucket}/{key}"));
        }
        Some(url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<StoreSettings> {
        let mut environment = Environment::default();
        for (name, value) in variables {
            environment.set(*name, *value);
        }
        StoreSettings::of(&environment)
    }

    fn url(variables: &[(&str, &str)], bucket: &str, key: &str) -> Option<String> {
        let url = settings(variables).unwrap().url(bucket, key)?;
        Some(url.to_string())
    }

    #[test]
    fn address_of_an_object_is_of_aws_or_of_the_endpoint() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            url(&[("AWS_REGION", "eu-west-1")], "b", "a/b c"),
            some("https://b.s3.eu-west-1.amazonaws.com/a/b%20c")
        );
        assert_eq!(
            url(&[], "b.c", "a"),
            some("https://s3.us-east-1.amazonaws.com/b.c/a")
        );
        let local = ("FLYTE_AWS_ENDPOINT", "http://localhost:4566");
        assert_eq!(
            url(&[local], "b", "a?/%"),
            some("http://localhost:4566/b/a%3F/%25")
        );
        assert_eq!(url(&[local], "b", ""), some("http://localhost:4566/b"));
        assert_eq!(
            url(
                &[local, ("FLYTE_AWS_S3_ADDRESSING_STYLE", "virtual")],
                "b",
                "a"
            ),
            some("http://b.localhost:4566/a")
        );
        for bucket in ["", "a@b", "a/b", "..", "a#b"] {
            assert_eq!(url(&[], bucket, "a"), None, "{bucket}");
        }
    }

    #[test]
    fn flyte_credentials_precede_aws_credentials_and_are_not_mixed() {
        let id = |variables: &[(&str, &str)]| {
            let login = settings(variables).unwrap().login?;
            Some((login.id, login.session.is_some()))
        };
        let aws = [
            ("AWS_ACCESS_KEY_ID", "aws"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", "t"),
        ];
        let flyte = [
            ("FLYTE_AWS_ACCESS_KEY_ID", "flyte"),
            ("FLYTE_AWS_SECRET_ACCESS_KEY", "s"),
        ];
        assert_eq!(id(&aws), Some(("aws".to_owned(), true)));
        assert_eq!(
            id(&[&aws[..], &flyte].concat()),
            Some(("flyte".to_owned(), false))
        );
        assert_eq!(
            id(&[&aws[..], &flyte[..1]].concat()),
            Some(("aws".to_owned(), true))
        );
        assert_eq!(id(&aws[..1]), None);
    }

    #[test]
    fn invalid_store_endpoint_is_an_error() {
        for endpoint in ["localhost:4566", "ftp://a", "http://"] {
            let error = settings(&[("AWS_ENDPOINT_URL", endpoint)]).unwrap_err();
            assert_eq!(error.code(), Code::SettingInvalid, "{endpoint}");
        }
    }
}
