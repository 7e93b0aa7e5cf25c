//! The generations of Flyte.

/// Which generation of Flyte a backend is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The generation that the backend reports.
    #[default]
    Auto,
    /// Flyte 1: REST with protobuf messages.
    Flyte1,
    /// Flyte 2 and Union: the Connect protocol.
    Flyte2,
}

impl BackendChoice {
    /// All choices with their words in the manifest.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("flyte1", Self::Flyte1),
        ("flyte2", Self::Flyte2),
    ];

    /// The choice of a word; `None` for another word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, choice)| *choice)
    }
}
