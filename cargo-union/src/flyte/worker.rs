//! The command line, environment, input and output files of a worker of the `flyte` crate.
//!
//! On the backend its inputs and outputs are objects in a bucket, below the base of the run, and its
//! identity is in its environment. In a local run the base is a directory.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use union_build::diag::Code;

use super::convert::{json, worker};
use super::idl::Message as _;
use super::idl::core::{ErrorDocument, Literal};
use super::idl::task::{Inputs, NamedLiteral, Outputs};
use super::interface::Interface;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// Path of the file with its inputs, below the base.
pub const INPUTS: &str = "inputs/inputs.pb";
/// Its output directory below the base, which is also the name of a run's root action.
const ACTION: &str = "a0";
/// Project, domain, organization and run name of a local run.
const LOCAL: &str = "local";

/// The command line of a worker of a local run.
pub fn command_line(program: &str, base: &str) -> Vec<String> {
    let fill = |word: String| match word.as_str() {
        "{{.input}}" => format!("{base}/{INPUTS}"),
        "{{.outputPrefix}}" => format!("{base}/{ACTION}"),
        _ => word,
    };
    worker(program).into_iter().map(fill).collect()
}

/// The environment of a worker whose backend is at a loopback address.
pub fn environment(base: &str, address: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("ACTION_NAME", ACTION.to_owned()),
        ("RUN_NAME", LOCAL.to_owned()),
        ("FLYTE_ATTEMPT_NUMBER", "0".to_owned()),
        ("FLYTE_INTERNAL_EXECUTION_DOMAIN", LOCAL.to_owned()),
        ("FLYTE_INTERNAL_EXECUTION_PROJECT", LOCAL.to_owned()),
        ("_U_EP_OVERRIDE", format!("http://{address}")),
        ("_U_INSECURE", "true".to_owned()),
        ("_U_ORG_NAME", LOCAL.to_owned()),
        ("_U_RUN_BASE", base.to_owned()),
    ])
}

/// Variables that would make the worker use another backend.
pub const ELSEWHERE: [&str; 2] = ["EAGER_API_KEY", "_UNION_EAGER_API_KEY"];

/// Encodes inputs as the content of [`INPUTS`].
pub fn inputs(values: BTreeMap<String, Literal>) -> Vec<u8> {
    let to_literal = |(name, value)| NamedLiteral {
        name,
        value: Some(value),
    };
    Inputs {
        literals: values.into_iter().map(to_literal).collect(),
        context: Vec::new(),
    }
    .encode_to_vec()
}

/// The result of a worker.
#[derive(Debug, PartialEq)]
pub enum WorkerOutcome {
    /// Success: the outputs as JSON.
    Well(BTreeMap<String, serde_json::Value>),
    /// Failure: the message of `error.pb`.
    Badly(String),
}

/// Reads the result of a worker that has exited.
///
/// # Errors
/// U0805 (`OutputsInvalid`) when it left neither outputs nor an error, or not the outputs of its interface.
pub fn ended(base: &Path, task: &str, interface: &Interface) -> Result<WorkerOutcome> {
    let directory = base.join(ACTION);
    let invalid = |why: String| {
        Error::new(
            Code::OutputsInvalid,
            format!("task `{task}` did not write its declared outputs"),
        )
        .because(why)
    };
    if let Some(bytes) = read(&directory.join("error.pb"))? {
        let document = ErrorDocument::decode(&*bytes)
            .map_err(|cause| invalid(format!("its `error.pb` cannot be read: {cause}")))?;
        let error = document.error.unwrap_or_default();
        return Ok(WorkerOutcome::Badly(if error.message.is_empty() {
            error.code
        } else {
            error.message
        }));
    }
    let bytes = read(&directory.join("outputs.pb"))?
        .ok_or_else(|| invalid("it wrote neither `outputs.pb` nor `error.pb`".to_owned()))?;
    let outputs = Outputs::decode(&*bytes)
        .map_err(|cause| invalid(format!("its `outputs.pb` cannot be read: {cause}")))?;
    let literals: BTreeMap<String, Literal> = outputs
        .literals
        .into_iter()
        .filter_map(|named| Some((named.name, named.value?)))
        .collect();
    let value = |(name, _): &(String, _)| {
        let value = literals
            .get(name)
            .ok_or_else(|| format!("`{name}` is missing"))?;
        Ok((name.clone(), json(value)))
    };
    let values: Result<_, String> = interface.outputs.iter().map(value).collect();
    Ok(WorkerOutcome::Well(values.map_err(invalid)?))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(fs::unreadable(path, cause)),
    }
}
