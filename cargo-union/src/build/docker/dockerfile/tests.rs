#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use union_build::diag::Origin;
use union_build::spec::{ImageSpec, Sourced};

use super::*;

mod instructions;
mod packages;

fn placed<T>(value: T) -> Sourced<T> {
    Sourced {
        value,
        origin: Origin::Default,
    }
}

/// The spec of an image with these settings.
fn spec(table: &str) -> ImageSpec {
    let text = format!("[package]\nname = 'a'\n[package.metadata.union.images.default]\n{table}\n");
    let file = union_build::diag::SourceFile::new("Cargo.toml", text);
    let facts = union_build::spec::PackageInfo {
        package: "a".to_owned(),
        binaries: vec!["a".to_owned()],
        ..Default::default()
    };
    let overrides = union_build::spec::Overrides::new("/");
    let (spec, problems, _) = union_build::spec::load(None, &file, &overrides, &facts);
    spec.unwrap_or_else(|| panic!("{problems:?}"))
        .images
        .remove("default")
        .unwrap()
}

fn written(
    spec: &ImageSpec,
    copies: Vec<CopyInstruction>,
    authority: bool,
    user: Option<&str>,
) -> String {
    let tools = crate::build::environment::tools(std::slice::from_ref(spec));
    let tools = tools
        .into_iter()
        .map(|reference| (reference.to_owned(), format!("tool/{}", reference.len())))
        .collect();
    let mut spec = spec.clone();
    // Each one corresponds to an entry of the manifest.
    while spec.copy.len() < copies.len() {
        spec.copy.push(copy("/"));
    }
    let mut step = Step {
        spec: &spec,
        copies,
        variables: Variables::new(),
    };
    step.expand_variables(&mut [("PATH".to_owned(), "/bin".to_owned())].into())
        .unwrap();
    write(&DockerfileContext {
        steps: &[step],
        from: "base:1",
        user,
        tools: &tools,
        authority,
        caches: CacheMounts::Locked,
    })
    .text
}

fn copy(to: &str) -> union_build::spec::Copy {
    let from = placed(PathBuf::from("x"));
    let to = placed(to.to_owned());
    union_build::spec::Copy {
        from,
        typed: "x".to_owned(),
        to,
        mode: None,
        owner: None,
        exclude: Vec::new(),
    }
}
