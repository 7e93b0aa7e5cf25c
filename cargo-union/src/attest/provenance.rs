//! The provenance of an image: an in-toto statement with an SLSA v1 predicate, as JSON. It has no time and no random
//! number, so that the same image and inputs give the same bytes.
//!
//! Source: in-toto attestation framework, "Statement layer specification" v1, and SLSA v1.0, "Provenance".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use union_build::key::{self, Key};

use super::{IN_TOTO, ImageDocument, STATEMENT};
use crate::image::platform::Platform;
use crate::image::reference::PinnedRef;
use crate::sys::digest::Digest;

/// The media type of the document.
pub const MEDIA_TYPE: &str = IN_TOTO;

const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// The build type, which defines the parameters; docs/supply-chain.md describes them.
const BUILD_TYPE: &str = "https://github.com/unionai-oss/cargo-union/build/v1";
const BUILDER: &str = "https://github.com/unionai-oss/cargo-union";

/// The subject of a statement.
#[derive(Clone, Debug)]
pub struct ProvenanceSubject<'a> {
    /// The image, by the digest of its index or of its only manifest.
    pub image: &'a PinnedRef,
    /// The package that declares it.
    pub package: &'a str,
    /// The key of the image in the manifest.
    pub name: &'a str,
    /// The platforms of the image.
    pub platforms: &'a [Platform],
    /// The git revision that was checked out; `None` without git. The files that were read are in the inputs.
    pub revision: Option<&'a str>,
    /// The base image of all platforms; `None` for scratch and for a Dockerfile.
    pub base: Option<&'a PinnedRef>,
    /// The content key.
    pub key: Key,
    /// Every input of the key by name.
    pub inputs: &'a BTreeMap<String, key::Value>,
}

/// The key and inputs of an image, as its statement has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenanceInputs {
    /// The package that declares the image.
    pub package: String,
    /// The key of the image in the manifest.
    pub name: String,
    /// The content key.
    pub key: String,
    /// Every input of the key by name.
    pub inputs: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<ResourceDescriptor>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: BuildRunDetails,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    external_parameters: ExternalParameters,
    internal_parameters: InternalParameters,
    resolved_dependencies: Vec<ResourceDescriptor>,
}

#[derive(Serialize, Deserialize)]
struct ExternalParameters {
    package: String,
    image: String,
    platforms: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct InternalParameters {
    key: String,
    inputs: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct ResourceDescriptor {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct BuildRunDetails {
    builder: BuilderIdentity,
}

#[derive(Serialize, Deserialize)]
struct BuilderIdentity {
    id: String,
    version: BTreeMap<String, String>,
}

/// The provenance of an image.
pub fn provenance(subject: &ProvenanceSubject<'_>) -> ImageDocument {
    let source = subject.revision.map(|revision| ResourceDescriptor {
        name: "source".to_owned(),
        digest: BTreeMap::from([("gitCommit".to_owned(), revision.to_owned())]),
    });
    let statement = Statement {
        kind: STATEMENT.to_owned(),
        subject: vec![image_resource(subject.image)],
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: ExternalParameters {
                    package: subject.package.to_owned(),
                    image: subject.name.to_owned(),
                    platforms: subject.platforms.iter().map(ToString::to_string).collect(),
                },
                internal_parameters: InternalParameters {
                    key: subject.key.to_string(),
                    inputs: input_values(subject.inputs),
                },
                resolved_dependencies: source
                    .into_iter()
                    .chain(subject.base.map(image_resource))
                    .collect(),
            },
            run_details: BuildRunDetails {
                builder: BuilderIdentity {
                    id: BUILDER.to_owned(),
                    version: BTreeMap::from([(
                        "cargo-union".to_owned(),
                        env!("CARGO_PKG_VERSION").to_owned(),
                    )]),
                },
            },
        },
    };
    ImageDocument {
        media_type: MEDIA_TYPE,
        bytes: serde_json::to_vec(&statement)
            .expect("statements are plain values, which always serialize"),
    }
}

/// The inputs in a statement of this tool about an image; `None` for any other document.
pub fn inputs_of(document: &[u8], image: Digest) -> Option<ProvenanceInputs> {
    let statement: Statement = serde_json::from_slice(document).ok()?;
    let is_about = |resource: &ResourceDescriptor| {
        resource.digest.get("sha256").map(String::as_str) == Some(image.hex().as_str())
    };
    let definition = statement.predicate.build_definition;
    let is_ours = statement.predicate_type == PREDICATE && definition.build_type == BUILD_TYPE;
    (is_ours && statement.subject.iter().any(is_about)).then_some(ProvenanceInputs {
        package: definition.external_parameters.package,
        name: definition.external_parameters.image,
        key: definition.internal_parameters.key,
        inputs: definition.internal_parameters.inputs,
    })
}

/// The inputs as a statement holds them: hashes as `sha256:…`, complete.
pub fn input_values(inputs: &BTreeMap<String, key::Value>) -> BTreeMap<String, serde_json::Value> {
    inputs
        .iter()
        .map(|(name, value)| (name.clone(), input_value(value)))
        .collect()
}

fn input_value(value: &key::Value) -> serde_json::Value {
    match value {
        key::Value::Text(text) => text.as_str().into(),
        key::Value::Bool(value) => (*value).into(),
        key::Value::Number(value) => (*value).into(),
        key::Value::Hash(hash) => format!("sha256:{}", key::hex(hash)).into(),
        key::Value::List(values) => values.iter().map(input_value).collect(),
        key::Value::Map(values) => values
            .iter()
            .map(|(name, value)| (name.clone(), input_value(value)))
            .collect(),
    }
}

fn image_resource(image: &PinnedRef) -> ResourceDescriptor {
    ResourceDescriptor {
        name: image.repository.to_string(),
        digest: BTreeMap::from([("sha256".to_owned(), image.digest.hex())]),
    }
}

#[cfg(test)]
mod tests;
