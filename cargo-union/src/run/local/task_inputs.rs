//! The inputs of a container task, as files and as the message that copilot writes beside them.

use std::collections::BTreeMap;

use union_build::spec::task::Data;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use crate::copilot::{InputFile, InputLiteral, lay_out};
use crate::flyte::convert::{LiteralForm, literal};
use crate::flyte::worker;
use crate::run::inputs::replace_paths;
use crate::sys::error::Result;

/// The message with all inputs, which copilot writes for every `data-format`.
const MESSAGE: &str = "inputs.pb";

/// Inputs that were checked against their types.
pub(super) struct TaskInputs {
    /// The values by name, as they are written to files and into the command line.
    pub(super) literals: BTreeMap<String, InputLiteral>,
    values: BTreeMap<String, (Type, InputValue)>,
}

/// An input that was checked against its type.
pub(super) struct CheckedInput {
    literal: InputLiteral,
    ty: Type,
    value: InputValue,
}

impl CheckedInput {
    /// Checks a value against its type, for the command line and for the backend's encoding.
    ///
    /// # Errors
    /// The reason why the value is not of the type.
    pub(super) fn of(ty: &Type, value: &InputValue) -> Result<Self, String> {
        let checked = InputLiteral::of(ty, value)?;
        literal(ty, value, LiteralForm::Json)?;
        Ok(Self {
            literal: checked,
            ty: ty.clone(),
            value: value.clone(),
        })
    }
}

impl FromIterator<(String, CheckedInput)> for TaskInputs {
    fn from_iter<I: IntoIterator<Item = (String, CheckedInput)>>(inputs: I) -> Self {
        let (mut literals, mut values) = (BTreeMap::new(), BTreeMap::new());
        for (name, CheckedInput { literal, ty, value }) in inputs {
            literals.insert(name.clone(), literal);
            values.insert(name, (ty, value));
        }
        Self { literals, values }
    }
}

impl TaskInputs {
    /// The entries of the input directory: those of [`lay_out`] and the message.
    ///
    /// # Errors
    /// U0004 (`FileUnreadable`).
    pub(super) fn files(&self, data: &Data, directory: &str) -> Result<Vec<InputFile>> {
        let laid = lay_out(&self.literals, data, directory)?;
        let mut paths = laid.paths.into_iter();
        let mut next_path = |path: &str| paths.next().unwrap_or_else(|| path.to_owned());
        let encoded = self.values.iter().map(|(name, (ty, value))| {
            let value = replace_paths(ty, value, &mut next_path);
            let literal = literal(ty, &value, LiteralForm::Json)
                .expect("the value was checked against its type");
            (name.clone(), literal)
        });
        // The literal map that copilot writes has the same encoding as the named literals of a worker's inputs.
        let message = worker::inputs(encoded.collect());
        let path = format!("{}/{MESSAGE}", directory.trim_end_matches('/'));
        let mut entries = laid.entries;
        entries.push(InputFile::readable(&path, message));
        Ok(entries)
    }
}
