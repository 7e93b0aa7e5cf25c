//! What `build.rs` reads of a manifest.

use super::*;

/// `build.rs` reads names from the JSON of `cargo metadata`, without the schema.
#[test]
fn build_script_finds_the_same_images_and_tasks() {
    use crate::emit::declarations::DeclaredImages;
    for (workspace, package, bins) in [
        ("", "", &["app"][..]),
        (
            "",
            "images.gpu.name = \"x\"\nimages.cpu = {}\ntasks.a = { image = \"gpu\", bin = \"app\" }",
            &["app"],
        ),
        (
            "images.gpu.name = \"ws\"\ntasks.t.image = \"gpu\"",
            "images.gpu.user = \"1\"\nimages.default = {}",
            &["t", "u"],
        ),
        ("", "images.only = {}", &["app"]),
        ("", "images.only = {}", &[]),
    ] {
        let project = table(package)
            .workspace(&format!("[workspace.metadata.union]\n{workspace}\n"))
            .bins(bins);
        let spec = project.spec();
        let json = |text: &str, section: &str| {
            serde_json::to_value(text.parse::<toml::Table>().unwrap()[section]["metadata"].clone())
                .unwrap()
        };
        let targets: Vec<_> = bins
            .iter()
            .map(|bin| serde_json::json!({ "kind": ["bin"], "name": bin }))
            .collect();
        let metadata = serde_json::json!({
            "metadata": json(project.workspace.as_deref().unwrap(), "workspace"),
            "packages": [{ "name": "app", "metadata": json(&project.union, "package"), "targets": targets }],
        });
        let declared = DeclaredImages::of(&metadata, "app");
        assert_eq!(
            declared.images,
            spec.images
                .iter()
                .map(|(key, image)| (key.clone(), image.name.value.clone()))
                .collect()
        );
        assert_eq!(
            declared.tasks,
            spec.tasks
                .iter()
                .map(|(key, task)| (key.clone(), task.image.value.clone()))
                .collect()
        );
    }
}
