//! Versions: derived, chosen and repeated.

use super::*;

#[tokio::test]
async fn same_content_is_registered_once() {
    let fixture = Fixture::new();
    let (state, version) = fixture.register("retries = 1").await;
    assert_eq!(
        (state, version.len(), fixture.backend.writes()),
        (RegistrationAction::New, 26, 1)
    );
    assert_eq!(
        fixture.register("retries = 1").await,
        (RegistrationAction::Unchanged, version.clone())
    );
    assert_eq!(fixture.backend.writes(), 1);
    let (state, other) = fixture.register("retries = 2").await;
    assert_eq!(
        (state, fixture.backend.writes()),
        (RegistrationAction::Updated, 2)
    );
    assert_ne!(other, version);
}

#[tokio::test]
async fn reverted_content_is_registered_as_a_repetition() {
    let fixture = Fixture::new();
    let (_, first) = fixture.register("retries = 1").await;
    let (_, second) = fixture.register("retries = 2").await;
    assert_eq!(
        fixture.register("retries = 1").await,
        (RegistrationAction::Again, format!("{first}-2"))
    );
    assert_eq!(
        fixture.register("retries = 1").await,
        (RegistrationAction::Unchanged, format!("{first}-2"))
    );
    assert_eq!(
        fixture.register("retries = 2").await,
        (RegistrationAction::Again, format!("{second}-2"))
    );
    assert_eq!(
        fixture.register("retries = 1").await,
        (RegistrationAction::Again, format!("{first}-3"))
    );
    assert_eq!(fixture.backend.writes(), 5);
}

#[tokio::test]
async fn search_for_a_free_repetition_is_bounded() {
    let fixture = Fixture::new();
    let (_, first) = fixture.register("retries = 1").await;
    let request = fixture.backend.tasks.lock().unwrap()[0].clone();
    for repetition in 2..=MOST_REPETITIONS {
        let mut repeated = request.clone();
        let version = format!("{first}-{repetition}");
        repeated
            .task_id
            .as_mut()
            .unwrap()
            .version
            .clone_from(&version);
        repeated
            .spec
            .as_mut()
            .unwrap()
            .task_template
            .as_mut()
            .unwrap()
            .id
            .as_mut()
            .unwrap()
            .version = version;
        fixture.backend.tasks.lock().unwrap().push(repeated);
    }
    assert_eq!(
        fixture.register("retries = 1").await,
        (
            RegistrationAction::Unchanged,
            format!("{first}-{MOST_REPETITIONS}")
        )
    );
    fixture.register("retries = 2").await;
    let error = fixture.decide("retries = 1").await.unwrap_err();
    assert_eq!(error.code(), Code::VersionTaken);
    assert!(
        error
            .chain()
            .join(": ")
            .contains(&format!("up to `{first}-{MOST_REPETITIONS}`")),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn chosen_version_is_not_repeated_when_it_is_not_the_latest() {
    let mut fixture = Fixture {
        version: Some("v1"),
        ..Fixture::new()
    };
    fixture.register("").await;
    fixture.version = Some("v2");
    fixture.register("retries = 1").await;
    fixture.version = Some("v1");
    let decision = fixture.decide("").await.unwrap();
    assert_eq!(
        (decision.state, decision.latest.as_deref()),
        (RegistrationAction::Unchanged, Some("v2"))
    );
}

#[tokio::test]
async fn repeated_version_is_limited_in_length() {
    // Only a chosen version can be this long, but it is never repeated, so the limit is tested directly.
    let task = declared("");
    let interface = Interface::default();
    let subject = TaskSource::plain(&task, &interface);
    let version = TaskVersionHash {
        text: "a".repeat(62),
        derived: true,
    };
    let backend = FakeBackend::default();
    let context = RegistrationContext {
        backend: &backend,
        kind: BackendKind::Flyte2,
        subject: &subject,
        scope: &ProjectDomain::default(),
        version: &version,
        replace: false,
    };
    assert_eq!(
        context.repeat_version(2).unwrap_err().code(),
        Code::VersionInvalid
    );
}

#[test]
fn derived_version_is_stable_and_changes_with_the_declaration() {
    let interface = Interface::default();
    let version = |lines: &str, image: &str, name: &str| {
        let task = declared(lines);
        TaskVersionHash::of([&TaskSource {
            name: name.to_owned(),
            image: image.to_owned(),
            ..TaskSource::plain(&task, &interface)
        }])
        .text
    };
    let known = version("retries = 1", "r/app:tag", "app");
    assert_eq!(known, version("retries = 1 # the same", "r/app:tag", "app"));
    for (lines, image, name) in [
        ("retries = 2", "r/app:tag", "app"),
        ("retries = 1", "r/app:gat", "app"),
        ("retries = 1", "r/app:tag", "b"),
    ] {
        assert_ne!(known, version(lines, image, name), "{lines} {image} {name}");
    }
    // The types of a `rust` task are not known, but the values of its triggers are part of the version.
    let given = |value: u8| {
        format!(
            "kind = \"container\"\ninputs.x = \"integer\"\ntriggers.t = {{ every = \"1h\", inputs = {{ x = {value} }} }}"
        )
    };
    assert_ne!(
        version(&given(1), "r/app:tag", "app"),
        version(&given(2), "r/app:tag", "app")
    );
}
