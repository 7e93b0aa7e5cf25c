//! Triggers: their schedules, and their inputs compared with the interface of the task.

use super::*;

#[test]
fn trigger_has_schedule_and_queue() {
    let lines = "bin = \"job\"\nqueue = \"gpu\"\ninputs.at = \"datetime\"\n[package.metadata.union.tasks.app.triggers.nightly]\n\
                 cron = \"0 3 * * 1\"\ntimezone = \"Europe/Berlin\"\ntime-input = \"at\"\nactive = false\ndescription = \"Each Monday\"";
    let task = declared(false, lines);
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource::plain(&task, &interface);
    let trigger = to_json(&deploy_task(&subject, &ProjectDomain::default(), "v1").triggers[0]);
    assert_eq!(
        (
            &trigger["spec"]["runSpec"]["queue"],
            &trigger["spec"]["description"]
        ),
        (&"gpu".into(), &"Each Monday".into())
    );
    assert!(trigger["spec"].get("active").is_none(), "{trigger}");
    let schedule = &trigger["automationSpec"]["schedule"];
    assert_eq!(
        (
            &schedule["cron"]["timezone"],
            &schedule["kickoffTimeInputArg"]
        ),
        (&"Europe/Berlin".into(), &"at".into())
    );
    assert_eq!(trigger["automationSpec"]["type"], "TYPE_SCHEDULE");
}

#[test]
fn triggers_of_a_rust_task_are_validated_against_its_interface() {
    let lines = "bin = \"job\"\n[package.metadata.union.tasks.app.triggers.t]\nevery = \"1d\"\ninputs = { x = \"a\", y = 1 }\ntime-input = \"x\"";
    let task = declared(true, lines);
    let interface = Interface {
        inputs: vec![
            ("x".to_owned(), Type::Integer),
            ("z".to_owned(), Type::Float),
        ],
        outputs: vec![],
    };
    let expected = [
        "trigger `t`, input `x`: `\"a\"` is not a whole number",
        "trigger `t` sets `y`, but the task has no such input",
        "trigger `t` sets the time of `x`, but the task has no such input of the type `datetime`",
        "trigger `t` does not set `z`",
    ];
    assert_eq!(validate_triggers(&task, &interface), expected);
}
