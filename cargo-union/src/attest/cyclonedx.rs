//! A software bill of materials: CycloneDX 1.6 in JSON. It has no time and no random number, so that the same image and
//! sources give the same bytes.
//!
//! Identifiers follow the package-URL types `cargo`, `oci`, `deb`, `apk` and `pypi`.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::ImageDocument;
use crate::image::crate_graph::{Crate, CrateGraph, CrateKind, CrateSource};
use crate::image::inventory::Inventory;
use crate::image::packages::{InstalledPackage, PackageKind};
use crate::image::platform::Platform;
use crate::image::reference::PinnedRef;
use crate::image::release::Release;
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
    /// The tag of the environment that it is built on; `None` if it has none.
    pub environment: Option<&'a str>,
    /// The packages of the environment, with those of the base below it, or those of the base if there is no environment;
    /// `None` if they are not known.
    pub packages: Option<&'a Inventory>,
    /// The packages of the base of an environment, by which the packages are divided between the two.
    pub base_packages: Option<&'a Inventory>,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compositions: Vec<Composition>,
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

/// Whether the graph has all dependencies of some components.
#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    dependencies: Vec<&'static str>,
}

/// The reference of the image inside of the document.
const IMAGE: &str = "image";
/// The reference of its base.
const BASE: &str = "base";
/// The reference of its environment.
const ENVIRONMENT: &str = "environment";

/// The bill of materials of an image.
pub fn sbom(subject: &SbomSubject<'_>) -> ImageDocument {
    let crates = subject.crates.map_or(&[][..], |graph| &graph.crates);
    let reference = |position: usize| {
        let one = crates.get(position)?;
        Some(format!("crate-{position}:{}@{}", one.name, one.version))
    };
    let root = subject.crates.and_then(|graph| reference(graph.root));
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    let lower = add_lower(subject, &mut components, &mut dependencies);
    let below = lower.last().map(|one| (*one).to_owned());
    dependencies.insert(
        0,
        DependencyEntry {
            reference: IMAGE.to_owned(),
            depends_on: below.into_iter().chain(root).collect(),
        },
    );
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
        compositions: composition(subject, lower).into_iter().collect(),
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

fn environment_component(subject: &SbomSubject<'_>, tag: &str) -> Component {
    Component {
        kind: "container",
        reference: Some(ENVIRONMENT.to_owned()),
        name: subject.name.to_owned(),
        version: tag.to_owned(),
        ..Component::default()
    }
}

/// Adds base and environment, and the packages of each. Returns their references, lowest first.
fn add_lower(
    subject: &SbomSubject<'_>,
    components: &mut Vec<Component>,
    dependencies: &mut Vec<DependencyEntry>,
) -> Vec<&'static str> {
    let base = subject
        .base
        .as_ref()
        .map(|base| (BASE, base_component(base)));
    let environment = subject
        .environment
        .map(|tag| (ENVIRONMENT, environment_component(subject, tag)));
    let of_base: Option<HashSet<_>> = subject.environment.map(|_| {
        let base = subject.base_packages.iter();
        base.flat_map(|base| base.packages.iter().map(InstalledPackage::identity))
            .collect()
    });
    let is_of_base = |package: &InstalledPackage| match &of_base {
        Some(of_base) => of_base.contains(&package.identity()),
        None => true,
    };
    let packages = subject.packages.map_or(&[][..], |found| &found.packages);
    let release = subject.packages.and_then(|found| found.release.as_ref());
    let mut lower: Vec<&'static str> = Vec::new();
    for (reference, component) in base.into_iter().chain(environment) {
        components.push(component);
        let mut depends_on: Vec<String> = lower
            .last()
            .map(|one| (*one).to_owned())
            .into_iter()
            .collect();
        for package in packages {
            if is_of_base(package) == (reference == BASE) {
                let component = package_component(package, release);
                depends_on.extend(component.reference.clone());
                components.push(component);
            }
        }
        dependencies.push(DependencyEntry {
            reference: reference.to_owned(),
            depends_on,
        });
        lower.push(reference);
    }
    lower
}

/// Whether the packages of base and environment are known; `None` for an image without either of them.
fn composition(subject: &SbomSubject<'_>, lower: Vec<&'static str>) -> Option<Composition> {
    let is_complete = |packages: &Inventory| packages.is_complete;
    let aggregate = match subject.packages.is_some_and(is_complete) {
        true => "complete",
        false => "incomplete",
    };
    (!lower.is_empty()).then_some(Composition {
        aggregate,
        dependencies: lower,
    })
}

fn package_component(package: &InstalledPackage, release: Option<&Release>) -> Component {
    let purl = package_url(package, release);
    let license = package.license.as_ref().map(|license| License {
        expression: license.clone(),
    });
    Component {
        kind: "library",
        reference: Some(purl.clone()),
        name: package.name.clone(),
        version: package.version.clone(),
        licenses: license.into_iter().collect(),
        purl: Some(purl),
        ..Component::default()
    }
}

/// The package URL of a package; that of a distribution's package names the vendor and the release.
fn package_url(package: &InstalledPackage, release: Option<&Release>) -> String {
    let identity = format!("{}@{}", encoded(&package.name), encoded(&package.version));
    let (kind, vendor) = match package.kind {
        PackageKind::Python => return format!("pkg:pypi/{identity}"),
        PackageKind::Debian => ("deb", "debian"),
        PackageKind::Alpine => ("apk", "alpine"),
    };
    let vendor = release.map_or(vendor, |release| &release.id);
    let architecture = package.architecture.as_ref();
    let number = release.and_then(|release| release.version.as_ref().or(release.codename.as_ref()));
    let qualifiers = [
        architecture.map(|name| format!("arch={}", encoded(name))),
        number.map(|number| format!("distro={}-{}", encoded(vendor), encoded(number))),
    ];
    let qualifiers: Vec<String> = qualifiers.into_iter().flatten().collect();
    let separator = if qualifiers.is_empty() { "" } else { "?" };
    format!(
        "pkg:{kind}/{}/{identity}{separator}{}",
        encoded(vendor),
        qualifiers.join("&")
    )
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
