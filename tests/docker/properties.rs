//! Any response of an engine is a value or an error, without a panic.

use cargo_union::engine::{ContainerOptions, EngineLocator};
use proptest::prelude::*;
use serde_json::Value;
use union_tests::arbitrary::{cases, object, spoiled, text};
use union_tests::http::{Reply, Server};

fn version() -> impl Strategy<Value = Value> {
    object(&[
        ("ApiVersion", "\"1.41\""),
        ("MinAPIVersion", "\"1.12\""),
        ("Os", "\"linux\""),
        ("Arch", "\"amd64\""),
        (
            "Components",
            "[{\"Name\":\"Podman Engine\",\"Version\":\"4.3.1\"}]",
        ),
    ])
}

fn image() -> impl Strategy<Value = Value> {
    object(&[
        (
            "Id",
            "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
        ),
        (
            "RootFS",
            "{\"Type\":\"layers\",\"Layers\":[\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"]}",
        ),
        (
            "Config",
            "{\"User\":\"1000\",\"Labels\":{\"union.key\":\"k\"}}",
        ),
        ("SecurityOptions", "[\"name=rootless\"]"),
        ("Warnings", "[]"),
        ("StatusCode", "3"),
        ("Error", "{\"Message\":\"no\"}"),
    ])
}

fn answer() -> impl Strategy<Value = (u16, String)> {
    let body = prop_oneof![
        4 => image().prop_map(|value| value.to_string()),
        1 => image().prop_map(|value| format!("[{value}]")),
        1 => text(),
        1 => spoiled("{\"Id\":\"sha256:00\",\"message\":\"m\"}"),
    ];
    (
        prop_oneof![5 => Just(200), 2 => Just(201), 1 => Just(404), 1 => Just(500), 1 => Just(101)],
        body,
    )
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_engine_response_is_accepted_or_refused(version in prop_oneof![4 => version(), 1 => image()], (status, body) in answer()) {
        let version = version.to_string();
        let server = Server::start(move |request, incoming| {
            incoming.read(usize::MAX);
            let greets = request.path.ends_with("/version") || request.path.ends_with("/_ping");
            let (status, body) = if greets { (200, version.clone()) } else { (status, body.clone()) };
            Reply::status(status).with("Content-Type", "application/json").body(body)
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let engines = EngineLocator::at([format!("tcp://{}", server.host())]);
            let Ok(engine) = engines.engine().await else { return };
            drop((engine.inspect("a:b").await, engine.is_rootless().await, engine.tag("a", "b", "c").await));
            if let Ok(container) = engine.container(&ContainerOptions { name: "a".to_owned(), image: "b".to_owned(), ..ContainerOptions::default() }).await {
                drop(container.run(|_, _| {}).await);
            }
        });
    }
}
