//! The tags of a repository, for whoever looks for one.

use serde::Deserialize;
use union_build::diag::Code;

use super::Registry;
use super::place::Place;
use crate::base::error::Result;
use crate::http::Method;
use crate::http::header::LINK;
use crate::image::reference::Repository;
use crate::publish::auth::Scopes;
use crate::publish::failure::Failure;

/// A page of a list of tags.
#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Every tag of a repository, from its mirror when there is one.
    ///
    /// # Errors
    /// `BaseMissing`, `BaseDenied`, `BaseUnreachable`.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<String>> {
        let place = Place::mirror_of(repository, &self.mirrors).unwrap_or_else(|| Place::of(repository));
        self.all_tags(&place).await.map_err(|failure| failure.into_base_error(format!("could not list the tags of {repository}")))
    }

    async fn all_tags(&self, place: &Place) -> Result<Vec<String>, Failure> {
        // More than any repository has; a registry that always says there is more must not hold us.
        const PAGES: usize = 100;
        let mut tags: Vec<String> = Vec::new();
        for _ in 0..PAGES {
            let mut call = self.wire.call(place, Scopes::pull(&place.path), Method::GET, "tags/list").await?;
            call.url.query_pairs_mut().append_pair("n", "1000");
            if let Some(last) = tags.last() {
                call.url.query_pairs_mut().append_pair("last", last);
            }
            let answer = self.wire.send(&call).await?;
            match answer.status().as_u16() {
                200 => {}
                404 if !answer.is_web_page() => return Err(Failure::new(Code::BaseMissing, format!("{place} does not exist"))),
                _ => return Err(self.wire.refusal(place, answer).await.failure),
            }
            let has_more = answer.header(LINK).is_some_and(|link| link.contains("rel=\"next\""));
            let page: Page = serde_json::from_slice(&answer.bytes().await?).map_err(|_| {
                Failure::new(Code::RegistryInvalid, format!("{} answered with something that is no list of tags", place.registry))
            })?;
            let page = page.tags.unwrap_or_default();
            let ended = !has_more || page.is_empty();
            tags.extend(page);
            if ended {
                break;
            }
        }
        Ok(tags)
    }
}
