//! The versions of the workspace and of its dependencies are declared once, in the root's Cargo.toml.

use toml::Table;

use crate::source::Tree;

const MEMBERS: &[&str] = &[
    "cargo-union/Cargo.toml",
    "union-build/Cargo.toml",
    "tests/Cargo.toml",
];

/// Versions that are declared in other places.
pub(crate) fn problems(tree: &Tree) -> Vec<String> {
    let root = table(tree, "Cargo.toml");
    let version = root
        .get("workspace")
        .and_then(|value| value.get("package"))
        .and_then(|value| value.get("version"));
    let union_build = root
        .get("workspace")
        .and_then(|value| value.get("dependencies"))
        .and_then(|value| value.get("union-build"));
    let mut problems = Vec::new();
    if version.is_none() || union_build.and_then(|value| value.get("version")) != version {
        problems.push(
            "Cargo.toml: the dependency on union-build should have the workspace's version"
                .to_owned(),
        );
    }
    for member in MEMBERS {
        let manifest = table(tree, member);
        if inherits(
            manifest
                .get("package")
                .and_then(|package| package.get("version")),
        )
        .is_none()
        {
            problems.push(format!("{member}: write `version.workspace = true`"));
        }
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, dependency) in manifest
                .get(kind)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flatten()
            {
                if inherits(Some(dependency)).is_none() && dependency.get("path").is_none() {
                    problems.push(format!("{member}: write `{name}.workspace = true`, and its version into the root's Cargo.toml"));
                }
            }
        }
    }
    problems
}

fn inherits(value: Option<&toml::Value>) -> Option<()> {
    (value?.get("workspace")?.as_bool()?).then_some(())
}

fn table(tree: &Tree, path: &str) -> Table {
    tree.file(path)
        .text
        .parse()
        .unwrap_or_else(|error| panic!("{path} is not TOML: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace.package]\nversion = \"1.0.0\"\n[workspace.dependencies]\nunion-build = { path = \"union-build\", version = \"1.0.0\" }";
    const MEMBER: &str = "[package]\nversion.workspace = true\n[dependencies]\na.workspace = true\nb = { path = \"../b\" }";

    fn problems_of(root: &str, member: &str) -> Vec<String> {
        problems(&Tree::from_files(&[
            ("Cargo.toml", root),
            (MEMBERS[0], member),
            (MEMBERS[1], MEMBER),
            (MEMBERS[2], MEMBER),
        ]))
    }

    #[test]
    fn duplicate_versions_are_reported() {
        assert_eq!(problems_of(ROOT, MEMBER), [""; 0]);
        assert_eq!(
            problems_of(&ROOT.replacen("1.0.0", "1.1.0", 1), MEMBER).len(),
            1
        );
        assert_eq!(problems_of(ROOT, "[package]\nversion = \"1.0.0\"").len(), 1);
        assert_eq!(
            problems_of(
                ROOT,
                &format!("{MEMBER}\nc = \"1\"\nd = {{ version = \"1\" }}")
            )
            .len(),
            2
        );
    }
}
