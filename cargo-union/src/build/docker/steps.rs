//! The steps of a Dockerfile as whoever wrote the manifest knows them.
//!
//! An engine calls a step by its number and by our line of the Dockerfile, with mounts and variables in it, and each
//! engine writes that in another way. The number finds the instruction again.

use std::fmt;

/// An instruction of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// `RUN`.
    pub(super) name: String,
    /// What is run or copied, as it was written.
    pub(super) shown: String,
}

/// The steps of a Dockerfile of ours; none of a user's own, whose lines are known as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct DockerfileSteps {
    instructions: Vec<Instruction>,
    from_scratch: bool,
}

/// A step as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownStep {
    /// `[2/4] RUN`; empty when nothing is known of it.
    pub(super) head: String,
    /// The command, or what else it does.
    pub(super) what: String,
}

impl DockerfileSteps {
    /// The steps upon a base of this name.
    pub(super) fn of(instructions: Vec<Instruction>, from: &str) -> Self {
        Self { instructions, from_scratch: from == "scratch" }
    }

    /// A step by the name that an engine has for it.
    pub(super) fn shown(&self, name: &str) -> ShownStep {
        let whole = || ShownStep { head: String::new(), what: name.to_owned() };
        let Some((number, count, line)) = position(name) else { return whole() };
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        let head = format!("[{number}/{count}] {instruction}");
        if self.instructions.is_empty() {
            return ShownStep { head, what: rest.to_owned() };
        }
        // Buildah counts every instruction, BuildKit those that make a layer, and the base that is no empty one.
        let makes_layer = |known: &&Instruction| match known.name.as_str() {
            "FROM" => !self.from_scratch,
            name => matches!(name, "RUN" | "COPY" | "WORKDIR"),
        };
        let all: Vec<&Instruction> = self.instructions.iter().collect();
        let counted: Vec<&Instruction> = self.instructions.iter().filter(makes_layer).collect();
        let of = |list: &[&Instruction]| {
            let found = (list.len() == count).then(|| list.get(number.checked_sub(1)?).copied()).flatten();
            found.filter(|known| known.name == instruction).map(|known| known.shown.clone())
        };
        match of(&all).or_else(|| of(&counted)) {
            Some(what) => ShownStep { head, what },
            None => whole(),
        }
    }
}

impl ShownStep {
    /// Whether something runs in it, which may take long.
    pub(super) fn runs(&self) -> bool {
        self.head.ends_with(" RUN")
    }

    /// Its first line, for a message of one line.
    pub(super) fn first_line(&self) -> String {
        let whole = self.to_string();
        match whole.split_once('\n') {
            Some((first, _)) => format!("{}…", first.trim_end()),
            None => whole,
        }
    }
}

impl fmt::Display for ShownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.head.is_empty() || self.what.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}", self.head, self.what)
    }
}

/// The number of a step of the last stage, how many there are, and the rest of its name: `[2/4] RUN …` with BuildKit,
/// `2/4: RUN …` with buildah.
fn position(name: &str) -> Option<(usize, usize, &str)> {
    let (position, line) = match name.strip_prefix('[') {
        Some(name) => name.split_once("] ")?,
        None => name.split_once(": ")?,
    };
    let (number, count) = position.split_once('/')?;
    Some((number.parse().ok()?, count.parse().ok()?, line))
}

/// How a step ended, without our line of the Dockerfile: `exit code: 100`.
pub(super) fn outcome(why: &str) -> &str {
    let ended = ["exit code: ", "exit status "].iter().filter_map(|words| why.rfind(words)).max();
    if let Some(start) = ended {
        return &why[start..];
    }
    // Both name the line in quotes of their own, and only then say what happened.
    for (begins, after) in [("building at STEP \"", "\": "), ("process \"", "\" did not complete successfully: ")] {
        if let Some((_, rest)) = why.split_once(begins).and_then(|(_, rest)| rest.rsplit_once(after)) {
            return rest;
        }
    }
    why
}

/// Whether what an engine says of a step is that a registry did not let it in.
pub(super) fn is_refusal(why: &str) -> bool {
    let why = why.to_lowercase();
    let words = ["401 unauthorized", "403 forbidden", "authentication required", "authorization failed", "no basic auth credentials"];
    words.iter().any(|word| why.contains(word)) || why.contains("pull access denied") || why.contains("access to the resource is denied")
}

#[cfg(test)]
mod tests {
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
        let instruction = |(name, shown): (&str, &str)| Instruction { name: name.to_owned(), shown: shown.to_owned() };
        DockerfileSteps::of(lines.into_iter().map(instruction).collect(), from)
    }

    #[test]
    fn a_step_is_found_by_its_number_however_an_engine_counts() {
        for (from, name, shown) in [
            ("base", "[2/5] RUN --mount=type=cache,target=/a [\"/bin/sh\",\"-c\",\"apt-get\"]", "[2/5] RUN apt-get"),
            ("base", "[5/5] RUN [\"/usr/bin/env\",\"A=\"b\"\",\"one\\ntwo b\"]", "[5/5] RUN one\ntwo $A"),
            ("scratch", "[4/4] RUN [\"one\"]", "[4/4] RUN one\ntwo $A"),
            ("base", "6/7: RUN --mount=x [\"one\"]", "[6/7] RUN one\ntwo $A"),
            ("base", "5/7: COPY [\"copy/0\",\"/a\"]", "[5/7] COPY a /a"),
            // Nothing that would be wrong is said.
            ("base", "[5/5] COPY x", "[5/5] COPY x"),
            ("base", "[9/5] RUN x", "[9/5] RUN x"),
            ("base", "[0/5] RUN x", "[0/5] RUN x"),
            ("base", "[union-tool-0 1/1] FROM x", "[union-tool-0 1/1] FROM x"),
            ("base", "exporting", "exporting"),
        ] {
            assert_eq!(steps(from).shown(name).to_string(), shown, "{name}");
        }
        assert_eq!(steps("base").shown("[5/5] RUN x").first_line(), "[5/5] RUN one…");
        assert!(steps("base").shown("6/7: RUN x").runs() && !steps("base").shown("5/7: COPY x").runs());
    }

    #[test]
    fn steps_of_a_user_s_own_dockerfile_are_shown_as_they_are() {
        let shown = DockerfileSteps::default().shown("[2/2] RUN --mount=type=cache,target=/c echo made");
        assert_eq!((shown.head.as_str(), shown.what.as_str()), ("[2/2] RUN", "--mount=type=cache,target=/c echo made"));
    }

    #[test]
    fn how_a_step_ended_is_said_without_its_line() {
        for (why, shown) in [
            ("process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7", "exit code: 7"),
            ("building at STEP \"RUN --mount=x [\"a\"]\": while running runtime: exit status 7", "exit status 7"),
            ("process \"/bin/sh -c x\" did not complete successfully: context deadline exceeded", "context deadline exceeded"),
            ("building at STEP \"COPY a b\": no such file", "no such file"),
            ("failed to compute cache key", "failed to compute cache key"),
        ] {
            assert_eq!(outcome(why), shown);
        }
    }
}
