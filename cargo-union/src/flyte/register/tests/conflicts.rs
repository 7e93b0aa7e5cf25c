//! Differences from what is registered, and refusals.

use super::*;
use crate::flyte::convert::deploy_task;

#[tokio::test]
async fn other_content_under_a_version_is_refused_unless_replaced() {
    let mut fixture = Fixture {
        version: Some("v1"),
        ..Fixture::new()
    };
    assert_eq!(
        fixture.register("retries = 1").await.0,
        RegistrationAction::New
    );
    let error = fixture
        .decide("retries = 2\nenv = { A = \"b\" }")
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::VersionTaken);
    let why = error.chain()[1].clone();
    assert!(
        why.contains("`metadata.retries.retries` is 1 there and 2 here"),
        "{why}"
    );
    assert!(why.contains("`container.env` is nothing there"), "{why}");
    assert_eq!(
        fixture.decide("").await.unwrap_err().code(),
        Code::VersionTaken,
        "what is gone is a difference as well"
    );
    fixture.replace = true;
    assert_eq!(
        fixture.register("retries = 2").await,
        (RegistrationAction::Replaced, "v1".to_owned())
    );
    assert_eq!(
        fixture.register("retries = 2").await.0,
        RegistrationAction::Unchanged
    );
}

#[tokio::test]
async fn other_image_under_a_derived_version_is_refused() {
    let mut fixture = Fixture::new();
    fixture.register("").await;
    fixture.image = "r/app@sha256:2";
    let error = fixture.decide("").await.unwrap_err();
    assert_eq!(error.code(), Code::VersionTaken);
    assert!(
        error.chain()[1].contains("`container.image` is \"r/app@sha256:1\" there"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn changed_trigger_is_a_difference() {
    let trigger = |minutes: u32| format!("triggers.t.every = \"{minutes}m\"");
    let mut fixture = Fixture::new();
    fixture.register(&trigger(1)).await;
    assert_eq!(
        fixture.register(&trigger(1)).await.0,
        RegistrationAction::Unchanged
    );
    assert_eq!(
        fixture.register(&trigger(2)).await.0,
        RegistrationAction::Updated
    );
    fixture.version = Some("v1");
    fixture.register(&trigger(1)).await;
    let error = fixture.decide(&trigger(2)).await.unwrap_err();
    assert!(
        error.code() == Code::VersionTaken
            && error.chain()[1].contains("`metadata.tags.union.trigger.t`"),
        "{:?}",
        error.chain()
    );
    let decision = fixture.decide("retries = 1\n").await;
    assert_eq!(decision.unwrap_err().code(), Code::VersionTaken);
}

#[tokio::test]
async fn task_name_of_another_environment_is_refused() {
    let fixture = Fixture::new();
    fixture.register("environment = \"theirs\"").await;
    let error = fixture.decide("").await.unwrap_err();
    assert_eq!(error.code(), Code::EnvironmentTaken);
    assert!(
        error.chain()[1].contains("in the environment `theirs`, and this one is of `app_env`"),
        "{:?}",
        error.chain()
    );
    assert_eq!(fixture.backend.writes(), 1);
}

#[tokio::test]
async fn registration_failure_names_the_task_and_the_reason() {
    let fixture = Fixture {
        backend: FakeBackend {
            refuses: Some("app"),
            ..FakeBackend::default()
        },
        ..Fixture::new()
    };
    let decision = fixture.decide("").await.unwrap();
    let error = apply_registration(&fixture.backend, &decision)
        .await
        .unwrap_err();
    assert_eq!(
        error.chain(),
        ["could not register the task `app`", "it refuses"]
    );
}

#[tokio::test]
async fn fields_added_by_the_backend_are_ignored_for_derived_versions() {
    let task = declared("retries = 1");
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource::plain(&task, &interface);
    let declared_spec = deploy_task(&subject, &ProjectDomain::default(), "v1")
        .spec
        .unwrap();
    let mut registered = declared_spec.clone();
    registered
        .task_template
        .as_mut()
        .unwrap()
        .metadata
        .as_mut()
        .unwrap()
        .pod_template_name = "filled-in".to_owned();
    assert_eq!(differences::between(&declared_spec, &registered, true), []);
    let strict: Vec<String> = differences::between(&declared_spec, &registered, false)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        strict,
        ["`metadata.podTemplateName` is \"filled-in\" there and nothing here"]
    );
}

#[tokio::test]
async fn unknown_project_or_domain_lists_the_known_ones() {
    use crate::flyte::project::check;
    let backend = FakeBackend {
        projects: vec![
            ("flytesnacks", vec!["development", "production"]),
            ("other", vec![]),
        ],
        ..FakeBackend::default()
    };
    let scope = |project: &str, domain: &str| ProjectDomain {
        org: String::new(),
        project: project.to_owned(),
        domain: domain.to_owned(),
    };
    check(&backend, &scope("flytesnacks", "development"))
        .await
        .unwrap();
    check(&backend, &scope("other", "anything")).await.unwrap();
    let error = check(&backend, &scope("flytesnack", "development"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.advice()),
        (
            Code::ProjectUnknown,
            "Did you mean `flytesnacks`? There is `flytesnacks`, `other`."
        )
    );
    let error = check(&backend, &scope("flytesnacks", "staging"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.advice()),
        (Code::DomainUnknown, "There is `development`, `production`.")
    );
    let error = check(&FakeBackend::default(), &scope("a", "b"))
        .await
        .unwrap_err();
    assert_eq!(error.advice(), "No project is visible to you.");
}
