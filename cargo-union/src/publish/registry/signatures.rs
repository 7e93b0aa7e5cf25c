//! Reads the signatures of an image under its tag `sha256-….sig`, and adds one.

use std::sync::atomic::AtomicU64;

use futures_util::future::try_join_all;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::list_tag::{ListTag, foreign_content};
use crate::image::reference::PinnedRef;
use crate::image::signature_list::{DetachedSignature, SignatureList, signature_tag};
use crate::publish::failure::RegistryFailure;
use crate::sys::error::Result;

impl Registry {
    /// The signatures under the tag of an image; empty if there is none. Those of cosign are read as well.
    ///
    /// # Errors
    /// `RegistryInvalid` when the tag holds something else, `DigestMismatch`, and the errors of the registry.
    pub async fn signatures(&self, image: &PinnedRef) -> Result<Vec<DetachedSignature>> {
        let place = RepositoryEndpoint::of(&image.repository);
        let reading = async {
            let list = self.signature_list(&place, image).await?;
            let listed = list.signatures();
            let reading = listed.into_iter().map(|listed| {
                let place = &place;
                async move {
                    Ok::<_, RegistryFailure>(DetachedSignature {
                        payload: self.small_blob(place, &listed.payload).await?,
                        signature: listed.signature,
                    })
                }
            });
            try_join_all(reading).await
        };
        reading.await.map_err(|failure| {
            failure.into_error(format!("could not read the signatures of {image}"))
        })
    }

    /// Adds a signature to those under the tag of an image. Other signatures are kept, also those that other clients add at
    /// the same time, unless one of them needs much longer than this one between reading the tag and writing it.
    ///
    /// # Errors
    /// `RegistryInvalid` when the tag holds something else, `RegistryDenied`, and the other codes of a push.
    pub async fn add_signature(
        &self,
        image: &PinnedRef,
        signature: &DetachedSignature,
    ) -> Result<()> {
        let place = RepositoryEndpoint::of(&image.repository);
        let adding = self.add_to_list(&place, image, signature).await;
        adding.map_err(|failure| failure.into_error(format!("could not sign {image}")))
    }

    async fn add_to_list(
        &self,
        place: &RepositoryEndpoint,
        image: &PinnedRef,
        signature: &DetachedSignature,
    ) -> Result<(), RegistryFailure> {
        let mut tag = ListTag::new(place, signature_tag(image.digest));
        loop {
            tag.start_round();
            let list = self.signature_list(place, image).await?;
            let mut listed = list.signatures().into_iter();
            if listed.any(|listed| listed.signature == signature.signature) {
                return Ok(());
            }
            tag.check_writes()?;
            let (manifest, blobs) = list.with(signature);
            let sent = AtomicU64::new(0);
            let sending = blobs
                .iter()
                .map(|blob| self.ensure_blob(place, blob, false, &sent));
            try_join_all(sending).await?;
            self.put_manifest(place, &tag.name, &manifest)
                .await
                .map_err(|refusal| refusal.failure)?;
            tag.settle().await;
        }
    }

    /// The list under the tag; an empty one if the tag does not exist.
    async fn signature_list(
        &self,
        place: &RepositoryEndpoint,
        image: &PinnedRef,
    ) -> Result<SignatureList, RegistryFailure> {
        let tag = signature_tag(image.digest);
        let found = self
            .get_manifest(place, &tag)
            .await
            .map_err(|refusal| refusal.failure)?;
        let Some(found) = found else {
            return Ok(SignatureList::default());
        };
        SignatureList::parse(&found.bytes).ok_or_else(|| foreign_content(place, &tag, "signatures"))
    }
}
