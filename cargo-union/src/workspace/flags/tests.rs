use super::*;

fn words(flags: &str) -> Vec<String> {
    flags.split(' ').map(str::to_owned).collect()
}

fn files(flags: &str) -> String {
    let read = |path: &str| match path {
        "more.args" => Some("-Clink-arg=-Tinner.ld\n@more.args\n".to_owned()),
        "link.args" => Some("-Wl,--version-script=inner.map 'quoted.o' @link.args".to_owned()),
        _ => None,
    };
    NamedByFlags::parse(&words(flags), &read)
        .files
        .into_iter()
        .filter(|file| !file.starts_with(['-', '@']))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn files_are_found_in_every_form_of_flag() {
    for (flags, expected) in [
        ("-Clink-arg=@link.args", "inner.map link.args quoted.o"),
        ("@more.args", "inner.ld more.args"),
        ("-C link-arg=-Tmemory.x", "memory.x"),
        ("-Clink-arg=-T -Clink-arg=memory.x", " memory.x"),
        ("--codegen=link-args=-Wl,-T,memory.x", " memory.x"),
        ("--codegen link_arg=-Wl,--version-script,a.map", "a.map"),
        ("-Clink-arg=-Wl,--version-script=a.map", "a.map"),
        ("-Cprofile-use=app.profdata", "app.profdata"),
        ("--extern helper=libhelper.rlib", "libhelper.rlib"),
        ("--cfg fast -Awarnings", ""),
    ] {
        assert_eq!(files(flags), expected, "{flags}");
    }
    assert_eq!(
        NamedByFlags::parse(&words("-Clinker=tools/ld.sh"), &|_| None).programs,
        ["tools/ld.sh".to_owned()].into()
    );
}

#[test]
fn target_cpu_native_is_detected_in_every_form() {
    for flags in [
        "-Ctarget-cpu=native",
        "-C target-cpu=native",
        "--codegen target-cpu=native",
        "--codegen=target_cpu=native",
    ] {
        assert!(is_native(&words(flags)), "{flags}");
    }
    for flags in [
        "-Ctarget-cpu=x86-64-v3",
        "-Ctarget-cpu=native -Ctarget-cpu=x86-64",
        "--cfg native",
        "-Ctarget-feature=+avx2",
    ] {
        assert!(!is_native(&words(flags)), "{flags}");
    }
}
