//! The version of a package's tasks.
//!
//! There is one for all of them, whichever are registered: a hash of what is declared and of the images'
//! tags, so that it is known before anything is compiled and the same on every machine. Where they are
//! registered is not part of it: a promoted task keeps its version.

use std::collections::BTreeMap;

use union_build::diag::Code;
use union_build::key::{Inputs, Value};
use union_build::spec::value::InputValue;

use super::convert::{ProjectDomain, TaskSource, deploy_task, msgpack};
use super::idl::Message as _;
use crate::sys::error::{Error, Result};

/// The most characters that the protocol takes.
pub const LONGEST: usize = 63;

/// A version, and who chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVersionHash {
    /// As the backend has it.
    pub text: String,
    /// Whether it is the hash of what is registered.
    pub derived: bool,
}

impl TaskVersionHash {
    /// The version of a package's tasks, each with the tagged reference of its image.
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a TaskSource<'a>>) -> Self {
        let mut inputs = Inputs::new();
        for subject in tasks {
            inputs.insert(subject.task.key.clone(), content(subject));
        }
        Self { text: inputs.key("tasks").spec_hash(), derived: true }
    }

    /// The version that a user has chosen.
    ///
    /// # Errors
    /// `VersionInvalid`.
    pub fn chosen(text: &str) -> Result<Self> {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '+' | '-');
        let why = match text.chars().count() {
            0 => Some("it is empty".to_owned()),
            _ if !text.chars().all(letters) => Some("it has other characters".to_owned()),
            count if count > LONGEST => Some(format!("it has {count} characters, and the backend takes at most {LONGEST}")),
            _ => None,
        };
        match why {
            None => Ok(Self { text: text.to_owned(), derived: false }),
            Some(why) => Err(Error::new(Code::VersionInvalid, format!("`{text}` cannot be a version")).because(why)),
        }
    }
}

fn content(subject: &TaskSource<'_>) -> Value {
    let request = deploy_task(subject, &ProjectDomain::default(), "");
    // The types of a binary's inputs are not known here, so that the values of triggers stand beside.
    let values = |values: &BTreeMap<String, union_build::spec::Sourced<InputValue>>| {
        Value::hash_of(msgpack::encode(&InputValue::Map(values.iter().map(|(name, given)| (name.clone(), given.value.clone())).collect())))
    };
    let triggers = subject.task.triggers.iter().map(|(name, trigger)| (name.clone(), values(&trigger.inputs)));
    Value::List(vec![Value::hash_of(request.encode_to_vec()), Value::Map(triggers.collect())])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_version_is_one_that_the_backend_takes() {
        assert_eq!(
            TaskVersionHash::chosen("v1.2.0-rc.1+x_y").unwrap(),
            TaskVersionHash { text: "v1.2.0-rc.1+x_y".to_owned(), derived: false }
        );
        assert!(TaskVersionHash::chosen(&"a".repeat(63)).is_ok());
        for (text, why) in
            [("", "it is empty"), ("a b", "other characters"), (&"a".repeat(64), "64 characters, and the backend takes at most 63")]
        {
            let error = TaskVersionHash::chosen(text).unwrap_err();
            assert_eq!(error.code(), Code::VersionInvalid);
            assert!(error.chain()[1].contains(why), "{:?}", error.chain());
        }
    }
}
