//! Triggers that are no longer declared.

use super::*;
use crate::flyte::triggers::TriggerSummary;

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
