//! The inputs of a run as they were asked for: from a file, and from the words after `--`, which win.
//!
//! Everything that is wrong is said at once. What a value becomes is for whoever runs the task to say.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::{Code, nearest};
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::{arguments, file};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// What was asked for.
pub(super) struct InputArgs<'a> {
    /// The task.
    pub(super) task: &'a str,
    /// Its inputs.
    pub(super) types: &'a BTreeMap<String, Type>,
    /// `--x 21`
    pub(super) words: &'a [String],
    /// `--inputs FILE`
    pub(super) file: Option<&'a Path>,
}

/// A value, and what a message says before and after what is wrong with it.
struct LocatedValue {
    given: InputValue,
    before: String,
    after: String,
}

impl InputArgs<'_> {
    /// The value of each input, as `take` makes it of what was given. Relative paths start from the
    /// user's folder, and those in a file from its own.
    ///
    /// # Errors
    /// `InputsInvalid`, with everything that is wrong.
    pub(super) fn read<T>(&self, folder: &Path, take: impl Fn(&Type, &InputValue) -> Result<T, String>) -> Result<BTreeMap<String, T>> {
        let mut problems = Vec::new();
        let from_file = self.of_file(folder, &mut problems);
        let has_all = from_file.is_ok();
        let mut placed = from_file.unwrap_or_else(|why| {
            problems.push(why);
            BTreeMap::new()
        });
        let words = arguments::read(self.words, self.types);
        problems.extend(words.problems);
        for (name, given) in words.given {
            let given = absolute(&self.types[&name], given, folder);
            let after = format!("; an example is `{}`", arguments::example(&name, &self.types[&name]));
            placed.insert(name.clone(), LocatedValue { given, before: format!("`{}`", arguments::flag(&name)), after });
        }
        let mut taken = BTreeMap::new();
        for (name, ty) in self.types {
            let absent = LocatedValue { given: InputValue::Nothing, before: format!("`{name}`"), after: String::new() };
            let placed = match (placed.remove(name), ty) {
                (Some(placed), _) => placed,
                (None, Type::Optional(_)) => absent,
                // What it should be is said already, or is not known.
                (None, _) if !has_all || words.broken.contains(name) => continue,
                (None, _) => {
                    let example = arguments::example(name, ty);
                    problems.push(format!("`{name}` is missing: it is {}, such as `{example}`", arguments::noun(ty)));
                    continue;
                }
            };
            match take(ty, &placed.given) {
                Ok(value) => drop(taken.insert(name.clone(), value)),
                Err(why) => problems.push(format!("{}: {why}{}", placed.before, placed.after)),
            }
        }
        if problems.is_empty() { Ok(taken) } else { Err(self.failed(&problems)) }
    }

    /// The values of the file, when there is one; names that are no inputs go to the problems.
    fn of_file(&self, folder: &Path, problems: &mut Vec<String>) -> Result<BTreeMap<String, LocatedValue>, String> {
        let Some(typed) = self.file else { return Ok(BTreeMap::new()) };
        let path = fs::absolute(folder, typed);
        let mut placed = BTreeMap::new();
        for (name, given) in file::read(&path)? {
            match self.types.get(&name) {
                Some(ty) => {
                    let given = absolute(ty, given, path.parent().unwrap_or(folder));
                    let before = format!("`{name}` of `{}`", typed.display());
                    placed.insert(name, LocatedValue { given, before, after: String::new() });
                }
                None => {
                    let meant = nearest(&name, self.types.keys().map(String::as_str));
                    let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
                    problems.push(format!("`{name}` of `{}` is no input{meant}", typed.display()));
                }
            }
        }
        Ok(placed)
    }

    fn failed(&self, problems: &[String]) -> Error {
        let list: Vec<String> = self.types.iter().map(|(name, ty)| format!("`{name}: {ty}`")).collect();
        let takes = if list.is_empty() { "It takes no inputs.".to_owned() } else { format!("It takes {}.", list.join(", ")) };
        let error = Error::new(Code::InputsInvalid, format!("could not run task `{}` with these inputs", self.task));
        error.because(problems.join("\n")).help(takes)
    }
}

/// A value whose relative paths start from a folder; addresses stay.
fn absolute(ty: &Type, given: InputValue, folder: &Path) -> InputValue {
    match (ty, given) {
        (Type::File | Type::Directory, InputValue::Text(path)) if !path.contains("://") => {
            InputValue::Text(fs::absolute(folder, Path::new(&path)).to_string_lossy().into_owned())
        }
        (Type::Optional(inner), given) => absolute(inner, given, folder),
        (Type::List(inner), InputValue::List(values)) => {
            InputValue::List(values.into_iter().map(|value| absolute(inner, value, folder)).collect())
        }
        (Type::Map(inner), InputValue::Map(values)) => {
            InputValue::Map(values.into_iter().map(|(name, value)| (name, absolute(inner, value, folder))).collect())
        }
        (_, given) => given,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn types(types: &[(&str, &str)]) -> BTreeMap<String, Type> {
        types.iter().map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap())).collect()
    }

    fn read(types: &BTreeMap<String, Type>, words: &[&str], file: Option<&Path>) -> Result<BTreeMap<String, InputValue>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let take = |ty: &Type, given: &InputValue| ty.misfit(given).map_or_else(|| Ok(given.clone()), Err);
        InputArgs { task: "train", types, words: &words, file }.read(Path::new("/here"), take)
    }

    #[test]
    fn words_win_over_the_file_and_what_is_optional_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inputs.toml");
        std::fs::write(&file, "x = 1\nlabel = 'file'\ndata = ['a.csv', 's3://b']\n").unwrap();
        let types = types(&[("x", "integer"), ("label", "string"), ("data", "list[file]"), ("seed", "optional[integer]"), ("out", "file")]);
        let taken = read(&types, &["--x", "2", "--out", "sub/../o.bin"], Some(&file)).unwrap();
        let text = |text: &str| InputValue::Text(text.to_owned());
        assert_eq!((&taken["x"], &taken["label"], &taken["seed"]), (&InputValue::Integer(2), &text("file"), &InputValue::Nothing));
        let csv = folder.path().join("a.csv").display().to_string();
        assert_eq!(taken["data"], InputValue::List(vec![text(&csv), text("s3://b")]));
        assert_eq!(taken["out"], text("/here/o.bin"));
    }

    #[test]
    fn everything_that_is_wrong_comes_at_once_with_what_is_expected() {
        let types = types(&[("label", "string"), ("rate", "float"), ("x", "integer"), ("when", "datetime")]);
        let error = read(&types, &["--lable", "a", "--rate", "fast", "--when=soon"], None).unwrap_err();
        assert_eq!(error.code(), Code::InputsInvalid);
        assert_eq!(
            error.chain(),
            [
                "could not run task `train` with these inputs",
                "`--lable` is no input; did you mean `--label`?\n\
                 `--rate`: `fast` is not a number; an example is `--rate 0.5`\n\
                 `label` is missing: it is text, such as `--label text`\n\
                 `--when`: `\"soon\"` is not a time such as `2030-01-31T12:00:00Z`; an example is `--when 2030-01-31T12:00:00Z`\n\
                 `x` is missing: it is a whole number, such as `--x 21`",
            ]
        );
        assert_eq!(error.advice(), "It takes `label: string`, `rate: float`, `when: datetime`, `x: integer`.");
    }

    #[test]
    fn a_file_s_own_mistakes_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.json");
        std::fs::write(&file, r#"{"rates": 1, "x": "one"}"#).unwrap();
        let types = types(&[("x", "integer"), ("rate", "float")]);
        let error = read(&types, &[], Some(&file)).unwrap_err();
        let shown = file.display();
        let expected = [
            format!("`rates` of `{shown}` is no input; did you mean `rate`?"),
            "`rate` is missing: it is a number, such as `--rate 0.5`".to_owned(),
            format!("`x` of `{shown}`: `\"one\"` is not a whole number"),
        ];
        assert_eq!(error.chain()[1], expected.join("\n"));
        std::fs::remove_file(&file).unwrap();
        let error = read(&types, &["--rate", "1"], Some(&file)).unwrap_err();
        assert!(error.chain()[1].starts_with(&format!("`{shown}` cannot be read")), "{:?}", error.chain());
        assert_eq!(error.chain()[1].lines().count(), 1, "what the file would have said is not missing");
    }
}
