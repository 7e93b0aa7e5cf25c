//! A workspace, a cache, a base, and image specs for tests of the builders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cargo_union::build::native::NativeBuilder;
use cargo_union::build::{
    self, BaseImage, BuildRequest, Builder, Executable, ImageChain, LockedBase, MeasuredFiles,
    PlatformBuildRequest, SourceRoots,
};
use cargo_union::image::layer::{Blob, BlobSource, Descriptor};
use cargo_union::image::platform::Platform;
use cargo_union::image::reference::Repository;
use cargo_union::image::{BaseSource, Image, RawManifest};
use cargo_union::publish::ImageTarget;
use cargo_union::sys::cache::Cache;
use cargo_union::sys::digest::Digest;
use cargo_union::sys::error::{Error, Result};
use cargo_union::sys::fs::AtomicFile;
use serde_json::Value;
use union_build::diag::{Code, Origin};
use union_build::key::{Inputs, Key};
use union_build::spec::{self, Base, BuilderChoice, Compile, Compression, Link, Python, Sourced};

/// Directories of one test. They are removed when this is dropped.
pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) cache: Cache,
    pub(crate) source: Arc<LayoutSource>,
}

impl Fixture {
    /// An empty workspace, without a base.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("workspace")).unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        let source = Arc::new(LayoutSource {
            layout: directory.path().join("no base"),
            cache: cache.clone(),
            fetched: AtomicUsize::new(0),
            warned: Mutex::default(),
        });
        Self {
            directory,
            cache,
            source,
        }
    }

    /// The same with the image of an OCI layout as its base.
    pub(crate) fn with_base(layout: &Path) -> Self {
        let mut fixture = Self::new();
        let source = LayoutSource {
            layout: layout.to_owned(),
            cache: fixture.cache.clone(),
            fetched: AtomicUsize::new(0),
            warned: Mutex::default(),
        };
        fixture.source = Arc::new(source);
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the workspace with an exact mode.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("workspace").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// One entry of `copy`, from a path in the workspace.
    pub(crate) fn copy(&self, from: &str, to: &str) -> spec::Copy {
        let path = self.path("workspace").join(from);
        spec::Copy {
            from: placed(path),
            typed: from.to_owned(),
            to: placed(to.to_owned()),
            mode: None,
            owner: None,
            exclude: Vec::new(),
        }
    }

    /// Where copies come from.
    pub(crate) fn roots(&self) -> SourceRoots {
        SourceRoots {
            workspace: self.path("workspace"),
            ..SourceRoots::default()
        }
    }

    /// A request for one image, linux/amd64, on the base if there is one. Whether binaries can start is
    /// not checked: most are no programs.
    pub(crate) fn recipe(
        &self,
        chain: Vec<spec::ImageSpec>,
        binaries: &[(&str, &Path)],
    ) -> BuildRequest {
        let base = self.source.locked().map(BaseImage::Locked);
        let executables = binaries
            .iter()
            .map(|(name, path)| Executable {
                name: (*name).to_owned(),
                path: (*path).to_owned(),
            })
            .collect();
        let platforms = vec![PlatformBuildRequest {
            platform: platform("linux/amd64"),
            base,
            tools: BTreeMap::new(),
            executables,
            launcher: None,
        }];
        BuildRequest {
            steps: chain.clone(),
            chain: image_chain(&chain),
            roots: self.roots(),
            files: Arc::new(self.files()),
            key: key("a"),
            platforms,
            interface_labels: BTreeMap::new(),
            source_date_epoch: 0,
            check: false,
        }
    }

    /// The measured files of the workspace.
    pub(crate) fn files(&self) -> MeasuredFiles {
        MeasuredFiles::new(&self.cache)
    }

    pub(crate) async fn build(&self, recipe: &BuildRequest) -> Result<Image> {
        let reporter = Arc::new(build::Silent);
        NativeBuilder::new(self.cache.clone(), self.source.clone(), reporter)
            .build(recipe)
            .await
    }
}

/// Where an image is published to in these tests.
pub(crate) fn target(recipe: &BuildRequest, tag: &str) -> ImageTarget {
    ImageTarget {
        name: "app".to_owned(),
        tag: tag.to_owned(),
        reference: None,
        key: recipe.key,
        platforms: recipe
            .platforms
            .iter()
            .map(|recipe| recipe.platform.clone())
            .collect(),
        known: None,
    }
}

pub(crate) fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// A key that differs from that of every other text.
pub(crate) fn key(text: &str) -> Key {
    let mut inputs = Inputs::new();
    inputs.insert("test", text);
    inputs.key("image")
}

pub(crate) fn placed<T>(value: T) -> Sourced<T> {
    Sourced {
        value,
        origin: Origin::Default,
    }
}

pub(crate) fn texts(texts: &[&str]) -> Vec<Sourced<String>> {
    texts
        .iter()
        .map(|text| placed((*text).to_owned()))
        .collect()
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, Sourced<String>> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), placed((*value).to_owned())))
        .collect()
}

/// An image spec in which nothing is set.
pub(crate) fn spec(name: &str, base: Base) -> spec::ImageSpec {
    spec::ImageSpec {
        key: name.to_owned(),
        origin: Origin::Default,
        name: placed("app".to_owned()),
        registry: None,
        tag_format: placed("{spec-hash}".to_owned()),
        builder: placed(BuilderChoice::Auto),
        base,
        platforms: vec![placed("linux/amd64".to_owned())],
        build: spec::Build {
            profile: placed("release".to_owned()),
            features: Vec::new(),
            default_features: placed(true),
            link: placed(Link::Auto),
            compile: placed(Compile::Auto),
            rust_image: None,
            apt_packages: Vec::new(),
            env: BTreeMap::new(),
        },
        apt_packages: Vec::new(),
        commands: Vec::new(),
        copy: Vec::new(),
        requirements: Vec::new(),
        python: Python::default(),
        cuda: None,
        cudnn: None,
        dockerfile: None,
        secrets: Vec::new(),
        build_ca: None,
        builder_options: spec::BuilderOptions::default(),
        builder_config: spec::BuilderConfig::default(),
        env: BTreeMap::new(),
        entrypoint: None,
        user: None,
        workdir: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        ca_certificates: None,
        runtime_libs: Vec::new(),
        launcher: placed(false),
        auditable: placed(true),
        compression: placed(Compression::Gzip),
        inputs: Vec::new(),
        exclude: Vec::new(),
    }
}

pub(crate) fn scratch() -> Base {
    Base::Scratch(Origin::Default)
}

pub(crate) fn reference() -> Base {
    Base::Reference(placed("debian:bookworm".to_owned()))
}

/// The JSON of a manifest or config.
pub(crate) fn json(blob: &Blob) -> Value {
    let BlobSource::Bytes(bytes) = &blob.content else {
        panic!("{blob:?} is not in memory")
    };
    serde_json::from_slice(bytes).unwrap()
}

/// Runs a program that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|cause| panic!("{command:?} does not start: {cause}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A static program that prints its arguments, its user and its `UNION_IMAGE_ID`. Compiled once.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<tempfile::TempDir> = OnceLock::new();
    const SOURCE: &str = r#"fn main() {
        use std::os::unix::fs::MetadataExt as _;
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let user = std::fs::metadata("/proc/self").unwrap().uid();
        std::fs::write("/tmp/written", "x").unwrap();
        println!("hello {arguments:?} from {user} in {}", std::env::var("UNION_IMAGE_ID").unwrap());
    }"#;
    let directory = PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("hello.rs");
        std::fs::write(&source, SOURCE).unwrap();
        let target = "x86_64-unknown-linux-gnu";
        let flags = [
            "-O",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
            "--target",
            target,
            "-o",
        ];
        run(Command::new("rustc")
            .args(flags)
            .arg(directory.path().join("hello"))
            .arg(source));
        directory
    });
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| directory.path().join("hello"))
}

/// Bases from an OCI layout on disk, counting what is fetched.
pub(crate) struct LayoutSource {
    layout: PathBuf,
    cache: Cache,
    fetched: AtomicUsize,
    warned: Mutex<Vec<String>>,
}

impl LayoutSource {
    /// The layout's one image, if there is a layout.
    pub(crate) fn locked(&self) -> Option<LockedBase> {
        let index: Value =
            serde_json::from_slice(&std::fs::read(self.layout.join("index.json")).ok()?).unwrap();
        let digest = index["manifests"][0]["digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let repository = Repository {
            registry: "registry.test".to_owned(),
            path: "library/debian".to_owned(),
        };
        Some(LockedBase { repository, digest })
    }

    /// The warnings about the base.
    pub(crate) fn warned(&self) -> Vec<String> {
        self.warned.lock().unwrap().clone()
    }

    /// How many blobs were fetched so far.
    pub(crate) fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    fn read(&self, digest: &str) -> Result<Vec<u8>> {
        let path = self.layout.join("blobs").join(digest.replace(':', "/"));
        std::fs::read(&path).map_err(|cause| {
            Error::new(Code::BaseMissing, format!("no blob {digest}")).because(cause)
        })
    }
}

#[async_trait::async_trait]
impl BaseSource for LayoutSource {
    async fn manifest(&self, _: &Repository, digest: &str) -> Result<RawManifest> {
        let bytes = self.read(digest)?;
        let descriptor = Descriptor {
            media_type: String::new(),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        Ok(RawManifest {
            descriptor,
            bytes: bytes.into(),
        })
    }

    fn warn(&self, warning: &str) {
        self.warned.lock().unwrap().push(warning.to_owned());
    }

    async fn blob(&self, _: &Repository, descriptor: &Descriptor) -> Result<PathBuf> {
        if let Some(path) = self.cache.blob(&descriptor.digest) {
            return Ok(path);
        }
        self.fetched.fetch_add(1, Ordering::SeqCst);
        let mut draft: AtomicFile = self.cache.draft()?;
        std::io::Write::write_all(&mut draft, &self.read(&descriptor.digest.to_string())?).unwrap();
        self.cache.keep(draft, &descriptor.digest)
    }
}

/// The chain of some specs, the one with the base first and the image's own last.
pub(crate) fn image_chain(specs: &[spec::ImageSpec]) -> ImageChain {
    let (own, ancestors) = specs.split_last().expect("a chain has a spec");
    ImageChain::new(ancestors.to_vec(), own.clone())
}
