//! The packages that a file of an image lists: the databases of dpkg and apk, and the metadata of Python distributions.
//!
//! All of these files have paragraphs of `Name: value` lines: deb822 (deb-control(5)), the core metadata of Python, which
//! has the form of an e-mail header, and apk, which writes `P:name` without a space. The files come from foreign layers.

use serde::{Deserialize, Serialize};

/// A package that is installed in an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstalledPackage {
    /// The package manager.
    pub kind: PackageKind,
    /// The name; that of a Python distribution is normalized (PEP 503).
    pub name: String,
    /// The exact version: of Debian with its epoch and revision.
    pub version: String,
    /// `amd64`, `all`; `None` for Python.
    pub architecture: Option<String>,
    /// An SPDX license expression, if the file has one.
    pub license: Option<String>,
}

impl InstalledPackage {
    /// What identifies the package: two files may list the same one.
    pub fn identity(&self) -> (PackageKind, &str, &str, Option<&str>) {
        let architecture = self.architecture.as_deref();
        (self.kind, &self.name, &self.version, architecture)
    }
}

/// A package manager whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// apk: `lib/apk/db/installed`.
    Alpine,
    /// dpkg: `var/lib/dpkg/status`, and a file for each package in `status.d` of distroless images.
    Debian,
    /// `*.dist-info/METADATA` of wheels, `*.egg-info` of other distributions.
    Python,
}

/// The packages of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    /// In the order of the file.
    pub packages: Vec<InstalledPackage>,
    /// Whether everything in the file was understood.
    pub is_complete: bool,
}

/// The size limit of a database in bytes: Debian needs about 1 kB for each package.
const DATABASE: u64 = 16 << 20;
/// The size limit of the header of a Python distribution; what follows is its description.
const HEADER: u64 = 1 << 20;
/// The largest number of packages that are read from one file.
const MOST: usize = 50_000;
/// The largest number of bytes of a name, version, architecture or license.
const LONGEST: usize = 512;

impl PackageKind {
    /// The package manager of the file with a path in an image; `None` if the file lists no packages.
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "var/lib/dpkg/status" => return Some(Self::Debian),
            "lib/apk/db/installed" | "usr/lib/apk/db/installed" => return Some(Self::Alpine),
            _ => {}
        }
        if let Some(name) = path.strip_prefix("var/lib/dpkg/status.d/") {
            // Distroless images have a list of files beside each package.
            let is_package = !name.contains('/') && !name.ends_with(".md5sums");
            return is_package.then_some(Self::Debian);
        }
        let is_python = path.ends_with(".dist-info/METADATA")
            || path.ends_with(".egg-info/PKG-INFO")
            || path.ends_with(".egg-info");
        is_python.then_some(Self::Python)
    }

    /// The number of bytes at the start of a file that are read. A longer database is not read at all, because its list
    /// would lack packages.
    pub fn limit(self, size: u64) -> Option<u64> {
        match self {
            Self::Python => Some(size.min(HEADER)),
            Self::Debian | Self::Alpine => (size <= DATABASE).then_some(size),
        }
    }

    /// Reads the packages of a file.
    pub fn read(self, text: &str) -> PackageFile {
        let mut paragraphs = Paragraphs(text.lines());
        let mut file = PackageFile {
            packages: Vec::new(),
            is_complete: true,
        };
        if self == Self::Python {
            let header = paragraphs.next().unwrap_or_default();
            file.add(python_package(&header));
            return file;
        }
        for paragraph in paragraphs {
            if file.packages.len() == MOST {
                file.is_complete = false;
                break;
            }
            match self {
                Self::Alpine => file.add(alpine_package(&paragraph)),
                _ if is_installed(&paragraph) => file.add(debian_package(&paragraph)),
                _ => {}
            }
        }
        file
    }
}

impl PackageFile {
    /// Adds a package; `None` is one that could not be read.
    fn add(&mut self, package: Option<InstalledPackage>) {
        self.is_complete &= package.is_some();
        self.packages.extend(package);
    }
}

/// The lines `Name: value` of a paragraph, without continuation lines.
type Paragraph<'a> = Vec<(&'a str, &'a str)>;

/// Splits a text at its empty lines; no paragraph is empty.
struct Paragraphs<'a>(std::str::Lines<'a>);

impl<'a> Iterator for Paragraphs<'a> {
    type Item = Paragraph<'a>;

    fn next(&mut self) -> Option<Paragraph<'a>> {
        let mut paragraph = Vec::new();
        for line in self.0.by_ref() {
            if line.trim().is_empty() {
                if paragraph.is_empty() {
                    continue;
                }
                break;
            }
            let is_continued = line.starts_with([' ', '\t']);
            if let Some((name, value)) = line.split_once(':').filter(|_| !is_continued) {
                paragraph.push((name, value.trim()));
            }
        }
        (!paragraph.is_empty()).then_some(paragraph)
    }
}

/// The first value of a field; names are compared without case, as in deb822 and in the header of an e-mail.
fn value<'a>(paragraph: &Paragraph<'a>, field: &str) -> Option<&'a str> {
    let mut fields = paragraph.iter();
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(field))?;
    is_valid(found.1).then_some(found.1)
}

fn is_valid(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST && !value.contains(char::is_control)
}

/// Whether a package is present: dpkg also lists packages of which only configuration files are left. A distroless image
/// has no state.
fn is_installed(paragraph: &Paragraph<'_>) -> bool {
    let state = value(paragraph, "Status").and_then(|status| status.split_whitespace().last());
    !matches!(state, Some("config-files" | "not-installed"))
}

fn debian_package(paragraph: &Paragraph<'_>) -> Option<InstalledPackage> {
    Some(InstalledPackage {
        kind: PackageKind::Debian,
        name: value(paragraph, "Package")?.to_owned(),
        version: value(paragraph, "Version")?.to_owned(),
        architecture: value(paragraph, "Architecture").map(str::to_owned),
        license: None,
    })
}

/// The fields of apk have one letter, and `p` is another one than `P`.
fn alpine_package(paragraph: &Paragraph<'_>) -> Option<InstalledPackage> {
    let value = |field: &str| {
        let found = paragraph.iter().find(|(name, _)| *name == field)?.1;
        is_valid(found).then(|| found.to_owned())
    };
    Some(InstalledPackage {
        kind: PackageKind::Alpine,
        name: value("P")?,
        version: value("V")?,
        architecture: value("A"),
        license: value("L").filter(|license| is_license(license)),
    })
}

fn python_package(header: &Paragraph<'_>) -> Option<InstalledPackage> {
    let name = normalized(value(header, "Name")?);
    let license = value(header, "License-Expression").filter(|license| is_license(license));
    Some(InstalledPackage {
        kind: PackageKind::Python,
        name: is_valid(&name).then_some(name)?,
        version: value(header, "Version")?.to_owned(),
        architecture: None,
        license: license.map(str::to_owned),
    })
}

/// The normalized name of a Python distribution (PEP 503).
fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Whether a text has only the characters of an SPDX license expression.
fn is_license(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b" .-+():".contains(&byte))
}

#[cfg(test)]
mod tests;
