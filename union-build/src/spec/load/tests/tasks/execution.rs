//! Resources, secrets, retries, timeouts, the cache and triggers.

use std::time::Duration;

use super::*;
use crate::spec::task::{CacheVersion, Mount, Schedule, SharedMemory};
use crate::spec::value::InputValue;

#[test]
fn resources_have_requests_and_limits() {
    let resources = read(
        "resources = { cpu = [1, 2], memory = [\"500Mi\", \"1Gi\"], gpu = \"A100:1\", gpu-partition = \"1g.5gb\", disk = \"10Gi\", shm = \"auto\" }",
    )
    .resources;
    let cpu = resources.cpu.unwrap();
    assert_eq!(
        (cpu.request.as_str(), cpu.limit.unwrap().as_str()),
        ("1", "2")
    );
    let gpu = resources.gpu.unwrap();
    assert_eq!(
        (
            gpu.count,
            gpu.device.as_deref(),
            gpu.partition.unwrap().as_str()
        ),
        (1, Some("A100"), "1g.5gb")
    );
    assert_eq!(
        (resources.disk.unwrap().as_str(), resources.shm),
        ("10Gi", Some(SharedMemory::Auto))
    );
    let plain = read("resources = { cpu = 4, gpu = 2, shm = \"1Gi\" }").resources;
    assert_eq!(
        (
            plain.cpu.unwrap().limit,
            plain.gpu.unwrap().device,
            plain.shm
        ),
        (None, None, Some(SharedMemory::Size("1Gi".to_owned())))
    );
}

#[test]
fn secrets_are_variables_or_files() {
    let secrets = read(
        "secrets = [\"my-key\", { key = \"openai\", group = \"team-a\" }, { key = \"db\", env = \"DATABASE\" }, { key = \"tok\", group = \"grp\", file = true }]",
    )
    .secrets;
    let mounts: Vec<Mount> = secrets.iter().map(|secret| secret.mount.clone()).collect();
    let env = |name: &str| Mount::Env(name.to_owned());
    assert_eq!(
        mounts,
        [
            env("MY_KEY"),
            env("TEAM_A_OPENAI"),
            env("DATABASE"),
            Mount::File
        ]
    );
    assert_eq!(
        (
            secrets[3].key.as_str(),
            secrets[3].group.as_ref().unwrap().as_str()
        ),
        ("tok", "grp")
    );
    assert_eq!(
        (secrets[1].variable(), secrets[3].variable()),
        ("TEAM_A_OPENAI".to_owned(), "GRP_TOK".to_owned())
    );
}

#[test]
fn retries_are_a_number_or_have_a_backoff() {
    assert_eq!(
        (
            read("retries = 3").retries.count,
            read("retries = 3").retries.backoff
        ),
        (3, None)
    );
    let retries =
        read("retries = { count = 3, backoff = \"1s\", factor = 1.5, max-backoff = \"30s\" }")
            .retries;
    let backoff = retries.backoff.unwrap();
    assert_eq!(
        (retries.count, backoff.base, backoff.factor),
        (3, Duration::from_secs(1), 1.5)
    );
    assert_eq!(backoff.cap, Some(Duration::from_secs(30)));
    assert_eq!(
        read("retries = { count = 1, backoff = \"1s\" }")
            .retries
            .backoff
            .unwrap()
            .factor,
        1.0
    );
}

#[test]
fn timeout_is_a_duration_or_a_table_of_three() {
    assert_eq!(
        read("timeout = \"30m\"").timeout.runtime,
        Some(Duration::from_secs(1800))
    );
    let timeout =
        read("timeout = { queued = \"5m\", deadline = \"1h\", runtime = \"0s\" }").timeout;
    assert_eq!(
        (
            timeout.runtime,
            timeout.queued,
            timeout.deadline.map(|limit| limit.as_secs())
        ),
        (None, Some(Duration::from_secs(300)), Some(3600))
    );
}

#[test]
fn cache_has_a_version() {
    assert_eq!(read("cache = false").cache, None);
    assert_eq!(
        read("cache = \"auto\"").cache.unwrap().version,
        CacheVersion::Auto
    );
    assert_eq!(
        read("cache = \"v7\"").cache.unwrap().version,
        CacheVersion::Named("v7".to_owned())
    );
    let cache =
        read("inputs.label = \"string\"\ncache = { serialize = true, ignored-inputs = [\"label\"], max-age = \"7d\" }").cache.unwrap();
    assert_eq!(
        (cache.version, cache.serialize, cache.ignored_inputs.len()),
        (CacheVersion::Auto, true, 1)
    );
    assert_eq!(cache.max_age, Some(Duration::from_secs(604_800)));
}

#[test]
fn triggers_have_a_schedule_and_inputs() {
    let app = read(
        "queue = \"gpu\"\ninputs = { x = \"integer\", at = \"datetime\", note = \"optional[string]\" }\n\
         triggers.nightly = { cron = \"0 3 * * mon-fri\", timezone = \"Europe/Berlin\", inputs = { x = 7 }, time-input = \"at\", active = false }\n\
         triggers.often = { every = \"1h30m\", inputs = { x = 1, at = 2030-01-31T12:00:00Z } }",
    );
    let nightly = &app.triggers["nightly"];
    let often = &app.triggers["often"];
    assert_eq!(
        nightly.schedule,
        Schedule::Cron {
            expression: "0 3 * * mon-fri".to_owned(),
            timezone: "Europe/Berlin".to_owned()
        }
    );
    assert_eq!(
        (often.schedule.clone(), often.active, nightly.active),
        (Schedule::Every(90), true, false)
    );
    assert_eq!(nightly.inputs["x"].value, InputValue::Integer(7));
    assert_eq!(
        (
            nightly.time_input.as_ref().unwrap().as_str(),
            app.queue.unwrap().as_str()
        ),
        ("at", "gpu")
    );
}
