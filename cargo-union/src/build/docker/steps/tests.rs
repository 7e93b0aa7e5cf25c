use super::*;

fn steps(from: &str) -> DockerfileSteps {
    let lines = [
        ("FROM", from),
        ("USER", "0:0"),
        ("RUN", "apt-get"),
        ("WORKDIR", "/srv"),
        ("COPY", "a /a"),
        ("RUN", "one\ntwo $A"),
        ("USER", "1"),
    ];
    let instruction = |(name, shown): (&str, &str)| Instruction {
        name: name.to_owned(),
        shown: shown.to_owned(),
    };
    DockerfileSteps::of(lines.into_iter().map(instruction).collect(), from)
}

#[test]
fn steps_of_buildkit_and_buildah_are_identified_by_number() {
    for (from, name, shown) in [
        (
            "base",
            "[2/5] RUN --mount=type=cache,target=/a [\"/bin/sh\",\"-c\",\"apt-get\"]",
            "[2/5] RUN apt-get",
        ),
        (
            "base",
            "[5/5] RUN [\"/usr/bin/env\",\"A=\"b\"\",\"one\\ntwo b\"]",
            "[5/5] RUN one\ntwo $A",
        ),
        ("scratch", "[4/4] RUN [\"one\"]", "[4/4] RUN one\ntwo $A"),
        (
            "base",
            "6/7: RUN --mount=x [\"one\"]",
            "[6/7] RUN one\ntwo $A",
        ),
        ("base", "5/7: COPY [\"copy/0\",\"/a\"]", "[5/7] COPY a /a"),
        // Not identified, therefore unchanged.
        ("base", "[5/5] COPY x", "[5/5] COPY x"),
        ("base", "[9/5] RUN x", "[9/5] RUN x"),
        ("base", "[0/5] RUN x", "[0/5] RUN x"),
        (
            "base",
            "[union-tool-0 1/1] FROM x",
            "[union-tool-0 1/1] FROM x",
        ),
        ("base", "exporting", "exporting"),
    ] {
        assert_eq!(steps(from).shown(name).to_string(), shown, "{name}");
    }
    assert_eq!(
        steps("base").shown("[5/5] RUN x").first_line(),
        "[5/5] RUN one…"
    );
    assert!(steps("base").shown("6/7: RUN x").runs() && !steps("base").shown("5/7: COPY x").runs());
}

#[test]
fn steps_of_a_user_dockerfile_are_shown_unchanged() {
    let shown =
        DockerfileSteps::default().shown("[2/2] RUN --mount=type=cache,target=/c echo made");
    assert_eq!(
        (shown.head.as_str(), shown.command.as_str()),
        ("[2/2] RUN", "--mount=type=cache,target=/c echo made")
    );
}

#[test]
fn outcome_of_a_step_omits_the_line() {
    for (why, shown) in [
        (
            "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7",
            "exit code: 7",
        ),
        (
            "building at STEP \"RUN --mount=x [\"a\"]\": while running runtime: exit status 7",
            "exit status 7",
        ),
        (
            "process \"/bin/sh -c x\" did not complete successfully: context deadline exceeded",
            "context deadline exceeded",
        ),
        (
            "building at STEP \"COPY a b\": no such file",
            "no such file",
        ),
        ("failed to compute cache key", "failed to compute cache key"),
    ] {
        assert_eq!(outcome(why), shown);
    }
}
