//! Maps the steps of a Dockerfile, as engines report them, to what the user wrote in the manifest.
//!
//! An engine names a step by its number and the generated line of the Dockerfile, which includes mounts and variables,
//! in a format that differs between engines. The number identifies the instruction.

use std::fmt;

/// An instruction of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// For example `RUN`.
    pub(super) name: String,
    /// The command or copy as written in the manifest.
    pub(super) shown: String,
}

/// The steps of a generated Dockerfile; empty for a user's own, whose lines are shown unchanged.
#[derive(Clone, Debug, Default)]
pub(super) struct DockerfileSteps {
    instructions: Vec<Instruction>,
    from_scratch: bool,
}

/// A step for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShownStep {
    /// For example `[2/4] RUN`; empty if the engine's name of the step was not recognized.
    pub(super) head: String,
    /// The arguments of the instruction.
    pub(super) command: String,
}

impl DockerfileSteps {
    pub(super) fn of(instructions: Vec<Instruction>, from: &str) -> Self {
        Self {
            instructions,
            from_scratch: from == "scratch",
        }
    }

    /// The step with an engine's name.
    pub(super) fn shown(&self, name: &str) -> ShownStep {
        let unchanged = || ShownStep {
            head: String::new(),
            command: name.to_owned(),
        };
        let Some((number, count, line)) = position(name) else {
            return unchanged();
        };
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        let head = format!("[{number}/{count}] {instruction}");
        if self.instructions.is_empty() {
            return ShownStep {
                head,
                command: rest.to_owned(),
            };
        }
        // Buildah counts every instruction; BuildKit counts those that create a layer, and a base other than scratch.
        let creates_layer = |known: &&Instruction| match known.name.as_str() {
            "FROM" => !self.from_scratch,
            name => matches!(name, "RUN" | "COPY" | "WORKDIR"),
        };
        let all: Vec<&Instruction> = self.instructions.iter().collect();
        let with_layers: Vec<&Instruction> =
            self.instructions.iter().filter(creates_layer).collect();
        let command_in = |list: &[&Instruction]| {
            let known = (list.len() == count)
                .then(|| list.get(number.checked_sub(1)?).copied())
                .flatten();
            known
                .filter(|known| known.name == instruction)
                .map(|known| known.shown.clone())
        };
        match command_in(&all).or_else(|| command_in(&with_layers)) {
            Some(command) => ShownStep { head, command },
            None => unchanged(),
        }
    }
}

impl ShownStep {
    /// Whether it runs a command, which may take long.
    pub(super) fn runs(&self) -> bool {
        self.head.ends_with(" RUN")
    }

    /// The first line of its text, followed by `…` if there are more.
    pub(super) fn first_line(&self) -> String {
        let text = self.to_string();
        match text.split_once('\n') {
            Some((first, _)) => format!("{}…", first.trim_end()),
            None => text,
        }
    }
}

impl fmt::Display for ShownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.head.is_empty() || self.command.is_empty() {
            ""
        } else {
            " "
        };
        write!(f, "{}{space}{}", self.head, self.command)
    }
}

/// Parses the name of a step of the last stage, `[2/4] RUN …` with BuildKit, `2/4: RUN …` with buildah, into number,
/// count and line.
fn position(name: &str) -> Option<(usize, usize, &str)> {
    let (position, line) = match name.strip_prefix('[') {
        Some(name) => name.split_once("] ")?,
        None => name.split_once(": ")?,
    };
    let (number, count) = position.split_once('/')?;
    Some((number.parse().ok()?, count.parse().ok()?, line))
}

/// How a step ended, without the generated line of the Dockerfile: `exit code: 100`.
pub(super) fn outcome(why: &str) -> &str {
    let exit = ["exit code: ", "exit status "]
        .iter()
        .filter_map(|words| why.rfind(words))
        .max();
    if let Some(start) = exit {
        return &why[start..];
    }
    // Buildah and BuildKit quote the line before they describe the failure.
    for (begins, after) in [
        ("building at STEP \"", "\": "),
        ("process \"", "\" did not complete successfully: "),
    ] {
        if let Some((_, rest)) = why
            .split_once(begins)
            .and_then(|(_, rest)| rest.rsplit_once(after))
        {
            return rest;
        }
    }
    why
}

/// Whether an engine's error message means that a registry denied access.
pub(super) fn is_refusal(why: &str) -> bool {
    let why = why.to_lowercase();
    let words = [
        "401 unauthorized",
        "403 forbidden",
        "authentication required",
        "authorization failed",
        "no basic auth credentials",
    ];
    words.iter().any(|word| why.contains(word))
        || why.contains("pull access denied")
        || why.contains("access to the resource is denied")
}

#[cfg(test)]
mod tests;
