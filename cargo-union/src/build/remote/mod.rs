//! The remote builder: prepares images that the backend builds.
//!
//! Creates the remote image spec and an archive with everything that it copies, deterministically, and sends nothing.
//! Binaries are compiled before, as for all images: the backend has no multi-stage builds, so a toolchain would
//! become part of the image.

mod shell;
mod steps;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Compression, GzBuilder};
use union_build::diag::Code;
use union_build::spec::variables::is_plain;

use super::archive::Archive;
use super::base::ResolvedBase;
use super::native::NativeBuilder;
use super::{BuildRequest, Reporter, variables};
use crate::image::BaseSource;
use crate::image::config::{IMAGE_ID, TASK_INTERFACES};
use crate::image::reference::PinnedRef;
use crate::image::remote_spec::{RemoteImageSpec, RemoteStep};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};
use steps::{BaseSettings, RemoteSteps};

/// The Python version for packages when the manifest does not set one.
const PYTHON: &str = "3.12";

/// The variable that marks an image whose binaries were not checked; other builders set a label.
const START_CHECK: &str = "UNION_START_CHECK";

/// Creates build requests for the backend.
pub struct RemoteBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    native: NativeBuilder,
}

/// A remote image spec with its build context.
#[derive(Debug)]
pub struct RemoteBuildRequest {
    /// Base image, steps and platforms.
    pub spec: RemoteImageSpec,
    /// A tar.gz with everything that the spec copies; `None` when it copies nothing.
    pub context: Option<AtomicFile>,
}

impl RemoteBuilder {
    /// Archives are written to temporary files of `cache`; bases are read from `source`.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        let native = NativeBuilder::new(cache.clone(), source.clone(), reporter);
        Self {
            cache,
            source,
            native,
        }
    }

    /// Creates the request for an image on a base, and checks that its binaries can start, as far as the files of the
    /// image are known.
    ///
    /// # Errors
    /// Those of the start check (U06xx), of expanding variables, and of reading files.
    pub async fn build_request(
        &self,
        request: &BuildRequest,
        base: &PinnedRef,
    ) -> Result<RemoteBuildRequest> {
        let files_are_known = request
            .steps
            .iter()
            .all(|spec| spec.needs_to_run().is_empty());
        let checked = self.native.check_start(request, files_are_known).await?;
        let settings = self.base_settings(request).await?;
        let cache = self.cache.clone();
        let request = request.clone();
        let base = base.to_string();
        // Reading and compressing are CPU-bound and must not block the async runtime.
        let packed =
            tokio::task::spawn_blocking(move || pack(&cache, &request, base, &settings, checked));
        packed.await.expect("packing does not panic")
    }

    /// Variables and working directory of the base. Those of the first platform apply to all, because a spec has the
    /// same steps for every platform.
    async fn base_settings(&self, request: &BuildRequest) -> Result<BaseSettings> {
        let Some((platform, base)) = request.platforms.iter().find_map(|platform_request| {
            Some((&platform_request.platform, platform_request.base.as_ref()?))
        }) else {
            return Ok(BaseSettings {
                variables: variables::of_base(None),
                workdir: String::new(),
            });
        };
        let config = ResolvedBase::open(&*self.source, base, platform)
            .await?
            .config;
        Ok(BaseSettings {
            variables: variables::of_base(Some(&config)),
            workdir: config.workdir(),
        })
    }
}

fn pack(
    cache: &Cache,
    request: &BuildRequest,
    base: String,
    settings: &BaseSettings,
    checked: bool,
) -> Result<RemoteBuildRequest> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    let archive = Archive::new(
        GzBuilder::new()
            .mtime(0)
            .write(draft, Compression::default()),
        path.clone(),
        request.source_date_epoch,
    );
    let mut steps = RemoteSteps::new(archive, request, settings);
    steps.add(request)?;
    steps
        .steps
        .push(RemoteStep::Env(all_variables(request, settings, checked)?));
    let RemoteSteps {
        steps,
        archive,
        has_files,
        ..
    } = steps;
    let mut draft = archive
        .finish()?
        .finish()
        .map_err(|cause| fs::unwritable(&path, cause))?;
    draft
        .flush()
        .map_err(|cause| fs::unwritable(&path, cause))?;
    let python = request
        .chain
        .iter()
        .rev()
        .find_map(|spec| spec.python.version.as_ref());
    let spec = RemoteImageSpec {
        base,
        python: python.map_or_else(|| PYTHON.to_owned(), |version| version.value.clone()),
        steps,
        platforms: request
            .platforms
            .iter()
            .map(|platform| platform.platform.clone())
            .collect(),
    };
    Ok(RemoteBuildRequest {
        spec,
        context: has_files.then_some(draft),
    })
}

/// The variables of the image: those of the specs, and what other builders write into labels.
///
/// # Errors
/// `InvalidValue`; `UnsupportedByBuilder` when an expanded value has characters that the backend may change.
fn all_variables(
    request: &BuildRequest,
    settings: &BaseSettings,
    checked: bool,
) -> Result<BTreeMap<String, String>> {
    let mut variables = variables::expanded(request.chain.iter(), &settings.variables)?;
    if let Some((name, value)) = variables.iter().find(|(_, value)| !is_plain(value)) {
        let image = request.image();
        return Err(Error::new(
            Code::UnsupportedByBuilder,
            format!("the remote builder may change the value of `{name}` of image `{image}`"),
        )
        .because(format!("with the variables of the base image it is `{value}`, which contains a space, a quote, `\\` or a dollar"))
        .help("Set it in the `env` of the tasks, which is not changed."));
    }
    variables.insert(IMAGE_ID.to_owned(), request.key.to_string());
    if !request.interface_labels.is_empty() {
        // Encoded, because the backend may change the quotes of JSON.
        let interfaces =
            serde_json::to_vec(&request.interface_labels).expect("texts always serialize");
        variables.insert(
            TASK_INTERFACES.to_owned(),
            URL_SAFE_NO_PAD.encode(interfaces),
        );
    }
    if !checked {
        variables.insert(START_CHECK.to_owned(), "skipped".to_owned());
    }
    Ok(variables)
}
