//! Downloads files and directories of runs from their object store.
//!
//! The backend signs addresses for uploads, reports and code bundles, and none for the outputs of a task
//! (`DataProxyService.CreateDownloadLink`). So addresses are signed here, with the user's own login for the store, as
//! the official SDK reads outputs. Signed addresses are never shown.

mod listing;
mod object;
mod settings;
mod sign;

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use union_build::diag::Code;

use super::directory::DirectoryProgress;
use super::scan::FileTotals;
use crate::flyte::client::Client;
use crate::flyte::rpc::RpcFailure;
use crate::http::error::clean;
use crate::http::{Url, authority};
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use listing::{ListPage, ListedObject};
use object::StoreRequest;

pub use settings::StoreSettings;

/// How many files of a directory are fetched at once.
const AT_ONCE: usize = 16;

/// Reads stores, with the connection settings of a backend's client.
pub struct StoreReader<'a> {
    client: &'a Client,
    settings: StoreSettings,
}

/// The place of a file or directory.
enum StoreAddress {
    /// Bucket and key.
    S3(String, String),
    Web(Url),
}

impl<'a> StoreReader<'a> {
    /// A reader of stores.
    pub fn new(client: &'a Client, settings: StoreSettings) -> Self {
        Self { client, settings }
    }

    /// Fetches the file at an address to a new path.
    ///
    /// # Errors
    /// U0781 (`StoreUnsupported`), U0782 (`DownloadFailed`), U0783 (`DownloadRefused`), U0784 (`DownloadCorrupt`), U0005
    /// (`FileUnwritable`), U0006 (`DiskFull`).
    pub async fn fetch_file(&self, address: &str, to: &Path) -> Result<FileTotals> {
        let tried = |failure: RpcFailure| failure.into_error(tried(address));
        let request = match parse(address)? {
            StoreAddress::S3(bucket, key) if !key.is_empty() => {
                self.request(&bucket, &key, Vec::new()).map_err(tried)?
            }
            StoreAddress::S3(..) => return Err(unsupported(address, "it names no file")),
            StoreAddress::Web(url) => self.web_request(url).map_err(tried)?,
        };
        let bytes = save(&request, to, None).await.map_err(tried)?;
        Ok(FileTotals { files: 1, bytes })
    }

    /// Fetches everything below an address into a new directory, which is empty when there is nothing. Nothing is written
    /// outside of it. Memory does not grow with the number of files.
    ///
    /// # Errors
    /// Those of [`Self::fetch_file`].
    pub async fn fetch_directory(
        &self,
        address: &str,
        to: &Path,
        progress: &(dyn Fn(DirectoryProgress) + Send + Sync),
    ) -> Result<FileTotals> {
        let StoreAddress::S3(bucket, key) = parse(address)? else {
            return Err(unsupported(address, "a web server does not list its files"));
        };
        let prefix = match key.trim_end_matches('/') {
            "" => String::new(),
            key => format!("{key}/"),
        };
        fs::create_directory(to)?;
        let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let done = || FileTotals {
            files: files.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
        };
        let mut total = FileTotals::default();
        let mut next = None;
        loop {
            let page = self.list(address, &bucket, &prefix, next.take()).await?;
            let objects: Vec<(PathBuf, &ListedObject)> = page
                .objects
                .iter()
                // The console of a store shows directories by empty objects of this name.
                .filter(|object| !object.key.ends_with('/'))
                .map(|object| Ok((to.join(relative(address, &prefix, &object.key)?), object)))
                .collect::<Result<_>>()?;
            total.files += objects.len() as u64;
            total.bytes += objects.iter().map(|(_, object)| object.size).sum::<u64>();
            let has_more = u64::from(page.next.is_some());
            let fetch = |(path, object): (PathBuf, &'_ ListedObject)| {
                let (key, size) = (object.key.clone(), object.size);
                let (bucket, files, bytes, done) = (&bucket, &files, &bytes, &done);
                let total = FileTotals {
                    files: total.files + has_more,
                    ..total
                };
                async move {
                    let tried = |failure: RpcFailure| failure.into_error(tried(address));
                    fs::create_directory(path.parent().unwrap_or(to))?;
                    let request = self.request(bucket, &key, Vec::new()).map_err(tried)?;
                    bytes.fetch_add(
                        save(&request, &path, Some(size)).await.map_err(tried)?,
                        Ordering::Relaxed,
                    );
                    files.fetch_add(1, Ordering::Relaxed);
                    progress(DirectoryProgress {
                        done: done(),
                        total,
                    });
                    Ok::<(), Error>(())
                }
            };
            stream::iter(objects)
                .map(fetch)
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            match page.next {
                Some(token) => next = Some(token),
                None => return Ok(done()),
            }
        }
    }

    async fn list(
        &self,
        address: &str,
        bucket: &str,
        prefix: &str,
        next: Option<String>,
    ) -> Result<ListPage> {
        let mut query = vec![("list-type", "2".to_owned()), ("prefix", prefix.to_owned())];
        query.extend(next.clone().map(|token| ("continuation-token", token)));
        let failed = |failure: RpcFailure| failure.into_error(tried(address));
        let request = self.request(bucket, "", query).map_err(failed)?;
        let text = request.text().await.map_err(failed)?;
        ListPage::read(&text)
            // A store that returns the same token again would be queried without end.
            .filter(|page| page.next.is_none() || page.next != next)
            .ok_or_else(|| {
                let host = authority(&request.url);
                Error::new(Code::DownloadFailed, tried(address)).because(format!(
                    "{host} responds with a document that is not an object list"
                ))
            })
    }

    fn request(
        &self,
        bucket: &str,
        key: &str,
        query: Vec<(&'static str, String)>,
    ) -> Result<StoreRequest<'_>, RpcFailure> {
        let url = self.settings.url(bucket, key).ok_or_else(|| {
            let cause = format!("`{}` is not a bucket name", clean(bucket));
            RpcFailure::new(Code::StoreUnsupported, cause)
        })?;
        Ok(StoreRequest {
            connection: self.client.storage(),
            settings: Some(&self.settings),
            url,
            query,
        })
    }

    fn web_request(&self, url: Url) -> Result<StoreRequest<'_>, RpcFailure> {
        let connection = self.client.storage();
        Ok(StoreRequest {
            url: connection.transport.checked(&connection.base, url)?,
            connection,
            settings: None,
            query: Vec::new(),
        })
    }
}

/// Fetches an object to a new path, which has its whole content or does not exist.
async fn save(request: &StoreRequest<'_>, to: &Path, size: Option<u64>) -> Result<u64, RpcFailure> {
    let file = fs::AtomicFile::create_beside(to)?;
    let size = request.save(file.as_file(), size).await?;
    file.keep_new(to)?;
    Ok(size)
}

fn parse(address: &str) -> Result<StoreAddress> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    match scheme {
        "s3" | "s3a" => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(StoreAddress::S3(bucket.to_owned(), key.to_owned()))
        }
        "http" | "https" => match Url::parse(address) {
            Ok(url) if url.has_host() => Ok(StoreAddress::Web(url)),
            _ => Err(unsupported(address, "it is not an address")),
        },
        _ => Err(unsupported(
            address,
            "only `s3://` and `https://` can be read from here",
        )),
    }
}

/// The path of an object below the requested directory.
fn relative(address: &str, prefix: &str, key: &str) -> Result<PathBuf> {
    let below = key.strip_prefix(prefix).unwrap_or_default();
    let path = Path::new(below);
    let parts = path.components().count();
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
        && parts == below.split('/').count()
        && !below.contains('\0');
    if is_inside {
        return Ok(path.to_owned());
    }
    let why = format!("`{}` in it cannot be the path of a file", clean(key));
    Err(unsupported(address, &why))
}

fn tried(address: &str) -> String {
    format!("could not fetch `{}`", clean(address))
}

fn unsupported(address: &str, why: &str) -> Error {
    Error::new(Code::StoreUnsupported, tried(address)).because(why.to_owned())
}

#[cfg(test)]
mod tests;
