#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn addresses_of_other_stores_are_refused() {
    for address in [
        "gs://b/k",
        "abfs://c@a/k",
        "/etc/passwd",
        "",
        "https://",
        "file:///a",
    ] {
        let code = parse(address).err().map(|error| error.code());
        assert_eq!(code, Some(Code::StoreUnsupported), "{address}");
    }
    assert!(matches!(
        parse("s3://b/a/c").unwrap(),
        StoreAddress::S3(bucket, key) if bucket == "b" && key == "a/c"
    ));
}

#[test]
fn paths_that_leave_the_directory_are_refused() {
    assert_eq!(
        relative("s3://b/d", "d/", "d/x/y").unwrap(),
        Path::new("x/y")
    );
    for key in [
        "d/../x",
        "d/x/../../y",
        "d//etc/passwd",
        "d/x//y",
        "d/./x",
        "d/",
        "e/x",
        "",
        "d/x\0y",
    ] {
        assert!(relative("s3://b/d", "d/", key).is_err(), "{key:?}");
    }
}
