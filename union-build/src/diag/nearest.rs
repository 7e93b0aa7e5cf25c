//! Suggestions for misspelled words.

/// The word with the smallest edit distance to `typed`, or `None` when no word is close enough.
///
/// Case and the difference between `_` and `-` are ignored; two swapped neighbours are one edit.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = normalized(typed);
    let candidates = words
        .into_iter()
        .map(|word| (distance(&typed, &normalized(word)), word));
    let candidates = candidates
        .filter(|(mistakes, word)| *mistakes <= (typed.len().max(word.chars().count()) / 3).max(1));
    candidates
        .filter(|(mistakes, word)| *mistakes < word.chars().count())
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, word)| word)
}

fn normalized(word: &str) -> Vec<char> {
    word.chars()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == '_' { '-' } else { letter })
        .collect()
}

/// Damerau-Levenshtein distance (optimal string alignment).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let mut mistakes = (last[column] + usize::from(letter != other))
                .min(last[column + 1] + 1)
                .min(current[column] + 1);
            if row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other {
                mistakes = mistakes.min(before_last[column - 1] + 1);
            }
            current.push(mistakes);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspelled_word_finds_the_intended_word() {
        let words = ["apt-packages", "platforms", "env", "user"];
        for (typed, meant) in [
            ("apt_packages", Some("apt-packages")),
            ("APT-packages", Some("apt-packages")),
            ("apt-pakcages", Some("apt-packages")),
            ("platform", Some("platforms")),
            ("evn", Some("env")),
            ("uesr", Some("user")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }

    #[test]
    fn word_without_a_common_letter_is_never_proposed() {
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn nearer_of_two_words_wins() {
        assert_eq!(nearest("trains", ["trainer", "train"]), Some("train"));
    }
}
