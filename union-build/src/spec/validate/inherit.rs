//! Inheritance between images: environment variables and the working directory of extended images, which
//! also resolve an image's references to variables and its relative destinations.

use std::collections::BTreeMap;

use super::copy::below_workdir;
use super::relations::ancestors;
use crate::diag::{Code, Diagnostic};
use crate::spec::variables::{self, PATH};
use crate::spec::{Base, ImageSpec, Sourced};

/// Fills in inherited values. References to variables that no extended image sets are left to the base image.
pub(super) fn fill_in(images: &mut [ImageSpec], problems: &mut Vec<Diagnostic>) {
    let inherited: Vec<InheritedValue> = images
        .iter()
        .map(|image| inherited_values(image, images, problems))
        .collect();
    for (image, inherited) in images.iter_mut().zip(inherited) {
        for copy in &mut image.copy {
            copy.to.value = below_workdir(inherited.workdir.as_ref(), &copy.to.value);
        }
        image.env = inherited.env;
        image.workdir = inherited.workdir;
    }
}

struct InheritedValue {
    env: BTreeMap<String, Sourced<String>>,
    workdir: Option<Sourced<String>>,
}

fn inherited_values(
    image: &ImageSpec,
    images: &[ImageSpec],
    problems: &mut Vec<Diagnostic>,
) -> InheritedValue {
    // From the lowest image of the chain to this one.
    let mut chain = ancestors(image, images);
    chain.reverse();
    chain.push(image);
    let mut env: BTreeMap<String, Sourced<String>> = BTreeMap::new();
    for own in &chain {
        let expanded = |value: &Sourced<String>| {
            let value_of = |name: &str| env.get(name).map(|value| value.value.clone());
            Sourced {
                value: variables::expand_extended(&value.value, value_of),
                origin: value.origin.clone(),
            }
        };
        // All values are expanded before any is inserted: values of one table never refer to one another.
        let values: Vec<_> = own
            .env
            .iter()
            .map(|(name, value)| (name.clone(), expanded(value)))
            .collect();
        env.extend(values);
    }
    if chain
        .first()
        .is_some_and(|first| matches!(first.base, Base::Scratch(_)))
    {
        for value in image.env.keys().filter_map(|name| env.get(name)) {
            problems.extend(
                variables::names(&value.value)
                    .into_iter()
                    .find(|name| *name != PATH)
                    .map(|name| unset_variable(name, image, value)),
            );
        }
    }
    let workdir = chain.iter().rev().find_map(|image| image.workdir.clone());
    InheritedValue { env, workdir }
}

/// The problem of a reference to a variable that no image of a chain without a base sets.
fn unset_variable(name: &str, image: &ImageSpec, value: &Sourced<String>) -> Diagnostic {
    let message = format!("no image below `{}` sets the variable `{name}`", image.key);
    let problem = Diagnostic::error(
        Code::InvalidValue,
        message,
        &value.origin,
        "refers to a variable that is not set",
    );
    problem.help(format!(
        "`{name}` would be a variable of the base image or of an extended image, never of the same table; write `$$` for a dollar"
    ))
}
