//! Conversion between types of the manifest and the backend's `LiteralType`.

use union_build::diag::Code;
use union_build::spec::types::Type;

use crate::flyte::idl::core::literal_type::Type as Of;
use crate::flyte::idl::core::{self, LiteralType, SimpleType};
use crate::flyte::idl::{Struct, Value, value};
use crate::flyte::interface::Interface;
use crate::sys::error::{Error, Result};

/// The backend's interface; inputs and outputs are sorted by name, because the backend hashes their order.
pub(super) fn interface(interface: &Interface) -> core::TypedInterface {
    core::TypedInterface {
        inputs: Some(variables(&interface.inputs)),
        outputs: Some(variables(&interface.outputs)),
    }
}

fn variables(declared: &[(String, Type)]) -> core::VariableMap {
    let mut sorted: Vec<&(String, Type)> = declared.iter().collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    let entry = |(name, ty): &(String, Type)| core::VariableEntry {
        key: name.clone(),
        value: Some(core::Variable {
            r#type: Some(literal_type(ty)),
        }),
    };
    core::VariableMap {
        variables: sorted.into_iter().map(entry).collect(),
    }
}

/// The backend's type.
pub(super) fn literal_type(ty: &Type) -> LiteralType {
    let literal = |literal: Of| LiteralType {
        r#type: Some(literal),
        ..LiteralType::default()
    };
    let simple = |simple: SimpleType| literal(Of::Simple(simple.into()));
    match ty {
        Type::Integer => simple(SimpleType::Integer),
        Type::Float => simple(SimpleType::Float),
        Type::String => simple(SimpleType::String),
        Type::Boolean => simple(SimpleType::Boolean),
        Type::Datetime => simple(SimpleType::Datetime),
        Type::Duration => simple(SimpleType::Duration),
        Type::Struct => LiteralType {
            annotation: Some(msgpack()),
            ..simple(SimpleType::Struct)
        },
        Type::File => literal(Of::Blob(core::BlobType::default())),
        Type::Directory => literal(Of::Blob(directory())),
        Type::List(inner) => literal(Of::CollectionType(Box::new(literal_type(inner)))),
        Type::Map(inner) => literal(Of::MapValueType(Box::new(literal_type(inner)))),
        Type::Optional(inner) => literal(Of::UnionType(core::UnionType {
            variants: vec![variant(inner), nothing()],
        })),
        Type::Enum(words) => literal(Of::EnumType(core::EnumType {
            values: words.clone(),
        })),
    }
}

impl Interface {
    /// The interface of a registered task.
    ///
    /// # Errors
    /// U0706 (`InterfaceUnsupported`) for an input of an unsupported type.
    pub fn of_backend(task: &str, typed: &core::TypedInterface) -> Result<Self> {
        let inputs = typed.inputs.iter().flat_map(|inputs| &inputs.variables);
        let variable_type = |entry: &core::VariableEntry| {
            let ty = entry
                .value
                .as_ref()
                .and_then(|variable| declared(variable.r#type.as_ref()?));
            let unknown = || {
                let error = Error::new(
                    Code::InterfaceUnsupported,
                    format!("could not parse the inputs of task `{task}`"),
                );
                error.because(format!(
                    "its input `{}` has a type that is not supported",
                    entry.key
                ))
            };
            Ok((entry.key.clone(), ty.ok_or_else(unknown)?))
        };
        // The literals of outputs carry their types themselves, so outputs are not converted.
        Ok(Self {
            inputs: inputs.map(variable_type).collect::<Result<_>>()?,
            outputs: Vec::new(),
        })
    }
}

/// The manifest's type for a type of the backend; `None` when it is not supported.
pub fn declared(ty: &LiteralType) -> Option<Type> {
    Some(match ty.r#type.as_ref()? {
        Of::Simple(simple) => match SimpleType::try_from(*simple).ok()? {
            SimpleType::Integer => Type::Integer,
            SimpleType::Float => Type::Float,
            SimpleType::String => Type::String,
            SimpleType::Boolean => Type::Boolean,
            SimpleType::Datetime => Type::Datetime,
            SimpleType::Duration => Type::Duration,
            SimpleType::Struct => Type::Struct,
            SimpleType::None | SimpleType::Binary | SimpleType::Error => return None,
        },
        Of::Blob(blob) if *blob == directory() => Type::Directory,
        Of::Blob(_) => Type::File,
        Of::CollectionType(inner) => Type::List(Box::new(declared(inner)?)),
        Of::MapValueType(inner) => Type::Map(Box::new(declared(inner)?)),
        Of::EnumType(words) => Type::Enum(words.values.clone()),
        Of::UnionType(union) => match &union.variants[..] {
            [inner, none] if none.r#type == Some(Of::Simple(SimpleType::None.into())) => {
                Type::Optional(Box::new(declared(inner)?))
            }
            _ => return None,
        },
    })
}

/// The blob type of a directory: several files.
pub(super) fn directory() -> core::BlobType {
    core::BlobType {
        dimensionality: core::blob_type::BlobDimensionality::Multipart.into(),
        ..Default::default()
    }
}

/// A variant of a union type, with the tag that the Python SDK gives it.
pub(super) fn variant(ty: &Type) -> LiteralType {
    let tag = match ty {
        Type::Integer => "int",
        Type::Float => "float",
        Type::String => "str",
        Type::Boolean => "bool",
        Type::Datetime => "datetime",
        Type::Duration => "timedelta",
        Type::Struct | Type::Map(_) => "Typed Dict",
        Type::File => "File",
        Type::Directory => "Dir",
        Type::List(_) => "Typed List",
        Type::Optional(_) => "Typed Union",
        Type::Enum(_) => "DefaultEnumTransformer",
    };
    tagged(literal_type(ty), tag)
}

/// The variant of a union type without a value.
pub(super) fn nothing() -> LiteralType {
    tagged(
        LiteralType {
            r#type: Some(Of::Simple(SimpleType::None.into())),
            ..LiteralType::default()
        },
        "none",
    )
}

fn tagged(ty: LiteralType, tag: &str) -> LiteralType {
    LiteralType {
        structure: Some(core::TypeStructure {
            tag: tag.to_owned(),
        }),
        ..ty
    }
}

/// The annotation that the Python SDK adds to its structs, so that both have the same keys of cached results.
fn msgpack() -> core::TypeAnnotation {
    let text = |text: &str| Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    };
    let table = |name: &str, value: Value| Struct {
        fields: [(name.to_owned(), value)].into(),
    };
    let format = table("serialization-format", text("msgpack"));
    let metadata = Value {
        kind: Some(value::Kind::StructValue(format)),
    };
    core::TypeAnnotation {
        annotations: Some(table("cache-key-metadata", metadata)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn literal_type_round_trips() {
        for text in [
            "integer",
            "list[map[float]]",
            "optional[directory]",
            "map[file]",
            "struct",
            "datetime",
            "optional[list[duration]]",
        ] {
            let ty = Type::parse(text).unwrap();
            assert_eq!(declared(&literal_type(&ty)), Some(ty));
        }
        let words = Type::Enum(vec!["a".to_owned()]);
        assert_eq!(declared(&literal_type(&words)), Some(words));
        assert_eq!(declared(&nothing()), None);
    }
}
