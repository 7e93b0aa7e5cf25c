//! Lists the tags of a repository.

use serde::Deserialize;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use crate::http::header::LINK;
use crate::http::{Method, same_origin};
use crate::image::reference::Repository;
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::sys::error::Result;

/// The target of the next page in a `Link` header (RFC 8288): `</v2/app/tags/list?n=1000&last=z>; rel="next"`.
pub(super) fn next(link: &str) -> Option<&str> {
    // Targets may contain commas, which also separate the links.
    let links = link.split('<').skip(1);
    links.into_iter().find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let parameters = parameters.trim_end().trim_end_matches(',');
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split(' ')
                    .any(|word| word.eq_ignore_ascii_case("next"))
        };
        parameters.split(';').any(is_next).then_some(target)
    })
}

/// A page of a list of tags.
#[derive(Deserialize)]
struct TagPage {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// All tags of a repository, from its mirror if there is one.
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<String>> {
        let place = RepositoryEndpoint::mirror_of(repository, &self.mirrors)
            .unwrap_or_else(|| RepositoryEndpoint::of(repository));
        self.all_tags(&place).await.map_err(|failure| {
            failure.into_base_error(format!("could not list the tags of {repository}"))
        })
    }

    async fn all_tags(&self, place: &RepositoryEndpoint) -> Result<Vec<String>, RegistryFailure> {
        // More than any repository has; limits registries that always return a next page.
        const PAGES: usize = 100;
        let mut tags: Vec<String> = Vec::new();
        let mut call = self
            .transport
            .call(place, Scopes::pull(&place.path), Method::GET, "tags/list")
            .await?;
        call.url.query_pairs_mut().append_pair("n", "1000");
        for _ in 0..PAGES {
            let answer = self.transport.send(&call).await?;
            match answer.status().as_u16() {
                200 => {}
                404 if !answer.is_web_page() => {
                    return Err(RegistryFailure::new(
                        Code::BaseMissing,
                        format!("{place} does not exist"),
                    ));
                }
                _ => return Err(self.transport.refusal(place, answer).await.failure),
            }
            let next = answer
                .header(LINK)
                .and_then(next)
                .and_then(|link| call.url.join(link).ok());
            let page: TagPage = serde_json::from_slice(&answer.bytes().await?).map_err(|_| {
                RegistryFailure::new(
                    Code::RegistryInvalid,
                    format!(
                        "{} responded with a document that is not a tag list",
                        place.registry
                    ),
                )
            })?;
            let page = page.tags.unwrap_or_default();
            let ended = page.is_empty();
            tags.extend(page);
            match next.filter(|next| !ended && same_origin(next, &call.url)) {
                Some(next) => {
                    call =
                        self.transport
                            .call_to(place, Scopes::pull(&place.path), Method::GET, next)
                }
                None => break,
            }
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_page_is_read_from_the_link_header() {
        for (link, target) in [
            (
                r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
                Some("/v2/a/tags/list?n=2&last=b"),
            ),
            ("<?last=b>;rel=next", Some("?last=b")),
            (
                r#"</first>; rel="first", <?last=a,b>; rel="next""#,
                Some("?last=a,b"),
            ),
            (
                r#"</first>; rel="first", <https://a.io/next>; title="x"; REL="last next""#,
                Some("https://a.io/next"),
            ),
            (r#"</v2/a>; rel="prev""#, None),
            ("</v2/a", None),
            ("", None),
            ("rel=next", None),
        ] {
            assert_eq!(next(link), target, "{link}");
        }
    }
}
