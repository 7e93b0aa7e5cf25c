//! The most similar name, by the rules of `union_build::diag::nearest`.

/// Longer names are not compared.
const LONGEST: usize = 64;

/// The number of edits between two names, if they are similar enough for one to be a misspelling of the other.
pub fn edits(expected: &[u8], found: &[u8]) -> Option<usize> {
    if expected.len() > LONGEST || found.len() > LONGEST {
        return None;
    }
    let edits = distance(expected, found);
    let most = (expected.len().max(found.len()) / 3).max(1);
    (edits <= most && edits < found.len()).then_some(edits)
}

/// Damerau-Levenshtein distance (optimal string alignment).
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut before_last = [0; LONGEST + 1];
    let mut last = [0; LONGEST + 1];
    let mut current = [0; LONGEST + 1];
    for (position, edits) in last.iter_mut().enumerate() {
        *edits = position;
    }
    let mut letter_before = 0;
    for (row, letter) in from.iter().copied().map(folded).enumerate() {
        current[0] = row + 1;
        let mut other_before = 0;
        for (column, other) in to.iter().copied().map(folded).enumerate() {
            let mut edits = (last[column] + usize::from(letter != other))
                .min(last[column + 1] + 1)
                .min(current[column] + 1);
            if row > 0 && column > 0 && letter == other_before && letter_before == other {
                edits = edits.min(before_last[column - 1] + 1);
            }
            current[column + 1] = edits;
            other_before = other;
        }
        letter_before = letter;
        before_last = last;
        last = current;
    }
    last[to.len()]
}

/// Upper and lower case are equal, and so are `_` and `-`.
fn folded(letter: u8) -> u8 {
    if letter == b'_' {
        b'-'
    } else {
        letter.to_ascii_lowercase()
    }
}
