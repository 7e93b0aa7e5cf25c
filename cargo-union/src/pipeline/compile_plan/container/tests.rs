use super::is_passed_on;

#[test]
fn cargo_variables_are_passed_on_without_paths_of_host_tools() {
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_PROFILE_RELEASE_LTO",
        "CARGO_REGISTRIES_MY_TOKEN",
        "SOURCE_DATE_EPOCH",
        "RUSTC_BOOTSTRAP",
    ] {
        assert!(is_passed_on(name), "{name}");
    }
    for name in [
        "CARGO",
        "CARGO_HOME",
        "PATH",
        "RUSTC_WRAPPER",
        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
        "RUSTUP_HOME",
        "AWS_SECRET",
    ] {
        assert!(!is_passed_on(name), "{name}");
    }
}
