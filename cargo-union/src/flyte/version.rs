//! The version under which a package's tasks are registered.
//!
//! All tasks of a package share one version: a hash of their declarations and of the tags of their images. So
//! it is known before anything is compiled, and the same on every machine. The project is not part of it: a
//! promoted task keeps its version.

use std::collections::BTreeMap;

use union_build::diag::Code;
use union_build::key::{Inputs, Value};
use union_build::spec::value::InputValue;

use super::convert::{ProjectDomain, TaskSource, deploy_task, msgpack};
use super::idl::Message as _;
use crate::sys::error::{Error, Result};

/// The maximum number of characters of a version in the protocol.
pub const LONGEST: usize = 63;

/// A version, derived or chosen by the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskVersionHash {
    /// The version as registered.
    pub text: String,
    /// Whether it is a hash of the tasks, rather than chosen.
    pub derived: bool,
}

impl TaskVersionHash {
    /// The version of a package's tasks; each source has the tagged reference of its image.
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a TaskSource<'a>>) -> Self {
        let mut inputs = Inputs::new();
        for subject in tasks {
            inputs.insert(subject.task.key.clone(), content_value(subject));
        }
        Self {
            text: inputs.key("tasks").spec_hash(),
            derived: true,
        }
    }

    /// A version that the user chose.
    ///
    /// # Errors
    /// U0709 (`VersionInvalid`) when it is empty, too long or has other characters.
    pub fn chosen(text: &str) -> Result<Self> {
        let letters = |letter: char| {
            letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '+' | '-')
        };
        let reason = match text.chars().count() {
            0 => Some("it is empty".to_owned()),
            _ if !text.chars().all(letters) => Some("it has other characters".to_owned()),
            count if count > LONGEST => Some(format!(
                "it has {count} characters, and the backend accepts at most {LONGEST}"
            )),
            _ => None,
        };
        match reason {
            None => Ok(Self {
                text: text.to_owned(),
                derived: false,
            }),
            Some(reason) => Err(Error::new(
                Code::VersionInvalid,
                format!("`{text}` cannot be a version"),
            )
            .because(reason)),
        }
    }
}

fn content_value(subject: &TaskSource<'_>) -> Value {
    let request = deploy_task(subject, &ProjectDomain::default(), "");
    // The types of a `rust` task's inputs are not known here, so the values of triggers are hashed separately.
    let values = |values: &BTreeMap<String, union_build::spec::Sourced<InputValue>>| {
        Value::hash_of(msgpack::encode(&InputValue::Map(
            values
                .iter()
                .map(|(name, given)| (name.clone(), given.value.clone()))
                .collect(),
        )))
    };
    let triggers = subject
        .task
        .triggers
        .iter()
        .map(|(name, trigger)| (name.clone(), values(&trigger.inputs)));
    Value::List(vec![
        Value::hash_of(request.encode_to_vec()),
        Value::Map(triggers.collect()),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn chosen_version_is_validated() {
        assert_eq!(
            TaskVersionHash::chosen("v1.2.0-rc.1+x_y").unwrap(),
            TaskVersionHash {
                text: "v1.2.0-rc.1+x_y".to_owned(),
                derived: false
            }
        );
        assert!(TaskVersionHash::chosen(&"a".repeat(63)).is_ok());
        for (text, why) in [
            ("", "it is empty"),
            ("a b", "other characters"),
            (
                &"a".repeat(64),
                "64 characters, and the backend accepts at most 63",
            ),
        ] {
            let error = TaskVersionHash::chosen(text).unwrap_err();
            assert_eq!(error.code(), Code::VersionInvalid);
            assert!(error.chain()[1].contains(why), "{:?}", error.chain());
        }
    }
}
