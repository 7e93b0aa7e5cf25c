//! In what two tasks differ, by the names of the protocol.

use std::fmt;

use serde_json::Value;

use crate::flyte::idl::task::TaskSpec;
use crate::flyte::idl::to_json;

/// A place in which two tasks differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    path: String,
    ours: Option<Value>,
    theirs: Option<Value>,
}

impl fmt::Display for Difference {
    /// `container.args is […] there and […] here`; what is long is only named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(value) => Some(value.to_string()).filter(|text| text.len() <= 100).unwrap_or_else(|| "something else".to_owned()),
        };
        write!(f, "`{}` is {} there and {} here", self.path, shown(&self.theirs), shown(&self.ours))
    }
}

/// The differences between a task of ours and the backend's. With `lenient`, fields that only the
/// backend's has are none: a hosted backend may have filled them in, and the version says already that
/// we wrote it.
pub(super) fn between(ours: &TaskSpec, theirs: &TaskSpec, lenient: bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    collect("", &plain(ours), &plain(theirs), lenient, &mut differences);
    differences
}

/// Without the tenant, which the open-source backend does not keep.
fn plain(spec: &TaskSpec) -> Value {
    let mut spec = spec.clone();
    if let Some(id) = spec.task_template.as_mut().and_then(|template| template.id.as_mut()) {
        id.org.clear();
    }
    to_json(&spec)
}

fn collect(path: &str, ours: &Value, theirs: &Value, lenient: bool, differences: &mut Vec<Difference>) {
    let (Value::Object(our_fields), Value::Object(their_fields)) = (ours, theirs) else {
        if ours != theirs {
            differences.push(Difference { path: path.to_owned(), ours: Some(ours.clone()), theirs: Some(theirs.clone()) });
        }
        return;
    };
    let only_there = their_fields.keys().filter(|name| !our_fields.contains_key(*name) && !lenient);
    for name in our_fields.keys().chain(only_there) {
        let path = match path {
            "" | "taskTemplate" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match (our_fields.get(name), their_fields.get(name)) {
            (Some(ours), Some(theirs)) => collect(&path, ours, theirs, lenient, differences),
            // An empty message is as good as none.
            (Some(Value::Object(fields)), None) | (None, Some(Value::Object(fields))) if fields.is_empty() => {}
            (ours, theirs) => differences.push(Difference { path, ours: ours.cloned(), theirs: theirs.cloned() }),
        }
    }
}
