//! Creating runs: their inputs and their names.

use super::*;
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper};

#[tokio::test]
async fn inputs_are_uploaded_or_sent_with_the_run() {
    for takes_no_uploads in [false, true] {
        let fake = FakeRuns {
            takes_no_uploads,
            ..FakeRuns::default()
        };
        let task = TaskVersion {
            scope: run().scope,
            name: "train".to_owned(),
            version: "v1".to_owned(),
        };
        let order = RunRequest {
            run: run(),
            task,
            inputs: Vec::new(),
            queue: "gpu".to_owned(),
            cache: CacheOptions::default(),
        };
        create(&fake, &order).await.unwrap();
        let request = lock(&fake.created).remove(0);
        assert_eq!(request.id, Some(Id::RunId(run().id())));
        assert_eq!(request.run_spec.unwrap().queue, "gpu");
        assert_eq!(
            matches!(request.input_wrapper, Some(InputWrapper::Inputs(_))),
            takes_no_uploads
        );
    }
}

#[test]
fn run_name_is_a_unique_dns_label() {
    let first = new_name().unwrap();
    let second = new_name().unwrap();
    assert_ne!(first, second);
    assert!(
        first.len() == 20
            && first.starts_with('u')
            && first
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
        "{first}"
    );
}
