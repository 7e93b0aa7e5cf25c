//! A worker of the `flyte` crate, from outside: what it is started with, and the files that go in and out.
//!
//! On the backend its inputs and outputs lie in a bucket below the base of its run, and its names are in
//! its environment. On this machine the base is a folder.

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

/// The file of its inputs, below the base.
pub const INPUTS: &str = "inputs/inputs.pb";
/// Its folder below the base, which is also the name of a run's first action.
const ACTION: &str = "a0";
/// Project, domain, tenant and run, where there is no backend that has any.
const LOCAL: &str = "local";

/// Its command line.
pub fn command_line(program: &str, base: &str) -> Vec<String> {
    let filled = |word: String| match word.as_str() {
        "{{.input}}" => format!("{base}/{INPUTS}"),
        "{{.outputPrefix}}" => format!("{base}/{ACTION}"),
        _ => word,
    };
    worker(program).into_iter().map(filled).collect()
}

/// Its environment, when it finds the backend at an address of this machine.
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

/// Variables that would send it to a backend elsewhere.
pub const ELSEWHERE: [&str; 2] = ["EAGER_API_KEY", "_UNION_EAGER_API_KEY"];

/// The content of the file of its inputs.
pub fn inputs(values: BTreeMap<String, Literal>) -> Vec<u8> {
    let named = |(name, value)| NamedLiteral { name, value: Some(value) };
    Inputs { literals: values.into_iter().map(named).collect(), context: Vec::new() }.encode_to_vec()
}

/// How a task ended.
#[derive(Debug, PartialEq)]
pub enum WorkerOutcome {
    /// With these outputs, each as JSON has it.
    Well(BTreeMap<String, serde_json::Value>),
    /// With these words.
    Badly(String),
}

/// What a worker that has ended left below its base.
///
/// # Errors
/// `OutputsInvalid` when it left neither outputs nor an error, or not those of its interface.
pub fn ended(base: &Path, task: &str, interface: &Interface) -> Result<WorkerOutcome> {
    let folder = base.join(ACTION);
    let invalid =
        |why: String| Error::new(Code::OutputsInvalid, format!("task `{task}` did not give the outputs that it declares")).because(why);
    if let Some(bytes) = read(&folder.join("error.pb"))? {
        let document = ErrorDocument::decode(&*bytes).map_err(|cause| invalid(format!("its `error.pb` cannot be read: {cause}")))?;
        let error = document.error.unwrap_or_default();
        return Ok(WorkerOutcome::Badly(if error.message.is_empty() { error.code } else { error.message }));
    }
    let bytes = read(&folder.join("outputs.pb"))?.ok_or_else(|| invalid("it left neither `outputs.pb` nor `error.pb`".to_owned()))?;
    let outputs = Outputs::decode(&*bytes).map_err(|cause| invalid(format!("its `outputs.pb` cannot be read: {cause}")))?;
    let left: BTreeMap<String, Literal> = outputs.literals.into_iter().filter_map(|named| Some((named.name, named.value?))).collect();
    let value = |(name, _): &(String, _)| {
        let value = left.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
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
