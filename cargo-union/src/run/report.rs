//! One run as a document, and as text.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;
use union_build::spec::time;

use super::rows::{ActionRow, EventRow};
use crate::flyte::runs::{
    ActionSummary, AttemptReport, RunError, RunIdent, RunOutcome, RunPhase, RunReport, action_tree,
};

/// One run; its text is that of `get run`.
#[derive(Serialize)]
pub(crate) struct RunDocument<'a> {
    name: &'a str,
    task: Option<&'a str>,
    version: Option<&'a str>,
    phase: &'static str,
    started: Option<String>,
    ended: Option<String>,
    console: &'a str,
    image: Option<&'a str>,
    digest: Option<&'a str>,
    inputs: Option<BTreeMap<&'a str, &'a Value>>,
    outputs: Option<BTreeMap<&'a str, &'a Value>>,
    error: Option<ErrorRow<'a>>,
    /// Why it was aborted.
    reason: Option<&'a str>,
    attempts: Vec<AttemptRow<'a>>,
    actions: Vec<ActionRow<'a>>,
    #[serde(skip)]
    tree: Vec<(usize, &'a ActionSummary)>,
}

#[derive(Serialize)]
struct ErrorRow<'a> {
    kind: &'a str,
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct AttemptRow<'a> {
    attempt: u32,
    phase: &'static str,
    started: Option<String>,
    ended: Option<String>,
    error: Option<ErrorRow<'a>>,
    phases: Vec<PhaseRow>,
    events: Vec<EventRow<'a>>,
}

#[derive(Serialize)]
struct PhaseRow {
    phase: &'static str,
    started: Option<String>,
}

impl<'a> RunDocument<'a> {
    pub(crate) fn of(run: &'a RunIdent, report: &'a RunReport, page: &'a str) -> Self {
        let (error, reason) = match &report.outcome {
            Some(RunOutcome::Failed(error) | RunOutcome::TimedOut(error)) => (error.as_ref(), None),
            Some(RunOutcome::Aborted(reason)) => (None, Some(reason.as_str())),
            _ => (None, None),
        };
        let summary = &report.summary;
        Self {
            name: &run.name,
            task: summary.task.as_deref(),
            version: summary.version.as_deref(),
            phase: summary.phase.word(),
            started: format_time(summary.started),
            ended: format_time(summary.ended),
            console: page,
            image: report.image.as_deref(),
            digest: report
                .image
                .as_ref()
                .and_then(|image| Some(image.rsplit_once('@')?.1)),
            inputs: values(report.inputs.as_deref()),
            outputs: values(report.outputs.as_deref()),
            error: error.map(ErrorRow::of),
            reason,
            attempts: report.attempts.iter().map(AttemptRow::of).collect(),
            actions: report.actions.iter().map(ActionRow::of).collect(),
            tree: action_tree(&report.actions),
        }
    }
}

impl<'a> ErrorRow<'a> {
    fn of(error: &'a RunError) -> Self {
        Self {
            kind: error.kind,
            code: &error.code,
            message: &error.message,
        }
    }
}

impl<'a> AttemptRow<'a> {
    fn of(attempt: &'a AttemptReport) -> Self {
        let entered = |(phase, started): &(RunPhase, Option<i64>)| PhaseRow {
            phase: phase.word(),
            started: format_time(*started),
        };
        Self {
            attempt: attempt.number,
            phase: attempt.phase.word(),
            started: format_time(attempt.started),
            ended: format_time(attempt.ended),
            error: attempt.error.as_ref().map(ErrorRow::of),
            phases: attempt.phases.iter().map(entered).collect(),
            events: attempt.events.iter().map(EventRow::of).collect(),
        }
    }
}

fn values(values: Option<&[(String, Value)]>) -> Option<BTreeMap<&str, &Value>> {
    Some(
        values?
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect(),
    )
}

fn format_time(seconds: Option<i64>) -> Option<String> {
    seconds.map(|seconds| time::datetime(seconds, 0))
}

impl fmt::Display for RunDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_field(f, "run", Some(self.name))?;
        write_field(f, "task", self.task)?;
        write_field(f, "version", self.version)?;
        write_field(f, "image", self.image)?;
        write_field(f, "phase", Some(self.phase))?;
        write_field(f, "started", self.started.as_deref())?;
        write_field(f, "ended", self.ended.as_deref())?;
        write_field(f, "console", Some(self.console))?;
        if let Some(error) = &self.error {
            write_field(f, "error", Some(&format_error(error)))?;
        }
        if let Some(reason) = self.reason.filter(|reason| !reason.is_empty()) {
            write_field(f, "reason", Some(reason))?;
        }
        for (title, values) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if let Some(values) = values.as_ref().filter(|values| !values.is_empty()) {
                writeln!(f, "\n{title}")?;
                for (name, value) in values {
                    writeln!(f, "  {name} = {value}")?;
                }
            }
        }
        for attempt in &self.attempts {
            f.write_str(&format_attempt(attempt))?;
        }
        if self.tree.iter().any(|(_, action)| !action.is_root()) {
            f.write_str("\nactions\n")?;
            for (depth, action) in &self.tree {
                f.write_str(&format_action(*depth, action))?;
            }
        }
        Ok(())
    }
}

fn write_field(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    writeln!(f, "{name:<9} {}", value.unwrap_or("-"))
}

fn format_error(error: &ErrorRow<'_>) -> String {
    let words = [error.kind, "error", error.code].into_iter();
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!(
        "{}: {}",
        words.join(" "),
        error.message.replace('\n', "\n          ")
    )
}

fn format_attempt(attempt: &AttemptRow<'_>) -> String {
    let mut text = format!("\nattempt {}  {}\n", attempt.attempt, attempt.phase);
    for PhaseRow { phase, started } in &attempt.phases {
        let started = started.as_deref().unwrap_or("-");
        // Writing to a string never fails.
        let _ = writeln!(text, "  {started:<20}  {phase}");
    }
    if let Some(error) = &attempt.error {
        let _ = writeln!(text, "  {}", format_error(error));
    }
    for event in &attempt.events {
        let _ = writeln!(text, "  {event}");
    }
    text
}

/// A line of the tree: two columns for each level.
fn format_action(depth: usize, action: &ActionSummary) -> String {
    // Limits the indentation of deep levels.
    let indent = "  ".repeat(depth.min(40) + 1);
    let title = if action.title.is_empty() {
        String::new()
    } else {
        format!(" {} {}", action.kind, action.title)
    };
    let took = action
        .seconds()
        .map(|seconds| format!(" in {seconds:.2} s"))
        .unwrap_or_default();
    format!(
        "{indent}{}{title}: {}{took}\n",
        action.name, action.state.phase
    )
}
