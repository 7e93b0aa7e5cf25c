//! A login in a browser anywhere: the user types a code there, and we ask until that was done.

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
/// How long a code counts when the server does not say: as long as servers usually say.
const EXPIRES: Duration = Duration::from_secs(600);
/// Nobody waits longer for a user than this, whatever the server says.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long to wait between two questions when the server does not say (RFC 8628, section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The least and the most time between two questions, whatever the server says.
const SHORTEST: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(60);
/// How much longer to wait when the server says that this was too soon.
const SLOWER: Duration = Duration::from_secs(5);

/// No `Debug`: it holds a secret.
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
    line: &ConnectTransport,
    authority: &AuthorizationServer,
    proxy: &HeaderMap,
    reporter: &dyn Reporter,
) -> Result<Tokens, RpcFailure> {
    if authority.device.is_empty() {
        let cause = format!("{} offers no login on another device", authority.told_by);
        return Err(RpcFailure::new(Code::LoginFailed, cause).help("Choose another `admin.authType`."));
    }
    let form = TokenForm::new(line, checked(line, &authority.device, "device authorization")?, proxy);
    let asked = form.field("client_id", &authority.client_id).field("scope", &authority.scope).field("audience", &authority.audience);
    let code: DeviceCode = asked.send().await?.map_err(|denied: OAuthError| denied.into_failure(&authority.token))?;
    let address = code.verification_uri_complete.as_deref().unwrap_or(&code.verification_uri);
    reporter.visit(&LoginPrompt { address, code: Some(&code.user_code), opened: false });
    let expires = seconds(code.expires_in.as_ref(), EXPIRES).min(LONGEST);
    let end = Instant::now() + expires;
    let mut interval = seconds(code.interval.as_ref(), INTERVAL).clamp(SHORTEST, SLOWEST);
    while Instant::now() < end {
        tokio::time::sleep(interval).await;
        let form = TokenForm::grant(line, authority, proxy, GRANT).field("client_id", &authority.client_id);
        let form = form.field("device_code", &code.device_code).field("scope", &authority.scope).field("audience", &authority.audience);
        match form.tokens().await {
            Ok(Ok(tokens)) => return Ok(tokens),
            Ok(Err(denied)) => interval = after(&denied.error, interval).ok_or_else(|| denied.into_failure(&authority.token))?,
            // The way to the server falters, not the user.
            Err(failure) if failure.is_transient() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(RpcFailure::new(Code::LoginFailed, format!("nobody has approved the code in {} seconds", expires.as_secs())))
}

/// A span of time as servers say it: a number, also with a fraction, or one in quotes. What is no span is not said.
fn seconds(said: Option<&serde_json::Value>, otherwise: Duration) -> Duration {
    let number = said.and_then(|said| said.as_f64().or_else(|| said.as_str()?.trim().parse().ok()));
    match number.filter(|number| *number >= 0.0) {
        Some(number) => Duration::try_from_secs_f64(number).unwrap_or(LONGEST),
        None => otherwise,
    }
}

/// How long to wait before the next question; `None` when there is none to ask.
fn after(error: &str, interval: Duration) -> Option<Duration> {
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
    fn spans_of_time_are_taken_as_servers_write_them_and_odd_ones_do_no_harm() {
        let other = Duration::from_secs(7);
        let read = |said: serde_json::Value| seconds(Some(&said), other);
        assert_eq!([read(json!(600)), read(json!("600")), read(json!(600.0))], [Duration::from_secs(600); 3]);
        assert_eq!(read(json!(0.25)), Duration::from_millis(250));
        for none in [json!(null), json!(-1), json!("soon"), json!("NaN"), json!([600]), json!({}), json!(true)] {
            assert_eq!(read(none.clone()), other, "{none}");
        }
        assert_eq!(seconds(None, other), other);
        for huge in [json!(u64::MAX), json!(1e300), json!("inf")] {
            assert_eq!(read(huge.clone()).min(LONGEST), LONGEST, "{huge}");
        }
    }

    #[test]
    fn who_asks_too_often_waits_longer_and_a_denial_is_final() {
        let second = Duration::from_secs(1);
        assert_eq!(after("authorization_pending", second), Some(second));
        assert_eq!(after("slow_down", second), Some(Duration::from_secs(6)));
        for denial in ["access_denied", "expired_token", "invalid_client"] {
            assert_eq!(after(denial, second), None, "{denial}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_answer_is_a_code_or_none(answer in union_tests::arbitrary::object(&[
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
