//! A software bill of materials: CycloneDX 1.6 in JSON. It has no time and no random number, so that the same image and
//! sources give the same bytes.
//!
//! Identifiers of crates follow the package-URL types `cargo` and `oci`.

use std::fmt::Write as _;

use serde::Serialize;

use super::ImageDocument;
use crate::image::crate_graph::{Crate, CrateGraph, CrateKind, CrateSource};
use crate::image::platform::Platform;
use crate::image::reference::PinnedRef;
use crate::sys::digest::Digest;

/// The media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.cyclonedx+json";

/// What a document is about: an image of one platform.
#[derive(Clone, Debug)]
pub struct SbomSubject<'a> {
    /// The repository's name, or the package's.
    pub name: &'a str,
    /// The tag, which follows from the key.
    pub tag: &'a str,
    /// The digest of the image; `None` if its destination does not report it.
    pub digest: Option<Digest>,
    /// The platform.
    pub platform: &'a Platform,
    /// The base image of the platform; `None` for scratch and for a Dockerfile.
    pub base: Option<PinnedRef>,
    /// The crates of its binaries; `None` for an image without binaries.
    pub crates: Option<&'a CrateGraph>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<DependencyEntry>,
}

#[derive(Serialize)]
struct Metadata {
    tools: ToolList,
    component: Component,
}

#[derive(Serialize)]
struct ToolList {
    components: Vec<Component>,
}

#[derive(Default, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<ContentHash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct ContentHash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct DependencyEntry {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(rename = "dependsOn")]
    depends_on: Vec<String>,
}

/// The reference of the image inside of the document.
const IMAGE: &str = "image";
/// The reference of its base.
const BASE: &str = "base";

/// The bill of materials of an image.
pub fn sbom(subject: &SbomSubject<'_>) -> ImageDocument {
    let crates = subject.crates.map_or(&[][..], |graph| &graph.crates);
    let reference = |position: usize| {
        let one = crates.get(position)?;
        Some(format!("crate-{position}:{}@{}", one.name, one.version))
    };
    let root = subject.crates.and_then(|graph| reference(graph.root));
    let base = subject.base.as_ref();
    let mut components: Vec<Component> = base.map(base_component).into_iter().collect();
    let mut dependencies = vec![DependencyEntry {
        reference: IMAGE.to_owned(),
        depends_on: base
            .map(|_| BASE.to_owned())
            .into_iter()
            .chain(root)
            .collect(),
    }];
    for (position, one) in crates.iter().enumerate() {
        let is_root = subject.crates.is_some_and(|graph| graph.root == position);
        let reference_of_this = reference(position);
        dependencies.extend(reference_of_this.clone().map(|reference_of_this| {
            DependencyEntry {
                reference: reference_of_this,
                depends_on: one
                    .dependencies
                    .iter()
                    .copied()
                    .filter_map(reference)
                    .collect(),
            }
        }));
        components.push(crate_component(one, reference_of_this, is_root));
    }
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        version: 1,
        metadata: Metadata {
            tools: ToolList {
                components: vec![Component {
                    kind: "application",
                    name: env!("CARGO_PKG_NAME").to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..Component::default()
                }],
            },
            component: image_component(subject),
        },
        components,
        dependencies,
    };
    let mut bytes = serde_json::to_vec_pretty(&bom).expect("texts and numbers are valid JSON");
    bytes.push(b'\n');
    ImageDocument {
        media_type: MEDIA_TYPE,
        bytes,
    }
}

fn image_component(subject: &SbomSubject<'_>) -> Component {
    let digest = subject.digest.map(|digest| Property {
        name: "union:digest",
        value: digest.to_string(),
    });
    let platform = Property {
        name: "union:platform",
        value: subject.platform.to_string(),
    };
    Component {
        kind: "container",
        reference: Some(IMAGE.to_owned()),
        name: subject.name.to_owned(),
        version: subject.tag.to_owned(),
        properties: digest.into_iter().chain([platform]).collect(),
        ..Component::default()
    }
}

fn base_component(base: &PinnedRef) -> Component {
    let digest = base.digest.to_string();
    let repository = base.repository.to_string();
    let name = repository.rsplit('/').next().unwrap_or(&repository);
    let purl = format!(
        "pkg:oci/{}@{}?repository_url={}",
        encoded(name),
        encoded(&digest),
        encoded(&repository)
    );
    Component {
        kind: "container",
        reference: Some(BASE.to_owned()),
        name: repository.clone(),
        version: digest,
        purl: Some(purl),
        ..Component::default()
    }
}

fn crate_component(one: &Crate, reference: Option<String>, is_root: bool) -> Component {
    // The schema identifies SHA-256 by 64 digits; checksums of other lengths cannot be included.
    let checksum = one.checksum.as_deref().filter(|checksum| {
        checksum.len() == 64 && checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    let hash = checksum.map(|checksum| ContentHash {
        alg: "SHA-256",
        content: checksum.to_ascii_lowercase(),
    });
    // An old form of cargo's: `MIT/Apache-2.0`.
    let license = one.license.as_ref().map(|license| License {
        expression: license.replace('/', " OR "),
    });
    Component {
        kind: if is_root { "application" } else { "library" },
        reference,
        name: one.name.clone(),
        version: one.version.clone(),
        scope: Some(match one.kind {
            CrateKind::Runtime => "required",
            CrateKind::Build => "excluded",
        }),
        hashes: hash.into_iter().collect(),
        licenses: license.into_iter().collect(),
        purl: purl(one),
        properties: Vec::new(),
    }
}

/// The package URL of a crate; `None` for a local one, which has no registry or repository.
fn purl(one: &Crate) -> Option<String> {
    let mut purl = format!("pkg:cargo/{}@{}", encoded(&one.name), encoded(&one.version));
    match &one.source {
        CrateSource::CratesIo => {}
        CrateSource::Registry(url) => purl += &format!("?repository_url={}", encoded(url)),
        CrateSource::Git(url) => {
            let (repository, commit) = url.split_once('#').unwrap_or((url, ""));
            let vcs_url = format!("git+{repository}@{commit}");
            purl += &format!("?vcs_url={}", encoded(&vcs_url));
        }
        CrateSource::Local => return None,
    }
    Some(purl)
}

/// Percent-encoding of package URLs: letters, digits, `.`, `-`, `_`, `~` and `:` are not encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
