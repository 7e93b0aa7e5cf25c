//! Reads the values of keys from variables and the file; problems are collected.

use std::path::{Path, PathBuf};

use union_build::diag::{Diagnostic, Origin};
use union_build::spec::Sourced;

use super::file::ConfigFile;
use super::invalid;
use super::keys::ConfigKey;
use super::yaml::{YamlNode, YamlValue};
use crate::sys::fs;
use crate::sys::process::Environment;

pub(super) struct ConfigReader<'a> {
    pub(super) environment: &'a Environment,
    file: Option<&'a ConfigFile>,
    pub(super) problems: &'a mut Vec<Diagnostic>,
}

/// A value as written.
enum ConfigValue<'a> {
    Text(&'a str),
    List(Vec<&'a str>),
}

impl<'a> ConfigReader<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        file: Option<&'a ConfigFile>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            environment,
            file,
            problems,
        }
    }

    /// A string.
    pub(super) fn text(&mut self, key: &ConfigKey) -> Option<Sourced<String>> {
        let (written, origin) = self.value(key)?;
        match written {
            ConfigValue::Text(text) => Some(Sourced {
                value: text.to_owned(),
                origin,
            }),
            ConfigValue::List(_) => {
                self.problems.push(invalid(
                    format!("`{}` must be a string, not a list", key.path),
                    &origin,
                ));
                None
            }
        }
    }

    /// A path; relative paths start from `directory`.
    pub(super) fn path(&mut self, key: &ConfigKey, directory: &Path) -> Option<Sourced<PathBuf>> {
        self.text(key).map(|text| Sourced {
            value: fs::absolute(directory, Path::new(&text.value)),
            origin: text.origin,
        })
    }

    /// Adds a problem with a value.
    pub(super) fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// A boolean, with all the words of YAML 1.1, which Python reads.
    pub(super) fn switch(&mut self, key: &ConfigKey) -> Option<Sourced<bool>> {
        let text = self.text(key)?;
        let value = match text.value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => true,
            "false" | "no" | "off" | "0" => false,
            _ => {
                let problem = invalid(
                    format!(
                        "`{}` of `{}` is neither true nor false",
                        text.value, key.path
                    ),
                    &text.origin,
                );
                self.problems
                    .push(problem.help("the values are `true` and `false`"));
                return None;
            }
        };
        Some(Sourced {
            value,
            origin: text.origin,
        })
    }

    /// A program with its arguments: a list, a JSON array, or words in shell syntax.
    pub(super) fn command(&mut self, key: &ConfigKey) -> Option<Sourced<Vec<String>>> {
        self.list(key, shlex::split, "quotes that do not end")
    }

    /// A list of words: a list, a JSON array, or words separated by commas or blanks.
    pub(super) fn words(&mut self, key: &ConfigKey) -> Option<Sourced<Vec<String>>> {
        let split = |text: &str| {
            let words = text.split(|letter: char| letter == ',' || letter.is_whitespace());
            Some(
                words
                    .filter(|word| !word.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )
        };
        self.list(key, split, "")
    }

    fn list(
        &mut self,
        key: &ConfigKey,
        split: impl Fn(&str) -> Option<Vec<String>>,
        otherwise: &str,
    ) -> Option<Sourced<Vec<String>>> {
        let (written, origin) = self.value(key)?;
        let value = match written {
            ConfigValue::List(texts) => Some(texts.into_iter().map(str::to_owned).collect()),
            ConfigValue::Text(text) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).ok().or_else(|| split(text))
            }
            ConfigValue::Text(text) => split(text),
        };
        if value.is_none() {
            self.problems
                .push(invalid(format!("`{}` has {otherwise}", key.path), &origin));
        }
        value
            .filter(|words: &Vec<String>| !words.is_empty())
            .map(|value| Sourced { value, origin })
    }

    fn value(&mut self, key: &ConfigKey) -> Option<(ConfigValue<'a>, Origin)> {
        let set_value = |name: &&'static str| {
            self.environment
                .get(name)
                .filter(|value| !value.is_empty())
                .map(|value| (*name, value))
        };
        let mut variables = key.variables.iter().filter_map(set_value);
        if let Some((name, value)) = variables.next() {
            if let Some((other, _)) = variables.find(|(_, other)| *other != value) {
                let message =
                    format!("{name} and {other} set the same value differently: {name} is used");
                let warning = Diagnostic {
                    severity: union_build::diag::Severity::Warning,
                    ..invalid(message, &Origin::Env(other))
                };
                self.problems.push(warning.help(format!("unset {other}")));
            }
            return Some((ConfigValue::Text(value), Origin::Env(name)));
        }
        self.in_file(key)
    }

    fn in_file(&mut self, key: &ConfigKey) -> Option<(ConfigValue<'a>, Origin)> {
        let file = self.file?;
        let mut node = file.root.as_ref()?;
        for step in key.path.split('.') {
            node = node.get(step)?;
        }
        let origin = Origin::File(file.source.clone(), node.span.clone());
        let value = match &node.value {
            YamlValue::Null => return None,
            YamlValue::Text(text) => Some(text.as_str())
                .filter(|text| !text.is_empty())
                .map(ConfigValue::Text),
            YamlValue::List(nodes) if nodes.is_empty() => None,
            YamlValue::List(nodes) => {
                let texts: Option<Vec<&str>> = nodes.iter().map(|node| text_of(node)).collect();
                return texts
                    .map(|texts| (ConfigValue::List(texts), origin.clone()))
                    .or_else(|| self.not_a_list(key, &origin));
            }
            YamlValue::Map(_) => return self.not_a_list(key, &origin),
        };
        value.map(|value| (value, origin))
    }

    fn not_a_list(
        &mut self,
        key: &ConfigKey,
        origin: &Origin,
    ) -> Option<(ConfigValue<'a>, Origin)> {
        self.problems.push(invalid(
            format!("`{}` must be a string or a list of strings", key.path),
            origin,
        ));
        None
    }
}

fn text_of(node: &YamlNode) -> Option<&str> {
    match &node.value {
        YamlValue::Text(text) => Some(text),
        _ => None,
    }
}
