//! The text of the generated file.
//!
//! It must compile wherever a user includes it: at the top of a crate or in a module, in every edition
//! from 2018 on, and under lints that deny warnings, missing documentation and unsafe code.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::declarations::DeclaredImages;
use crate::handover::{Reference, References, constant};

/// The part that is the same for every package.
const HEAD: &str = "\
// Written by union-build; `cargo union build` resolves it.

/// An image that this package declares.
#[allow(dead_code, unreachable_pub)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// The name of its repository below the registry.
    pub name: &'static str,
    /// Its repository, with the registry; `None` as long as it is not resolved, or without a registry.
    pub repository: ::core::option::Option<&'static str>,
    /// Its tag; `None` as long as it is not resolved.
    pub tag: ::core::option::Option<&'static str>,
    /// Its content key; `None` as long as it is not resolved.
    pub id: ::core::option::Option<&'static str>,
}

#[allow(dead_code, unreachable_pub)]
impl Image {
    /// Where it is, when it is resolved and has a registry: `registry/name:tag`.
    #[must_use]
    pub const fn reference(&self) -> ::core::option::Option<ImageReference> {
        match (self.repository, self.tag) {
            (::core::option::Option::Some(repository), ::core::option::Option::Some(tag)) => {
                ::core::option::Option::Some(ImageReference { repository, tag })
            }
            _ => ::core::option::Option::None,
        }
    }

    /// Whether the program runs in a container of this very image.
    #[must_use]
    pub fn is_current(&self) -> bool {
        match (self.id, ::std::env::var(\"UNION_IMAGE_ID\")) {
            (::core::option::Option::Some(id), ::core::result::Result::Ok(running)) => id == running,
            _ => false,
        }
    }
}

/// Where an image is; shown as `registry/name:tag`.
#[allow(dead_code, unreachable_pub)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// `registry/name`.
    pub repository: &'static str,
    /// The tag.
    pub tag: &'static str,
}

impl ::core::fmt::Display for ImageReference {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        ::core::write!(f, \"{}:{}\", self.repository, self.tag)
    }
}
";

/// The generated file for the declared images and their resolved references.
pub(super) fn render(
    declared: &DeclaredImages,
    references: Option<&References>,
) -> Result<String, String> {
    let mut text = HEAD.to_owned();
    let mut constants: BTreeMap<String, &str> = BTreeMap::new();
    for (key, name) in &declared.images {
        let constant = constant(key);
        check_constant(&constant, key)?;
        if let Some(other) = constants.insert(constant.clone(), key) {
            return Err(format!(
                "the images `{other}` and `{key}` would have the same constant, `{constant}`: rename one of them"
            ));
        }
        let unresolved = Reference {
            name: name.clone(),
            ..Reference::default()
        };
        let image = references
            .and_then(|references| references.images.iter().find(|image| image.key == *key))
            .unwrap_or(&unresolved);
        let _ = write!(
            text,
            "\n/// The image `{key}`.\n#[allow(dead_code, unreachable_pub)]\n\
             pub const {constant}: Image = Image {{ name: {:?}, repository: {}, tag: {}, id: {} }};\n",
            image.name,
            option_literal(image.repository.as_deref()),
            option_literal(image.tag.as_deref()),
            option_literal(image.id.as_deref()),
        );
    }
    let all = constants.keys().cloned().collect::<Vec<_>>().join(", ");
    let _ = write!(
        text,
        "\n/// All images.\n#[allow(dead_code, unreachable_pub)]\npub const ALL: &[Image] = &[{all}];\n"
    );
    text.push_str(
        "\n/// The image that a task runs in.\n#[allow(dead_code, unreachable_pub)]\n#[must_use]\n\
         pub fn for_task(task: &str) -> ::core::option::Option<&'static Image> {\n    match task {\n",
    );
    for (task, image) in &declared.tasks {
        let _ = writeln!(
            text,
            "        {task:?} => ::core::option::Option::Some(&{}),",
            constant(image)
        );
    }
    text.push_str("        _ => ::core::option::Option::None,\n    }\n}\n");
    Ok(text)
}

fn option_literal(text: Option<&str>) -> String {
    match text {
        Some(text) => format!("::core::option::Option::Some({text:?})"),
        None => "::core::option::Option::None".to_owned(),
    }
}

/// An invalid identifier must be refused here, or rustc reports an error in generated code.
fn check_constant(constant: &str, image: &str) -> Result<(), String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_identifier = constant.starts_with(|first: char| first.is_ascii_alphabetic())
        && constant.chars().all(is_word);
    match (is_identifier, constant) {
        (true, "ALL") => Err(format!(
            "the image `{image}` would have the constant `ALL`, which is the list of all images: rename it"
        )),
        (true, _) => Ok(()),
        (false, _) => Err(format!(
            "`{image}` is not a name of an image: use a letter first, then letters, digits, `-` or `_`"
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn declared(images: &[&str]) -> DeclaredImages {
        let images = images
            .iter()
            .map(|key| ((*key).to_owned(), format!("app-{key}")))
            .collect();
        DeclaredImages {
            takes_part: true,
            images,
            tasks: [("train".to_owned(), "my-gpu".to_owned())].into(),
        }
    }

    #[test]
    fn unresolved_image_has_a_name_and_nothing_else() {
        let text = render(&declared(&["my-gpu"]), None).unwrap();
        let line = "pub const MY_GPU: Image = Image { name: \"app-my-gpu\", repository: ::core::option::Option::None, \
                    tag: ::core::option::Option::None, id: ::core::option::Option::None };";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("\"train\" => ::core::option::Option::Some(&MY_GPU),"),
            "{text}"
        );
    }

    #[test]
    fn value_is_escaped_in_its_literal() {
        let image = Reference {
            key: "my-gpu".into(),
            name: "x".into(),
            tag: Some("\"}; fn".into()),
            ..Reference::default()
        };
        let references = References {
            images: vec![image],
            ..References::default()
        };
        let text = render(&declared(&["my-gpu"]), Some(&references)).unwrap();
        assert!(
            text.contains(r#"tag: ::core::option::Option::Some("\"}; fn")"#),
            "{text}"
        );
    }

    #[test]
    fn names_that_are_not_constants_are_refused() {
        for (images, why) in [
            (&["my-gpu", "my_gpu"][..], "the same constant, `MY_GPU`"),
            (&["all", "my-gpu"], "would have the constant `ALL`"),
            (&["1st"], "not a name of an image"),
            (&["a.b"], "not a name of an image"),
        ] {
            assert!(
                render(&declared(images), None).unwrap_err().contains(why),
                "{images:?}"
            );
        }
    }
}
