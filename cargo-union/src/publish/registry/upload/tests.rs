use super::*;

#[test]
fn missing_ecr_repository_has_advice_with_the_create_command() {
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned();
    let place = RepositoryEndpoint {
        host: host.clone(),
        registry: host,
        path: "team/app".to_owned(),
    };
    let failure = must_create(
        &place,
        RegistryFailure::new(Code::RegistryFailed, "x").into(),
    );
    assert_eq!(failure.code, Code::RegistryMustCreate);
    assert_eq!(
        failure.help.as_deref(),
        Some("Run `aws ecr create-repository --repository-name team/app --region eu-west-1`.")
    );
}
