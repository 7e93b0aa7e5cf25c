#![allow(clippy::unwrap_used)]

use super::*;
use crate::flyte::config::{ConfigRequest, load};

/// Whether verification is skipped for the backend and for its store, with these variables.
fn skips_verification(variables: &[&str]) -> [bool; 2] {
    let directory = PathBuf::from("/");
    let mut environment = Environment::default();
    variables.iter().for_each(|name| {
        environment.set(
            *name,
            if name.ends_with("PATH") {
                "/ca.pem"
            } else {
                "true"
            },
        )
    });
    let request = ConfigRequest {
        environment: &environment,
        directory: &directory,
        file: None,
        endpoint: None,
        org: None,
    };
    let (config, problems) = load(&request).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    [
        authorities(&config, &environment).clone(),
        authorities_of_stores(&config, &environment),
    ]
    .map(|authorities| authorities.skip_verify && authorities.only.is_none())
}

#[test]
fn ca_file_is_verified_by_backend_and_store_even_with_skip_verify() {
    let skip = "FLYTE_ADMIN_INSECURESKIPVERIFY";
    let file = "FLYTE_ADMIN_CACERTFILEPATH";
    assert_eq!(
        [
            skips_verification(&[]),
            skips_verification(&[file]),
            skips_verification(&[skip, file])
        ],
        [[false; 2]; 3]
    );
    assert_eq!(skips_verification(&[skip]), [true; 2]);
}
