//! The word that was probably meant.

/// The word that is nearest to what was typed, when one is near enough to be worth a question.
///
/// Case and `_` against `-` count as nothing, two swapped letters as one mistake.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = plain(typed);
    let near = words.into_iter().map(|word| (distance(&typed, &plain(word)), word));
    let near = near.filter(|(mistakes, word)| *mistakes <= (typed.len().max(word.chars().count()) / 3).max(1));
    near.filter(|(mistakes, word)| *mistakes < word.chars().count()).min_by_key(|(mistakes, _)| *mistakes).map(|(_, word)| word)
}

fn plain(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).map(|letter| if letter == '_' { '-' } else { letter }).collect()
}

/// How many letters have to be put in, left out, changed or swapped with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let mut mistakes = (last[column] + usize::from(letter != other)).min(last[column + 1] + 1).min(current[column] + 1);
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
    fn a_slip_of_the_hand_finds_its_word() {
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
    fn a_word_that_shares_no_letter_is_never_proposed() {
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn the_nearer_of_two_words_wins() {
        assert_eq!(nearest("trains", ["trainer", "train"]), Some("train"));
    }
}
