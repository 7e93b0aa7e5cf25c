//! Counts the words of a text: `any-program --at-least=LETTERS TEXT DIRECTORY`.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [at_least, text, directory] = &words[..] else {
        return Err("expected --at-least=LETTERS TEXT DIRECTORY".into());
    };
    let at_least: usize = at_least.trim_start_matches("--at-least=").parse()?;
    let counts = count(&fs::read_to_string(text)?, at_least);
    let longest = counts
        .keys()
        .max_by_key(|word| word.chars().count())
        .ok_or("the text has no such word")?;
    let lines: String = counts
        .iter()
        .map(|(word, count)| format!("{count} {word}\n"))
        .collect();
    println!("{} different words", counts.len());

    // Each output is a file of its name.
    let directory = Path::new(directory);
    fs::write(
        directory.join("words"),
        counts.values().sum::<usize>().to_string(),
    )?;
    fs::write(directory.join("longest"), longest)?;
    fs::write(directory.join("counts"), lines)?;
    Ok(())
}

fn count(text: &str, at_least: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let words = text
        .split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_lowercase);
    for word in words.filter(|word| !word.is_empty() && word.chars().count() >= at_least) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}
