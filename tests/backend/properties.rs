//! Any response of a backend or its token server is a value or an error, without a panic.

use cargo_union::flyte::idl::auth::UserInfoRequest;
use futures_util::StreamExt as _;
use proptest::prelude::*;
use union_tests::arbitrary::{bytes, cases, object, text};
use union_tests::backend::{Backend, CLIENT, Reply, SECRET, answer, frame, message, stream};

use crate::setup::{READ, Setup, WATCH};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![5 => Just(200), 1 => Just(400), 1 => Just(401), 1 => Just(503), 1 => Just(204)]
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_token_server_response_is_accepted_or_refused(
        status in status(),
        body in prop_oneof![
            4 => object(&[("access_token", "\"t\""), ("refresh_token", "\"r\""), ("error", "\"invalid_grant\""), ("error_description", "\"d\"")])
                .prop_map(|value| value.to_string()),
            1 => text(),
        ],
    ) {
        let backend = Backend::secure(move |call, _| call.is("token").then(|| Reply::status(status).body(body.clone())));
        let robot = Setup::of(&backend).env("FLYTE_ADMIN_CLIENTID", CLIENT).env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "S").env("S", SECRET);
        drop(runtime().block_on(robot.client().user()));
        let mut user = Setup::of(&backend).with_tokens(&backend, "old", "refresh");
        user.interactive = false;
        drop(runtime().block_on(user.client().user()));
    }

    #[test]
    fn any_auth_metadata_is_accepted_or_refused(metadata in prop_oneof![bytes(40), text().prop_map(|text| message(&[(3, &text), (2, &text)]))], config in bytes(40)) {
        let backend = Backend::secure(move |call, _| {
            if call.is("GetOAuth2Metadata") {
                return Some(answer(metadata.clone()));
            }
            call.is("GetPublicClientConfig").then(|| answer(config.clone()))
        });
        let robot = Setup::of(&backend).env("FLYTE_ADMIN_CLIENTID", CLIENT).env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "S").env("S", SECRET);
        drop(runtime().block_on(robot.client().user()));
    }

    #[test]
    fn any_message_and_stream_is_accepted_or_refused(status in status(), body in bytes(64), frames in proptest::collection::vec((any::<u8>(), bytes(16)), 0..4)) {
        let frames: Vec<Vec<u8>> = frames.iter().map(|(flags, payload)| frame(*flags, payload)).collect();
        let backend = Backend::plain(move |call, _| {
            Some(match call.is("Watch") {
                true => stream(&frames),
                false => Reply::status(status).with("Content-Type", "application/proto").body(body.clone()),
            })
        });
        let client = Setup::of(&backend).client();
        runtime().block_on(async {
            drop(client.unary(READ, &UserInfoRequest {}).await);
            if let Ok(messages) = client.stream(WATCH, &UserInfoRequest {}).await {
                messages.take(10).collect::<Vec<_>>().await;
            }
        });
    }
}
