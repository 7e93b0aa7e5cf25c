//! Renders problems of manifests in rustc's style.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Patch, Renderer, Snippet};
use union_build::diag::{Diagnostic, Label, Origin, Severity};

/// Renders a problem: message and code, source lines with annotations, advice.
pub(super) fn render(problem: &Diagnostic, color: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let notes: Vec<String> = problem.labels.iter().filter_map(outside_of_files).collect();
    let mut group = level
        .primary_title(&problem.message)
        .id(problem.code.as_str())
        .elements(snippets(&problem.labels));
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
                    .path(display_path(&file.path))
                    .patch(Patch::new(
                        clamp_span(&file.text, span),
                        &suggestion.replacement,
                    ));
                report.push(Level::HELP.secondary_title(title).element(patch));
            }
        }
        (None, Some(help)) => report.push(group.element(Level::HELP.message(help))),
        (None, None) => report.push(group),
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let text = renderer.render(&report).to_string();
    text + "\n"
}

/// Moves a span to character boundaries inside of the text, since a parser's span may be outside of it or in a character.
fn clamp_span(text: &str, span: &Range<usize>) -> Range<usize> {
    let boundary = |at: usize| {
        (0..=at.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or_default()
    };
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

/// One snippet for each file with labels, in the order of the labels.
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
        let kind = if position == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        (kind, span.clone(), label.text.clone())
    };
    files
        .into_iter()
        .map(|file| {
            let annotations =
                labels
                    .iter()
                    .enumerate()
                    .filter_map(|(position, label)| match &label.origin {
                        Origin::File(labelled, span) if labelled == file => {
                            let (kind, span, text) =
                                annotate((position, label), &clamp_span(&file.text, span));
                            Some(if text.is_empty() {
                                kind.span(span)
                            } else {
                                kind.span(span).label(text)
                            })
                        }
                        _ => None,
                    });
            Snippet::source(&file.text)
                .path(display_path(&file.path))
                .annotations(annotations)
        })
        .collect()
}

/// A note on the origin of a value that is not in a file.
fn outside_of_files(label: &Label) -> Option<String> {
    match &label.origin {
        Origin::Flag(name) => Some(format!("the value comes from `{name}`")),
        Origin::Env(name) => Some(format!(
            "the value comes from the environment variable `{name}`"
        )),
        Origin::File(..) | Origin::Default => None,
    }
}

/// A path relative to the current directory, if it is below it.
fn display_path(path: &Path) -> String {
    let current = std::env::current_dir().ok();
    let relative = current
        .as_deref()
        .and_then(|current| path.strip_prefix(current).ok());
    relative.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests;
