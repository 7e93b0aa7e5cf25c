use union_build::diag::Code;

use super::*;

#[test]
fn errors_with_equal_causes_are_grouped() {
    let error = |code, what: &str, cause: &str| Error::new(code, what).because(cause.to_owned());
    let refused = |what| error(Code::BackendRefused, what, "no organization");
    let (a, b) = (refused("a"), refused("b"));
    let c = error(Code::BackendRefused, "c", "another cause");
    let d = error(Code::BackendFailed, "d", "no organization");
    let e = refused("e").help("Other advice.");
    let (f, g) = (
        Error::new(Code::BackendRefused, "f"),
        Error::new(Code::BackendRefused, "g"),
    );
    let groups: Vec<String> = group_by_cause(&[&a, &c, &b, &d, &e, &f, &g])
        .into_iter()
        .map(|(first, others)| {
            let others = others.iter().map(ToString::to_string);
            format!("{first}{}", others.collect::<String>())
        })
        .collect();
    assert_eq!(groups, ["ab", "c", "d", "e", "f", "g"]);
}
