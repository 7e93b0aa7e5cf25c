//! A control plane that is busy or starting.

use crate::setup::{Setup, TYPED};

#[test]
fn busy_backend_is_retried_after_its_retry_after() {
    for behaviour in ["busy", "down"] {
        let setup = Setup::behaving(behaviour);
        let started = std::time::Instant::now();
        setup
            .hello(TYPED)
            .run(["register", "-v"])
            .succeeds()
            .stderr_has("Registered hello ");
        assert!(started.elapsed() >= std::time::Duration::from_secs(1));
        assert_eq!(setup.backend.count("POST", "api/v1/tasks"), 1);
    }
}
