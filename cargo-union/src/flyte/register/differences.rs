//! Compares two task specs, by the field names of the protocol.

use std::fmt;

use serde_json::Value;

use crate::flyte::idl::task::TaskSpec;
use crate::flyte::idl::to_json;

/// A field in which two specs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    path: String,
    declared: Option<Value>,
    registered: Option<Value>,
}

impl fmt::Display for Difference {
    /// `container.args is […] there and […] here`; long values are omitted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format_value = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(value) => Some(value.to_string())
                .filter(|text| text.len() <= 100)
                .unwrap_or_else(|| "something else".to_owned()),
        };
        write!(
            f,
            "`{}` is {} there and {} here",
            self.path,
            format_value(&self.registered),
            format_value(&self.declared)
        )
    }
}

/// The differences between a declared spec and the registered one. With `lenient`, fields that only the registered spec
/// has are ignored: a hosted backend may add them, and a derived version already identifies the content.
pub(super) fn between(
    declared: &TaskSpec,
    registered: &TaskSpec,
    lenient: bool,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    collect(
        "",
        &comparable_json(declared),
        &comparable_json(registered),
        lenient,
        &mut differences,
    );
    differences
}

/// Without the organization, which the open-source backend does not store.
fn comparable_json(spec: &TaskSpec) -> Value {
    let mut spec = spec.clone();
    if let Some(id) = spec
        .task_template
        .as_mut()
        .and_then(|template| template.id.as_mut())
    {
        id.org.clear();
    }
    to_json(&spec)
}

fn collect(
    path: &str,
    declared: &Value,
    registered: &Value,
    lenient: bool,
    differences: &mut Vec<Difference>,
) {
    let (Value::Object(our_fields), Value::Object(their_fields)) = (declared, registered) else {
        if declared != registered {
            differences.push(Difference {
                path: path.to_owned(),
                declared: Some(declared.clone()),
                registered: Some(registered.clone()),
            });
        }
        return;
    };
    let only_registered = their_fields
        .keys()
        .filter(|name| !our_fields.contains_key(*name) && !lenient);
    for name in our_fields.keys().chain(only_registered) {
        let path = match path {
            "" | "taskTemplate" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match (our_fields.get(name), their_fields.get(name)) {
            (Some(declared), Some(registered)) => {
                collect(&path, declared, registered, lenient, differences)
            }
            // An empty message equals an absent one.
            (Some(Value::Object(fields)), None) | (None, Some(Value::Object(fields)))
                if fields.is_empty() => {}
            (declared, registered) => differences.push(Difference {
                path,
                declared: declared.cloned(),
                registered: registered.cloned(),
            }),
        }
    }
}
