//! Options of the pipeline, as `settings` resolves them from flags, environment variables and defaults.

use std::path::PathBuf;

use union_build::spec::BackendChoice;
use union_build::spec::merge::Overrides;

use crate::image::reference::{BaseRef, Repository};
use crate::sys::cache::Cache;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::workspace::{Cargo, Selection};

/// Selects the packages of a workspace, and overrides keys of their manifests.
#[derive(Clone, Debug)]
pub struct WorkspaceOptions {
    /// How cargo is called: its program, its own flags, and the environment of the process.
    pub cargo: Cargo,
    /// `--manifest-path`; `None` searches the current directory and its parents, as cargo does.
    pub manifest_path: Option<PathBuf>,
    /// `-p`, `--workspace`, `--exclude`
    pub selection: Selection,
    /// Values of manifest keys that were set by flags or environment variables.
    pub overrides: Overrides,
    /// How the Flyte backend is found.
    pub backend: BackendOptions,
    /// The cache of blobs and layers.
    pub cache: Cache,
    /// Size in bytes to which the cache is reduced after a build.
    pub cache_limit: u64,
}

/// The sources of the Flyte config: files, environment variables, and the flags that override them.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// The environment of the process.
    pub environment: Environment,
    /// The current directory.
    pub directory: PathBuf,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--org`
    pub org: Option<String>,
    /// `--backend` or UNION_BACKEND, which take precedence over the manifest.
    pub generation: Option<BackendChoice>,
    /// Where the detected generation of a backend is cached.
    pub cache: Cache,
    /// Whether a user is at the terminal, so that a login in the browser is possible.
    pub interactive: bool,
}

/// Options of `plan` and `build`, and of every command that builds images first.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The selected packages.
    pub scope: WorkspaceOptions,
    /// `--task`; empty selects all tasks.
    pub tasks: Vec<String>,
    /// Where images are published.
    pub output: ImageOutput,
    /// Maximum number of concurrent transfers.
    pub jobs: usize,
    /// `--rebuild`: existing images are built again.
    pub rebuild: bool,
    /// `--dry-run`: nothing is published, and no state is written.
    pub dry: bool,
    /// Whether the interfaces of all `rust` tasks are required, even if that takes a compile.
    pub describe: bool,
    /// Whether a binary that could not start in its image is an error; false with `--no-check`.
    pub check: bool,
    /// `--allow-unpinned`: an image whose digest is not known is referred to by its tag.
    pub allow_unpinned: bool,
    /// `--sbom FILE`, absolute: where bills of materials are written.
    pub sbom: Option<PathBuf>,
    /// `--sign-key`: how images in registries are signed.
    pub signing: Option<SigningOptions>,
    /// Every timestamp in an image, in seconds since the Unix epoch.
    pub source_date_epoch: u64,
}

/// Options of `resolve`.
#[derive(Debug)]
pub struct ResolveOptions {
    /// How the images are built; the files select the packages.
    pub options: BuildOptions,
    /// Absolute paths of files and directories; `None` is stdin.
    pub files: Vec<Option<PathBuf>>,
}

/// How images are signed.
#[derive(Clone, Debug)]
pub struct SigningOptions {
    /// `--sign-key FILE`, absolute: a private key in PEM.
    pub key: PathBuf,
    /// COSIGN_PASSWORD: the password of the key; `None` asks for it if the key is encrypted.
    pub password: Option<Secret<String>>,
}

/// Options of `push`.
#[derive(Debug)]
pub struct PushOptions {
    /// The image.
    pub source: BaseRef,
    /// The repository that it is copied to.
    pub target: Repository,
    /// `--rebuild`: a tag that refers to another image is replaced.
    pub replace: bool,
    /// `--registry-config` or UNION_REGISTRY_CONFIG.
    pub registry_config: Option<PathBuf>,
    /// `--sign-key`: how the copy is signed.
    pub signing: Option<SigningOptions>,
    /// The cache, where blobs that cannot be mounted are stored between download and upload.
    pub cache: Cache,
    /// Size in bytes to which the cache is reduced afterwards.
    pub cache_limit: u64,
}

/// Options of `verify`.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// The selected packages, and how they are built for `--rebuild`.
    pub build: BuildOptions,
    /// `REF`: `registry/repository:tag` or `registry/repository@sha256:…`
    pub reference: String,
    /// `--image`: the key of the image in the manifest.
    pub image: Option<String>,
    /// `--rebuild`: the image is built again without being published.
    pub rebuild: bool,
    /// `--key FILE`, absolute: the public key that has to have signed the image.
    pub key: Option<PathBuf>,
}

/// Where images are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageOutput {
    /// The registry of the image; the local layout if none is set.
    Default,
    /// `--no-push`: the local OCI layout in the target directory.
    Local,
    /// `oci:DIR`: an OCI layout.
    Oci(PathBuf),
    /// `tar:FILE`: an OCI archive, which `docker load` reads as well.
    Tar(PathBuf),
    /// `docker:`: the container engine of this machine.
    Docker,
}
