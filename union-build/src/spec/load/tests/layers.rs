//! Precedence of workspace, package, variables and flags.

use super::*;

#[test]
fn tables_merge_key_by_key_and_lists_replace() {
    let project = table("images.gpu.env = { A = \"package\" }\nimages.gpu.apt-packages = [\"b\"]").workspace(
        "[workspace.metadata.union]\nregistry = \"ghcr.io/ws\"\n[workspace.metadata.union.images.gpu]\nenv = { A = \"workspace\", B = \"workspace\" }\napt-packages = [\"a\", \"c\"]\n",
    );
    let image = &project.spec().images["gpu"];
    assert_eq!(
        image
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<Vec<_>>(),
        [("A", "package"), ("B", "workspace")]
    );
    assert_eq!(
        image
            .apt_packages
            .iter()
            .map(|package| package.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(image.registry.as_ref().unwrap().value, "ghcr.io/ws");
    assert_eq!(
        project.setting("images.gpu.env.A"),
        ("\"package\"".to_owned(), "app/Cargo.toml:2:24".to_owned())
    );
    assert_eq!(
        project.setting("images.gpu.env.B"),
        ("\"workspace\"".to_owned(), "Cargo.toml:4:30".to_owned())
    );
    assert_eq!(
        project.setting("images.gpu.compression"),
        ("\"gzip\"".to_owned(), "default".to_owned())
    );
    assert_eq!(project.setting("images.gpu.base-image").1, "default");
}

#[test]
fn root_package_has_workspace_and_package_tables_in_one_file() {
    let text = "[workspace.metadata.union]\nregistry = \"ghcr.io/a\"\nbuilder = \"oops\"\n[package.metadata.union]\nbuilder = \"native\"\n";
    let file = SourceFile::new("/ws/Cargo.toml", text);
    let facts = PackageInfo {
        package: "app".into(),
        directory: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["app".into()],
        ..PackageInfo::default()
    };
    let (_, problems, _) = load(Some(&file), &file, &Overrides::new("/ws"), &facts);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(
        problems[0].labels[0].origin.to_string(),
        "/ws/Cargo.toml:3:11"
    );
    let broken = SourceFile::new("/ws/Cargo.toml", "[package");
    let (spec, problems, settings) = load(Some(&broken), &broken, &Overrides::new("/ws"), &facts);
    assert_eq!((spec, problems.len(), settings.len()), (None, 1, 0));
}

#[test]
fn flags_override_variables_and_variables_override_manifests() {
    let manifest = "registry = \"a.b\"\nbuilder = \"docker\"\n[package.metadata.union.images.default]\n[package.metadata.union.images.own]\nregistry = \"own.b\"";
    let registry =
        |project: &Project, image: &str| project.setting(&format!("images.{image}.registry"));
    let project = table(manifest);
    assert_eq!(
        registry(&project, "default"),
        ("\"a.b\"".to_owned(), "app/Cargo.toml:2:12".to_owned())
    );
    assert_eq!(registry(&project, "own").0, "\"own.b\"");
    let project = project
        .env("UNION_REGISTRY", "env.b")
        .env("UNION_BUILDER", "");
    assert_eq!(
        registry(&project, "default"),
        ("\"env.b\"".to_owned(), "UNION_REGISTRY".to_owned())
    );
    assert_eq!(
        registry(&project, "own"),
        ("\"env.b\"".to_owned(), "UNION_REGISTRY".to_owned())
    );
    let project = project.flag("--registry", "flag.b");
    assert_eq!(
        registry(&project, "own"),
        ("\"flag.b\"".to_owned(), "--registry".to_owned())
    );
    let spec = project.spec();
    assert_eq!(
        spec.images["own"].registry.as_ref().unwrap().value,
        "flag.b"
    );
    assert_eq!(
        spec.images["own"].builder.value,
        BuilderChoice::Docker,
        "an empty variable says nothing"
    );
}

#[test]
fn fallback_applies_only_to_unset_keys() {
    let resort =
        |project: Project, origin: Origin| project.fallback("registry", "resort.b", origin);
    let (file, variable) = (
        SourceFile::new("/home/u/.flyte/config.yaml", "image: {registry: resort.b}"),
        Origin::Env("FLYTE_IMAGE_REGISTRY"),
    );
    let images = "[package.metadata.union.images.default]\n[package.metadata.union.images.own]\nregistry = \"own.b\"";
    for origin in [Origin::File(file, 18..26), variable] {
        let project = resort(table(images), origin.clone());
        assert_eq!(
            project.setting("images.default.registry"),
            ("\"resort.b\"".to_owned(), origin.to_string())
        );
        assert_eq!(project.setting("images.own.registry").0, "\"own.b\"");
        let project = resort(
            table(&format!("registry = \"a.b\"\n{images}")),
            origin.clone(),
        );
        assert_eq!(project.setting("images.default.registry").0, "\"a.b\"");
        let project = resort(table(images), origin).env("UNION_REGISTRY", "env.b");
        assert_eq!(project.setting("images.own.registry").0, "\"env.b\"");
    }
}

#[test]
fn build_flags_override_an_images_build_table() {
    let project = table(
        "build.profile = \"a\"\nbuild.env = { A = \"1\", B = \"1\" }\nimages.default.build = { profile = \"b\", env = { B = \"2\" }, features = [\"x\"] }",
    );
    let build = &project.spec().images["default"].build;
    assert_eq!(build.profile.value, "b");
    assert_eq!(
        build
            .env
            .values()
            .map(|value| value.as_str())
            .collect::<Vec<_>>(),
        ["1", "2"]
    );
    let project = project
        .flag("--profile", "dev")
        .flag("--features", "y,z q")
        .flag("--no-default-features", "false");
    let build = &project.spec().images["default"].build;
    assert_eq!(
        (build.profile.as_str(), build.default_features.value),
        ("dev", false)
    );
    assert_eq!(
        build
            .features
            .iter()
            .map(|feature| feature.as_str())
            .collect::<Vec<_>>(),
        ["y", "z", "q"]
    );
}

#[test]
fn relative_paths_start_at_the_declaring_manifest() {
    let project = table("images.default.ca-certificates = \"own.pem\"")
        .workspace("[workspace.metadata.union]\nimages.default.build-ca = \"ca.pem\"\nimages.default.inputs = [\"x/*\"]\n")
        .file("app/own.pem")
        .file("ca.pem");
    let image = &project.spec().images["default"];
    assert_eq!(
        image.ca_certificates.as_ref().unwrap().value,
        project.root().join("app/own.pem")
    );
    assert_eq!(
        image.build_ca.as_ref().unwrap().value,
        project.root().join("ca.pem")
    );
    assert_eq!(image.inputs[0].directory, project.root());
    let spec = table("").env("UNION_REGISTRY_CONFIG", "config.json").spec();
    assert!(
        spec.registry_config
            .unwrap()
            .value
            .ends_with("elsewhere/config.json")
    );
}
