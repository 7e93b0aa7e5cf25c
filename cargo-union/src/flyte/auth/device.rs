//! Login on another device by the device authorization grant (RFC 8628): the user enters a code in any browser.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use union_build::diag::Code;

use super::discovery::{AuthorizationServer, checked};
use super::oauth::{OAuthError, TokenForm};
use super::tokens::Tokens;
use crate::flyte::rpc::{ConnectTransport, RpcFailure};
use crate::flyte::{LoginPrompt, Reporter};
use crate::http::header::HeaderMap;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The lifetime of a code when the server does not state it; a usual value.
const EXPIRES: Duration = Duration::from_secs(600);
/// The upper limit of the lifetime.
const LONGEST: Duration = Duration::from_secs(3600);
/// The polling interval when the server does not state it (RFC 8628, section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The lower and upper limits of the polling interval.
const SHORTEST: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(60);
/// The increase of the polling interval after `slow_down` (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

// No `Debug`: it contains a secret.
#[derive(Deserialize)]
struct DeviceCode {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    #[serde(default)]
    interval: Option<serde_json::Value>,
}

pub(super) async fn log_in(
    connection: &ConnectTransport,
    authority: &AuthorizationServer,
    proxy: &HeaderMap,
    reporter: &dyn Reporter,
) -> Result<Tokens, RpcFailure> {
    if authority.device.is_empty() {
        let cause = format!(
            "{} offers no login on another device",
            authority.backend_host
        );
        return Err(
            RpcFailure::new(Code::LoginFailed, cause).help("Choose another `admin.authType`.")
        );
    }
    let form = TokenForm::new(
        connection,
        checked(connection, &authority.device, "device authorization")?,
        proxy,
    );
    let form = form
        .field("client_id", &authority.client_id)
        .field("scope", &authority.scope)
        .field("audience", &authority.audience);
    let code: DeviceCode = form
        .send()
        .await?
        .map_err(|denied: OAuthError| denied.into_failure(&authority.token))?;
    let address = code
        .verification_uri_complete
        .as_deref()
        .unwrap_or(&code.verification_uri);
    reporter.login_required(&LoginPrompt {
        address,
        code: Some(&code.user_code),
        opened: false,
    });
    let expires = seconds(code.expires_in.as_ref(), EXPIRES).min(LONGEST);
    let end = Instant::now() + expires;
    let mut interval = seconds(code.interval.as_ref(), INTERVAL).clamp(SHORTEST, SLOWEST);
    while Instant::now() < end {
        tokio::time::sleep(interval).await;
        let form = TokenForm::grant(connection, authority, proxy, GRANT)
            .field("client_id", &authority.client_id);
        let form = form
            .field("device_code", &code.device_code)
            .field("scope", &authority.scope)
            .field("audience", &authority.audience);
        match form.tokens().await {
            Ok(Ok(tokens)) => return Ok(tokens),
            Ok(Err(denied)) => {
                interval = next_interval(&denied.error, interval)
                    .ok_or_else(|| denied.into_failure(&authority.token))?
            }
            // A transient failure of the connection does not end the login.
            Err(failure) if failure.is_transient() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(RpcFailure::new(
        Code::LoginFailed,
        format!(
            "the code was not approved within {} seconds",
            expires.as_secs()
        ),
    ))
}

/// A number of seconds as servers write it: an integer, a fraction, or either in quotes. Invalid values count as absent.
fn seconds(value: Option<&serde_json::Value>, default: Duration) -> Duration {
    let number = value.and_then(|value| {
        value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())
    });
    match number.filter(|number| *number >= 0.0) {
        Some(number) => Duration::try_from_secs_f64(number).unwrap_or(LONGEST),
        None => default,
    }
}

/// The next polling interval after an error; `None` when the error is final.
fn next_interval(error: &str, interval: Duration) -> Option<Duration> {
    match error {
        "authorization_pending" => Some(interval),
        "slow_down" => Some((interval + SLOWER).min(SLOWEST)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_accept_numbers_and_strings_and_ignore_invalid_values() {
        let other = Duration::from_secs(7);
        let read = |value: serde_json::Value| seconds(Some(&value), other);
        assert_eq!(
            [read(json!(600)), read(json!("600")), read(json!(600.0))],
            [Duration::from_secs(600); 3]
        );
        assert_eq!(read(json!(0.25)), Duration::from_millis(250));
        for invalid in [
            json!(null),
            json!(-1),
            json!("soon"),
            json!("NaN"),
            json!([600]),
            json!({}),
            json!(true),
        ] {
            assert_eq!(read(invalid.clone()), other, "{invalid}");
        }
        assert_eq!(seconds(None, other), other);
        for huge in [json!(u64::MAX), json!(1e300), json!("inf")] {
            assert_eq!(read(huge.clone()).min(LONGEST), LONGEST, "{huge}");
        }
    }

    #[test]
    fn slow_down_increases_the_interval_and_a_denial_is_final() {
        let second = Duration::from_secs(1);
        assert_eq!(next_interval("authorization_pending", second), Some(second));
        assert_eq!(
            next_interval("slow_down", second),
            Some(Duration::from_secs(6))
        );
        for denial in ["access_denied", "expired_token", "invalid_client"] {
            assert_eq!(next_interval(denial, second), None, "{denial}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_responses_are_a_device_code_or_refused(answer in union_tests::arbitrary::object(&[
            ("device_code", "\"secret\""), ("user_code", "\"A-B\""), ("verification_uri", "\"https://a.test/b\""), ("expires_in", "600"), ("interval", "5"),
        ])) {
            if let Ok(code) = serde_json::from_value::<DeviceCode>(answer) {
                let expires = seconds(code.expires_in.as_ref(), EXPIRES).min(LONGEST);
                let interval = seconds(code.interval.as_ref(), INTERVAL).clamp(SHORTEST, SLOWEST);
                proptest::prop_assert!(Instant::now() + expires + (interval + SLOWER) > Instant::now());
            }
        }
    }
}
