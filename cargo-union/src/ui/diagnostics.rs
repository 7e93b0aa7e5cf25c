//! Manifest problems in rustc's look.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Patch, Renderer, Snippet};
use union_build::diag::{Diagnostic, Label, Origin, Severity};

/// One problem as text: the message with its code, the lines with their marks, the advice.
pub(super) fn render(problem: &Diagnostic, color: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let notes: Vec<String> = problem.labels.iter().filter_map(outside_of_files).collect();
    let mut group = level.primary_title(&problem.message).id(problem.code.as_str()).elements(snippets(&problem.labels));
    for note in &notes {
        group = group.element(Level::NOTE.message(note));
    }
    let mut report = Vec::new();
    match (&problem.suggestion, &problem.help) {
        (Some(suggestion), help) => {
            report.push(group);
            if let Origin::File(file, span) = &suggestion.origin {
                let title = help.as_deref().unwrap_or("this would be valid");
                let patch = Snippet::source(&file.text)
                    .path(shown(&file.path))
                    .patch(Patch::new(within(&file.text, span), &suggestion.replacement));
                report.push(Level::HELP.secondary_title(title).element(patch));
            }
        }
        (None, Some(help)) => report.push(group.element(Level::HELP.message(help))),
        (None, None) => report.push(group),
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.render(&report).to_string();
    text + "\n"
}

/// A place as it can be marked: a parser that counts in another way may point behind the text or into a character.
fn within(text: &str, span: &Range<usize>) -> Range<usize> {
    let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

/// One snippet for each file that is marked, the first label's file first.
fn snippets(labels: &[Label]) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
    let mut files = Vec::new();
    for label in labels {
        if let Origin::File(file, _) = &label.origin
            && !files.contains(&file)
        {
            files.push(file);
        }
    }
    let annotate = |(position, label): (usize, &'_ Label), span: &Range<usize>| {
        let kind = if position == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        (kind, span.clone(), label.text.clone())
    };
    files
        .into_iter()
        .map(|file| {
            let marks = labels.iter().enumerate().filter_map(|(position, label)| match &label.origin {
                Origin::File(of, span) if of == file => {
                    let (kind, span, text) = annotate((position, label), &within(&file.text, span));
                    Some(if text.is_empty() { kind.span(span) } else { kind.span(span).label(text) })
                }
                _ => None,
            });
            Snippet::source(&file.text).path(shown(&file.path)).annotations(marks)
        })
        .collect()
}

/// A value from a flag or a variable has no line to show; it is named instead.
fn outside_of_files(label: &Label) -> Option<String> {
    match &label.origin {
        Origin::Flag(name) => Some(format!("the value comes from `{name}`")),
        Origin::Env(name) => Some(format!("the value comes from the environment variable `{name}`")),
        Origin::File(..) | Origin::Default => None,
    }
}

/// A path as seen from the current folder, when it lies below it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
