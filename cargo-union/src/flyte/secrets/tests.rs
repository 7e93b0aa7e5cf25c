#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn names_and_values_are_limited_as_the_protocol_and_kubernetes_limit_them() {
    for name in ["a", "my-key_2", "-"] {
        check_name(name).unwrap();
    }
    for name in ["", "a b", "a/b", "é", "a\nb", "a.b"] {
        assert_eq!(
            check_name(name).unwrap_err().code(),
            Code::SecretInvalid,
            "{name}"
        );
    }
    check_value("a", &vec![0; LARGEST_VALUE]).unwrap();
    for size in [0, LARGEST_VALUE + 1] {
        let error = check_value("a", &vec![0; size]).unwrap_err();
        assert_eq!(error.code(), Code::SecretInvalid, "{size}");
    }
}
