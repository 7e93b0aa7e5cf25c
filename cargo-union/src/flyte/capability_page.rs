//! The comparison of both generations, `docs/backends.md`, from the table of capabilities.

use super::capabilities::KeySupport::{Differs, Full, LeftOut, Partly, Refused};
use super::capabilities::{BackendFeature, BackendKind, KEYS};

/// The reference page, `docs/backends.md`.
pub fn reference_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (feature, name) in BackendFeature::ALL {
        let word = |kind: BackendKind| if kind.has(feature) { "yes" } else { "no" };
        page.push_str(&format!(
            "| {name} | {} | {} |\n",
            word(BackendKind::Flyte1),
            word(BackendKind::Flyte2)
        ));
    }
    page.push_str(
        "\n## Keys of tasks on Flyte 1\n\nAll other keys are the same on both. Flyte 2 has all of them.\n\n| key | on Flyte 1 |\n|---|---|\n",
    );
    for (key, support) in KEYS {
        let text = match support {
            Full => continue,
            Differs(how) => (*how).to_owned(),
            LeftOut => "left out, with a note".to_owned(),
            Refused(help) => format!("an error: {help}"),
            Partly(what, help) => format!("an error for {what}; {help}"),
        };
        page.push_str(&format!("| `{key}` | {text} |\n"));
    }
    page
}

const INTRODUCTION: &str = "# Flyte 1 and Flyte 2

The tables are made from `cargo-union/src/flyte/capabilities.rs`.

The same manifest registers on both generations of Flyte. Which one a backend is, it says itself: `backend = \"auto\"` asks once
and remembers the answer for the endpoint. `backend = \"flyte1\"` or `\"flyte2\"` in the manifest, UNION_BACKEND or `--backend`
save the question. `cargo union check --backend flyte1` shows which keys of a manifest Flyte 1 does not support.

| | Flyte 1 | Flyte 2, Union |
|---|---|---|
| protocol | REST with protobuf messages, HTTP/1.1 or 2 | Connect, HTTP/1.1 or 2 |
| a registered version | cannot change | can be overwritten; `register` refuses without `--replace` |
| following a run | asks again, at first often, at most every 5 seconds | a stream |
| triggers | a workflow `TASK.triggers` and launch plans `TASK.triggers.NAME`; those that are no longer declared are deactivated | part of the task |
| `register --output DIR` | `TASK`, `TASK.workflow`, `TASK.NAME.launch-plan` | `TASK` |
| a program that fails | is started three times at least | as `retries` says |
| logins | documents in lowerCamelCase; `authorizationMetadataKey`, `audience` | the same by Connect |
| environment of the program | `FLYTE_INTERNAL_*` | `FLYTE_INTERNAL_*`, `_U_*`, `ACTION_NAME`, `RUN_NAME` |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_documented() {
        let page = reference_markdown();
        assert!(
            page.contains("| `register --replace` | no | yes |"),
            "{page}"
        );
        assert!(page.contains("| `queue` | an error: remove it"), "{page}");
    }
}
