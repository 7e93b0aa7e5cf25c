use super::*;

#[test]
fn action_of_an_image_follows_from_five_facts() {
    use ImageAction::{Append, BuildEnvironment, Push, Reuse};
    for (is_reused, environment_exists, is_same_key, is_remote, is_environment_known, action) in [
        (true, true, true, false, true, Reuse),
        (true, false, false, true, false, Reuse),
        (false, false, true, false, true, BuildEnvironment),
        (false, true, true, false, false, Push),
        (false, true, true, true, true, Push),
        (false, true, false, false, true, Append),
        (false, true, false, true, true, BuildEnvironment),
        (false, true, false, false, false, BuildEnvironment),
    ] {
        let facts = ActionFacts {
            is_reused,
            environment_exists,
            is_same_key,
            is_remote,
            is_environment_known,
        };
        assert_eq!(
            decide_action(&facts),
            action,
            "{is_reused} {environment_exists} {is_same_key} {is_remote} {is_environment_known}"
        );
    }
}
