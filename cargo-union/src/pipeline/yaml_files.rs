//! YAML files that name images as `union://PACKAGE[/IMAGE]`, such as Kubernetes manifests: the images are built, and the
//! names replaced by pinned references. Everything else in the files stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use saphyr_parser::{Event, Parser};
use union_build::diag::Code;

use super::build::build_images;
use super::context::LoadedWorkspace;
use super::options::{BuildOptions, ResolveOptions, WorkspaceOptions};
use super::outcome::PackageOutcome;
use crate::pipeline::Reporter;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::{fs, words};
use crate::workspace::Selection;

/// What the name of an image in a file begins with.
const SCHEME: &str = "union://";
/// The image of a name without one.
const DEFAULT_IMAGE: &str = "default";

/// A file as it was read, with the names of images in it.
struct YamlFile {
    text: String,
    names: Vec<ImageName>,
}

/// The name of an image in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ImageName {
    /// The bytes of the text that it takes.
    range: Range<usize>,
    package: String,
    image: String,
}

/// Builds and publishes the images that YAML files name, and returns the files as one text of several documents with
/// pinned references.
///
/// # Errors
/// `FileUnreadable`; `UsageInvalid` for a file that is no YAML, or a name that is none of an image; `UnknownPackage`,
/// `UnknownImage`; `RegistryMissing` for an image that is not in a registry, `ImageUnpinned`; the errors of a build.
pub(crate) async fn resolve(
    options: &ResolveOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<String> {
    let mut files = Vec::new();
    for path in &options.files {
        match path {
            None => files.push(parse("stdin", read_stdin()?)?),
            Some(path) => {
                for file in list(path)? {
                    files.push(parse(
                        &file.display().to_string(),
                        fs::read_to_string(&file)?,
                    )?);
                }
            }
        }
    }
    let names: Vec<&ImageName> = files.iter().flat_map(|file| &file.names).collect();
    if names.is_empty() {
        reporter.warning(&format!("no file names an image as `{SCHEME}PACKAGE`"));
        return Ok(join(files.iter().map(|file| file.text.clone())));
    }
    let packages: BTreeSet<&String> = names.iter().map(|name| &name.package).collect();
    let build = &options.options;
    let build = BuildOptions {
        scope: WorkspaceOptions {
            selection: Selection {
                packages: packages.into_iter().cloned().collect(),
                workspace: false,
                exclude: Vec::new(),
            },
            ..build.scope.clone()
        },
        ..build.clone()
    };
    let session = LoadedWorkspace::open_with_cache(&build.scope, &**reporter).await?;
    check_images(&session, &names)?;
    let outcomes = build_images(&build, &session, reporter).await?;
    let pinned = pinned_references(&outcomes, &names)?;
    Ok(join(files.iter().map(|file| file.replaced(&pinned))))
}

impl YamlFile {
    fn replaced(&self, pinned: &BTreeMap<(&str, &str), &str>) -> String {
        let mut text = self.text.clone();
        // From the last one, so that the places of the others stay.
        for name in self.names.iter().rev() {
            if let Some(reference) = pinned.get(&(&*name.package, &*name.image)) {
                text.replace_range(name.range.clone(), reference);
            }
        }
        text
    }
}

/// Checks that the packages declare the images, with a registry.
fn check_images(session: &LoadedWorkspace, names: &[&ImageName]) -> Result<()> {
    for name in names {
        let mut packages = session.packages.iter();
        let declared = packages
            .find(|package| package.name() == name.package)
            .and_then(|package| Some((package, package.spec.images.get(&name.image)?)));
        let Some((package, image)) = declared else {
            return Err(session.unknown_image(&name.image).into());
        };
        package.check_registries([image])?;
    }
    Ok(())
}

/// The pinned references by package and image, which include those of all names.
fn pinned_references<'a>(
    outcomes: &'a [PackageOutcome],
    names: &[&ImageName],
) -> Result<BTreeMap<(&'a str, &'a str), &'a str>> {
    let mut references = BTreeMap::new();
    for image in outcomes.iter().flat_map(|outcome| &outcome.images) {
        let pinned = image.record.pinned.as_deref();
        let name = (&*image.planned.package, &*image.planned.image);
        references.extend(pinned.map(|pinned| (name, pinned)));
    }
    for ImageName { package, image, .. } in names {
        if !references.contains_key(&(&**package, &**image)) {
            let what = format!("the digest of image `{image}` of package `{package}` is not known");
            return Err(Error::new(Code::ImageUnpinned, what).into());
        }
    }
    Ok(references)
}

/// The YAML files of a path: the file itself, or those below a directory, sorted.
fn list(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        let unreadable = |cause| fs::unreadable(&directory, cause);
        for entry in directory.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let is_yaml = path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml");
            // A link to a directory is not followed.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                directories.push(path);
            } else if is_yaml {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read_stdin() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|cause| Error::new(Code::FileUnreadable, "could not read stdin").because(cause))?;
    Ok(text)
}

/// Finds the names of images in a YAML text.
fn parse(place: &str, text: String) -> Result<YamlFile, Error> {
    // The parser counts characters.
    let offsets = words::char_offsets(&text);
    let invalid = |line: usize, why: &str| {
        Error::new(
            Code::UsageInvalid,
            format!("could not read {place}, line {line}"),
        )
        .because(why)
    };
    let mut names = Vec::new();
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.map_err(|error| invalid(error.marker().line(), error.info()))?;
        let Event::Scalar(value, ..) = event else {
            continue;
        };
        let Some(name) = value.strip_prefix(SCHEME) else {
            continue;
        };
        let line = span.start.line();
        let (package, image) = name.split_once('/').unwrap_or((name, DEFAULT_IMAGE));
        let is_name = |text: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !text.is_empty() && text.bytes().all(is_allowed)
        };
        if !is_name(package) || !is_name(image) {
            let why = format!(
                "`{}` is not `{SCHEME}PACKAGE` or `{SCHEME}PACKAGE/IMAGE`",
                words::printable(&value, 100)
            );
            return Err(invalid(line, &why));
        }
        let begin = offsets
            .get(span.start.index())
            .copied()
            .unwrap_or(text.len());
        // A quoted scalar begins with its quote; one in an escaped form is not found.
        let found = text
            .get(begin..)
            .and_then(|rest| rest.find(&*value).filter(|at| *at <= 1));
        let Some(at) = found else {
            return Err(invalid(line, &format!("`{value}` is written with escapes")));
        };
        let begin = begin + at;
        names.push(ImageName {
            range: begin..begin + value.len(),
            package: package.to_owned(),
            image: image.to_owned(),
        });
    }
    Ok(YamlFile { text, names })
}

/// Joins texts to one text of several documents.
fn join(texts: impl Iterator<Item = String>) -> String {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            if !joined.ends_with('\n') {
                joined.push('\n');
            }
            if !text.starts_with("---") {
                joined.push_str("---\n");
            }
        }
        joined.push_str(&text);
    }
    joined
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(text: &str) -> Result<String, Error> {
        let file = parse("a.yaml", text.to_owned())?;
        let pinned = BTreeMap::from([
            (("app", "default"), "r/app@sha256:1"),
            (("app", "gpu"), "r/app-gpu@sha256:2"),
        ]);
        Ok(file.replaced(&pinned))
    }

    #[test]
    fn names_are_replaced_and_everything_else_stays() {
        let text = "# image: union://app\nspec:\n- image: union://app  # ä union://app\n- image: \"union://app/gpu\"\n\
                    - {image: 'union://app', other: xunion://app}\n---\nimage: union://app/gpu";
        let expected = "# image: union://app\nspec:\n- image: r/app@sha256:1  # ä union://app\n- image: \"r/app-gpu@sha256:2\"\n\
                        - {image: 'r/app@sha256:1', other: xunion://app}\n---\nimage: r/app-gpu@sha256:2";
        assert_eq!(replaced(text).unwrap(), expected);
    }

    #[test]
    fn invalid_names_and_files_are_refused_with_their_line() {
        for (text, why) in [
            ("a: 1\nimage: union://", "line 2"),
            ("image: union://app/", "union://PACKAGE/IMAGE"),
            ("image: union://app/gpu/x", "union://PACKAGE/IMAGE"),
            ("image: union://app:tag", "union://PACKAGE"),
            ("image: \"union:\\x2f/app\"", "escapes"),
            ("a: [1\nb: }", "a.yaml"),
        ] {
            let error = replaced(text).unwrap_err();
            assert_eq!(error.code(), Code::UsageInvalid);
            assert!(error.chain().join(" ").contains(why), "{:?}", error.chain());
        }
    }

    #[test]
    fn joined_files_are_separate_documents() {
        let texts = ["a: 1", "---\nb: 2\n", "c: 3\n"].map(str::to_owned);
        assert_eq!(join(texts.into_iter()), "a: 1\n---\nb: 2\n---\nc: 3\n");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-a:ä \"'\n\\[{}#/uniox]{0,60}|(union://[a/:\" \n]{0,9}){0,3}") {
            drop(replaced(&text));
        }
    }
}
