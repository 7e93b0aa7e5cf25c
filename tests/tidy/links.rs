//! Links of the documents: each leads to a file, a directory or a heading of the repository, and the book has each page.

use std::collections::BTreeSet;

use crate::source::{File, Tree};

/// The table of contents of the book that is made from `docs`.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Links that lead nowhere, and pages that the book does not have.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let documents = || tree.files().filter(|file| file.path.ends_with(".md"));
    let mut problems = Vec::new();
    for document in documents() {
        for (line, target) in links(document) {
            if !exists(tree, document, &target) {
                problems.push(document.problem(line, format!("`{target}` does not exist")));
            }
        }
    }
    let summary = tree.file(SUMMARY);
    let chapters: BTreeSet<String> = links(summary)
        .into_iter()
        .filter_map(|(_, target)| resolve(SUMMARY, &target))
        .collect();
    let is_page = |file: &&File| file.path.starts_with("docs/") && file.path != SUMMARY;
    for page in documents().filter(is_page) {
        if !chapters.contains(&page.path) {
            problems.push(summary.problem(1, format!("`{}` is missing", page.path)));
        }
    }
    problems
}

/// The targets of links outside of code, with their lines; addresses of other sites are left out.
fn links(document: &File) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut is_block = false;
    for (position, line) in document.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        }
        if is_block {
            continue;
        }
        // Every second part is code.
        let text: String = line.split('`').step_by(2).collect();
        for (start, _) in text.match_indices("](") {
            let target = text[start + 2..].split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                links.push((position + 1, target.to_owned()));
            }
        }
    }
    links
}

fn exists(tree: &Tree, document: &File, target: &str) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        Some(document.path.clone())
    } else {
        resolve(&document.path, path)
    };
    let Some(path) = path else { return false };
    let directory = format!("{path}/");
    match tree.files().find(|file| file.path == path) {
        Some(file) => heading.is_empty() || headings(file).any(|other| other == heading),
        None => heading.is_empty() && tree.files().any(|file| file.path.starts_with(&directory)),
    }
}

/// The path of a relative target, from the root of the repository; `None` outside of it.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of the headings of a document, as GitHub and mdBook make them.
fn headings(document: &File) -> impl Iterator<Item = String> {
    let titles = document.text.lines().filter(|line| line.starts_with('#'));
    titles.map(|line| {
        line.trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_and_missing_pages_are_reported() {
        let tree = Tree::from_files(&[
            (
                "README.md",
                "[a](docs/a.md#some-title), [b](docs/b.md), [c](docs/a.md#other)\n`[d](d)` [e](https://e)\n\
                 [f](docs) [g](../g) [h](#nothing)\n```\n[i](i)\n```\n",
            ),
            (SUMMARY, "[A](a.md)\n[root](../README.md)"),
            ("docs/a.md", "## Some, title\n[up](../README.md)"),
            ("docs/c.md", ""),
        ]);
        assert_eq!(
            problems(&tree),
            [
                "README.md:1: `docs/b.md` does not exist",
                "README.md:1: `docs/a.md#other` does not exist",
                "README.md:3: `../g` does not exist",
                "README.md:3: `#nothing` does not exist",
                "docs/SUMMARY.md:1: `docs/c.md` is missing",
            ]
        );
    }
}
