//! Inheritance between images: variables, the working directory, and references to them.

use super::*;

fn env(spec: &Spec, image: &str) -> Vec<String> {
    spec.images[image]
        .env
        .iter()
        .map(|(name, value)| format!("{name}={}", value.value))
        .collect()
}

#[test]
fn env_references_resolve_to_extended_images_then_the_base() {
    let spec = table(
        "images.a = { env = { PATH = \"/a:$PATH\", A = \"$$5\" } }\n\
         images.b = { extends = \"a\", env = { PATH = \"/b:${PATH}\", B = \"$A $HOME\" } }\n\
         images.c = { extends = \"b\" }\ntasks.app.image = \"c\"",
    )
    .spec();
    assert_eq!(env(&spec, "a"), ["A=$$5", "PATH=/a:${PATH}"]);
    assert_eq!(
        env(&spec, "b"),
        ["A=$$5", "B=$$5 ${HOME}", "PATH=/b:/a:${PATH}"]
    );
    assert_eq!(env(&spec, "c"), env(&spec, "b"));
}

#[test]
fn env_values_of_one_table_never_refer_to_one_another() {
    let spec = table("images.default.env = { A = \"1\", B = \"$A\" }").spec();
    assert_eq!(env(&spec, "default"), ["A=1", "B=${A}"], "the base's");
    let scratch =
        table("images.default = { base-image = \"scratch\", env = { A = \"1\", B = \"$A\" } }");
    let message = "no image below `default` sets the variable `A`";
    let help = "never of the same table";
    assert_problem(
        &scratch,
        Code::InvalidValue,
        "app/Cargo.toml:2:65",
        message,
        help,
    );
}

#[test]
fn env_references_on_scratch_are_limited_to_path() {
    table("images.default = { base-image = \"scratch\", env = { PATH = \"/a:$PATH\" } }").spec();
    let extending = table(
        "images.a = { base-image = \"scratch\", env = { A = \"1\" } }\n\
         images.b = { extends = \"a\", env = { B = \"$A\", C = \"$D\" } }\ntasks.app.image = \"b\"",
    );
    assert_problem(
        &extending,
        Code::InvalidValue,
        "app/Cargo.toml:3:51",
        "no image below `b` sets the variable `D`",
        "`$$` for a dollar",
    );
}

#[test]
fn env_with_an_invalid_reference_is_refused() {
    let message = "`costs 5$ each` is not a value of an environment variable";
    let help = "`$$` for a dollar";
    assert_problem(
        &table("images.default.env.A = \"costs 5$ each\""),
        Code::InvalidValue,
        "app/Cargo.toml:2:24",
        message,
        help,
    );
}

#[test]
fn copy_relative_destination_starts_at_an_inherited_workdir() {
    let spec = table(
        "images.a = { workdir = \"/srv\" }\nimages.b = { extends = \"a\", copy = [\"conf/a.txt\"] }\n\
         images.c = { extends = \"b\", workdir = \"/own\", copy = [\"conf/a.txt\"] }\ntasks.app.image = \"c\"",
    )
    .file("app/conf/a.txt")
    .spec();
    let to = |image: &str| spec.images[image].copy[0].to.value.as_str();
    assert_eq!((to("b"), to("c")), ("/srv/conf/a.txt", "/own/conf/a.txt"));
    assert_eq!(
        spec.images["b"]
            .workdir
            .as_ref()
            .map(|workdir| workdir.value.as_str()),
        Some("/srv")
    );
}
