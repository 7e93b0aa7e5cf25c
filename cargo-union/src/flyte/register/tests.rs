#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::*;
use crate::flyte::backend::fake::FakeBackend;
use crate::flyte::convert::deploy_task;
use crate::flyte::interface::Interface;
use crate::flyte::triggers::TriggerSummary;

fn declared(lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!("[package.metadata.union.tasks.app]\n{lines}\n"),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        binaries: vec!["app".to_owned()],
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// A registration against a backend.
#[derive(Default)]
struct Fixture {
    backend: FakeBackend,
    image: &'static str,
    version: Option<&'static str>,
    replace: bool,
}

impl Fixture {
    fn new() -> Self {
        Self {
            image: "r/app@sha256:1",
            ..Self::default()
        }
    }

    async fn decide(&self, lines: &str) -> Result<RegistrationPlan> {
        let task = declared(lines);
        let interface = Interface::of_manifest(&task);
        let subject = TaskSource {
            image: self.image.to_owned(),
            ..TaskSource::plain(&task, &interface)
        };
        let scope = ProjectDomain {
            org: "acme".to_owned(),
            project: "p".to_owned(),
            domain: "d".to_owned(),
        };
        let version = match self.version {
            Some(text) => TaskVersionHash::chosen(text)?,
            None => TaskVersionHash::of([&TaskSource {
                image: "r/app:tag".to_owned(),
                ..subject.clone()
            }]),
        };
        plan_registration(&self.backend, &subject, &scope, &version, self.replace).await
    }

    /// Registers the task; returns the action and the version.
    async fn register(&self, lines: &str) -> (RegistrationAction, String) {
        let decision = self.decide(lines).await.unwrap();
        apply_registration(&self.backend, &decision).await.unwrap();
        (decision.state, decision.version)
    }
}

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

impl Fixture {
    /// The names of the active triggers.
    fn active(&self) -> Vec<String> {
        let triggers = self.backend.triggers.lock().unwrap();
        let active = triggers.values().filter(|(trigger, _)| trigger.active);
        active.map(|(trigger, _)| trigger.name.clone()).collect()
    }
}

#[tokio::test]
async fn triggers_that_are_no_longer_declared_are_deactivated() {
    let fixture = Fixture::new();
    fixture
        .register("triggers.a.every = \"1h\"\ntriggers.b.every = \"1h\"")
        .await;
    assert_eq!(fixture.active(), ["a", "b"]);
    fixture.register("triggers.b.every = \"2h\"").await;
    assert_eq!(fixture.active(), ["b"]);
    let decision = fixture.decide("retries = 1").await.unwrap();
    let names = |triggers: &[TriggerSummary]| {
        let names = triggers.iter().map(|trigger| trigger.name.clone());
        names.collect::<Vec<String>>()
    };
    assert_eq!(names(&decision.undeclared.ours), ["b"]);
    apply_registration(&fixture.backend, &decision)
        .await
        .unwrap();
    assert_eq!(fixture.active(), [""; 0]);
    // Nothing is left to do, and a trigger that is declared again is active again.
    let (state, _) = fixture.register("retries = 1").await;
    assert_eq!(state, RegistrationAction::Unchanged);
    fixture.register("triggers.a.every = \"1h\"").await;
    assert_eq!(fixture.active(), ["a"]);
}

#[tokio::test]
async fn interrupted_deactivation_is_completed_by_the_next_registration() {
    let fixture = Fixture::new();
    fixture.register("triggers.a.every = \"1h\"").await;
    let decision = fixture.decide("retries = 1").await.unwrap();
    fixture.backend.deploy(&decision.request).await.unwrap();
    assert_eq!(fixture.active(), ["a"]);
    let (state, _) = fixture.register("retries = 1").await;
    assert_eq!(state, RegistrationAction::Unchanged);
    assert_eq!(fixture.active(), [""; 0]);
}

#[tokio::test]
async fn trigger_created_by_hand_stays_active() {
    let fixture = Fixture::new();
    let (_, version) = fixture.register("triggers.a.every = \"1h\"").await;
    let by_hand = TriggerSummary {
        name: "by-hand".to_owned(),
        task: "app".to_owned(),
        active: true,
        schedule: String::new(),
        fired: None,
    };
    fixture
        .backend
        .triggers
        .lock()
        .unwrap()
        .insert(by_hand.path(), (by_hand, version));
    let decision = fixture.decide("retries = 1").await.unwrap();
    assert_eq!(decision.undeclared.others, ["by-hand"]);
    apply_registration(&fixture.backend, &decision)
        .await
        .unwrap();
    assert_eq!(fixture.active(), ["by-hand"]);
}

#[tokio::test]
async fn triggers_may_stay_at_a_backend_that_does_not_list_them() {
    let fixture = Fixture {
        backend: FakeBackend {
            lists_no_triggers: true,
            ..FakeBackend::default()
        },
        ..Fixture::new()
    };
    fixture.register("triggers.t.every = \"1h\"").await;
    let unknown = |plan: RegistrationPlan| plan.undeclared.unknown;
    assert!(unknown(fixture.decide("retries = 1").await.unwrap()));
    let again = fixture.decide("triggers.t.every = \"2h\"").await.unwrap();
    assert!(!unknown(again));
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
