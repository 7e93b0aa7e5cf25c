#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn causes_of_waiting_have_codes_and_all_have_advice() {
    let code = |text: &str| RunCause::of(text).unwrap().code().map(|code| code.as_str());
    for (text, expected) in [
        ("Back-off pulling image", Some("U0821")),
        ("FailedScheduling", Some("U0822")),
        ("exceeded quota", Some("U0823")),
        ("webhook denied", Some("U0824")),
        ("secret not found", Some("U0825")),
        ("CrashLoopBackOff", Some("U0826")),
        ("OOMKilled", None),
        ("instance credential", None),
    ] {
        assert_eq!(code(text), expected, "{text}");
        assert!(RunCause::of(text).unwrap().advice().ends_with('.'));
    }
}

#[test]
fn causes_are_recognised_in_texts_of_the_cluster() {
    use PullProblem::{Login, Missing, Network, Unknown};
    for (text, cause) in [
        (
            "Failed: Failed to pull image \"reg.test/a@sha256:00\": rpc error: code = NotFound desc = reg.test/a: not found",
            RunCause::Image(Missing),
        ),
        (
            "Failed: Failed to pull image \"reg.test/a\": failed to authorize: 401 Unauthorized",
            RunCause::Image(Login),
        ),
        (
            "Failed: failed to pull and unpack image: dial tcp: lookup reg.test: no such host",
            RunCause::Image(Network),
        ),
        (
            "BackOff: Back-off pulling image \"reg.test/a\"",
            RunCause::Image(Unknown),
        ),
        ("Failed: Error: ImagePullBackOff", RunCause::Image(Unknown)),
        (
            "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
            RunCause::Unschedulable,
        ),
        (
            "FailedCreate: pods \"a\" is forbidden: exceeded quota: compute, requested: cpu=64",
            RunCause::Quota,
        ),
        (
            "admission webhook \"policy.test\" denied the request: no latest tags",
            RunCause::Webhook,
        ),
        (
            "admission webhook \"flyte-pod-webhook.flyte.org\" denied the request: none of the secret managers injected secret [key:\"a\"]",
            RunCause::Secret,
        ),
        (
            "FailedMount: MountVolume.SetUp failed for volume \"a\": secret \"a\" not found",
            RunCause::Secret,
        ),
        (
            "BackOff: Back-off restarting failed container a in pod b",
            RunCause::Restarts,
        ),
        ("OOMKilled: exit code 137", RunCause::Memory),
        (
            "an error occurred while loading an instance credential provider",
            RunCause::ObjectStore,
        ),
        (
            "object_store: response error 403 Forbidden",
            RunCause::ObjectStore,
        ),
    ] {
        assert_eq!(RunCause::of(text), Some(cause), "{text}");
    }
    for text in [
        "Pulling: Pulling image \"a\"",
        "Scheduled: Successfully assigned a to node",
        "boom",
        "line 403 is wrong",
    ] {
        assert_eq!(RunCause::of(text), None, "{text}");
    }
}
