#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn file_names_do_not_clash_with_setting_names() {
    for (file, name) in [
        ("src/main.rs", "src/main.rs"),
        ("build.rs", "build.rs"),
        ("profile", "./profile"),
        ("Cargo.lock", "./Cargo.lock"),
        ("helper/Cargo.toml", "./helper/Cargo.toml"),
        ("Cargo.lock: serde", "./Cargo.lock: serde"),
    ] {
        assert_eq!(file_name(file.to_owned()), name);
    }
}

#[test]
fn changed_inputs_are_named() {
    let inputs = |pairs: &[(&str, &str)]| {
        let mut inputs = Inputs::new();
        pairs
            .iter()
            .for_each(|(name, value)| inputs.insert(*name, *value));
        inputs
    };
    let before = inputs(&[("a", "1"), ("b", "1"), ("gone", "1")]);
    assert!(check_unchanged(&before, &before.clone()).is_ok());
    let error =
        check_unchanged(&before, &inputs(&[("a", "1"), ("b", "2"), ("new", "1")])).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (
            Code::InputsMoved,
            "`b`, `gone`, `new` changed while the code was compiled"
        )
    );
}
