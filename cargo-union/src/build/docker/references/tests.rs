use proptest::prelude::*;

use super::*;

fn images(dockerfile: &str) -> Vec<String> {
    repositories(dockerfile)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn images_of_from_copy_run_and_syntax_are_found() {
    let dockerfile = "# syntax=reg.test/frontend:1\n\
        ARG HOST=reg.test TAG\n\
        ARG IMAGE=\"${HOST}/from/arg\"\n\
        FROM --platform=$BUILDPLATFORM $IMAGE:${TAG:-1} AS Build\n\
        FROM build AS next\n\
        # FROM reg.test/comment\n\
        COPY --from=build --chown=1 a b\n\
        COPY --link --from=reg.test/copied \\\n\
        # FROM reg.test/inside\n\
        a b\n\
        COPY --from=0 a b\n\
        RUN --mount=type=bind,from=reg.test/mounted,target=/m --mount=type=cache,target=/c echo FROM reg.test/echo\n\
        RUN <<EOF cat\nFROM reg.test/here\nEOF\n\
        from scratch\n\
        copy --from=nginx a b\n";
    let expected = [
        "docker.io/library/nginx",
        "reg.test/copied",
        "reg.test/from/arg",
        "reg.test/frontend",
        "reg.test/mounted",
    ];
    assert_eq!(images(dockerfile), expected);
}

#[test]
fn variables_are_expanded_as_in_buildkit() {
    let values = [
        ("A".to_owned(), "1".to_owned()),
        ("EMPTY".to_owned(), String::new()),
    ]
    .into();
    for (word, expected) in [
        ("$A", "1"),
        ("x${A}y", "x1y"),
        ("$A_B", ""),
        ("${B:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "1"),
        ("${A:+o}", "o"),
        ("${B:+o}", ""),
        ("\\$A", "$A"),
        ("${A", "{A"),
        ("$", ""),
        ("\\", ""),
    ] {
        assert_eq!(expand(word, &values, '\\'), expected, "{word}");
    }
}

#[test]
fn escape_directive_is_respected() {
    assert_eq!(
        images("# escape=`\nFROM `\nreg.test/a\nCOPY c:\\ d\nFROM reg.test/b\n"),
        ["reg.test/a", "reg.test/b"]
    );
    assert_eq!(images("FROM reg.test/a \\"), ["reg.test/a"]);
}

proptest! {
    #[test]
    fn parsing_a_dockerfile_never_panics(text in "(FROM|ARG|COPY --from=|RUN --mount=from=|<<EOF|# syntax=|\\\\|\n|[ ${}:=`\"'é-]|[a-z/.]{1,6}){0,24}") {
        let _ = repositories(&text);
    }

    #[test]
    fn image_is_found_after_any_comments(
        path in "[a-z]{1,8}(/[a-z]{1,8}){0,2}",
        before in proptest::collection::vec("[a-z #$<\\{}=]{0,12}", 0..4),
        tag in "[a-z0-9]{1,5}",
    ) {
        let before: String = before.iter().map(|line| format!("# {line}.\n")).collect();
        let found = images(&format!("{before}FROM reg.test:5000/{path}:{tag} AS x\nCOPY --from=x a b\n"));
        prop_assert_eq!(found, [format!("reg.test:5000/{path}")]);
    }
}
