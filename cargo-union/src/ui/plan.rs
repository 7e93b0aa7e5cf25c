//! The plan of an image as text.

use crate::image::plan::{ImageAction, InputChange, PlannedImage};
use crate::sys::words;

/// The action on an image, then the changes, then the bytes to transfer.
pub fn format_plan(planned: &PlannedImage, limit: usize) -> String {
    let mut text = format!(
        "{} {}: {} {}\n",
        planned.package,
        planned.image,
        describe_action(planned.action),
        planned.destination
    );
    for change in planned.changes.iter().take(limit) {
        text.push_str(&format!("  {}\n", format_change(change)));
    }
    if planned.changes.len() > limit {
        text.push_str(&format!(
            "  and {} more; see them with `-v`\n",
            planned.changes.len() - limit
        ));
    }
    if planned.action != ImageAction::Reuse {
        if planned.changes.is_empty() && planned.action != ImageAction::Push {
            text.push_str("  no earlier build is recorded\n");
        }
        let code = planned
            .moves
            .code_about
            .map(|bytes| format!("about {} of code", words::bytes(bytes)));
        let base = planned
            .moves
            .base_at_most
            .filter(|bytes| *bytes > 0)
            .map(|bytes| format!("at most {} of base layers", words::bytes(bytes)));
        let moves: Vec<String> = code.into_iter().chain(base).collect();
        if !moves.is_empty() {
            text.push_str(&format!("  moves {}\n", moves.join(" and ")));
        }
    }
    text
}

/// The action, up to the destination.
fn describe_action(action: ImageAction) -> &'static str {
    match action {
        ImageAction::Reuse => "unchanged",
        ImageAction::Push => "publish; nothing changed, but it is not at",
        ImageAction::Append => "append code to its environment and publish to",
        ImageAction::BuildEnvironment => "build its environment, append code and publish to",
    }
}

/// A changed input, such as `src/main.rs: 1f2e3d → 4c5b6a`.
fn format_change(change: &InputChange) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("{}: {old} → {new}", change.input),
        (None, Some(new)) => format!("{}: new, {new}", change.input),
        (Some(_), None) => format!("{}: gone", change.input),
        (None, None) => change.input.clone(),
    }
}
