//! The layers that are added to a base, and their files.

use std::path::Path;

use bytes::Bytes;
use union_build::spec;
use union_build::spec::launcher::LAUNCHER;

use super::pack::{EntryKind, LayerEntry};
use super::{copy_plan, scratch};
use crate::build::chain::EffectiveConfig;
use crate::build::{BINARIES, BuildRequest, Executable, PlatformBuildRequest};
use crate::image::index::{FileIndex, FsEntry, IndexedFile, LayerChange};
use crate::sys::error::Result;
use crate::sys::fs::measure;

/// The entries of an added layer, and the `created_by` of its history entry.
pub(super) type PlannedLayer = (Vec<LayerEntry>, &'static str);

/// Plans the added layers, lowest first, and returns them with the resulting file tree.
pub(super) fn plan_layers(
    request: &BuildRequest,
    platform_request: &PlatformBuildRequest,
    workdir: &str,
    mut files: FileIndex,
) -> Result<(Vec<PlannedLayer>, FileIndex)> {
    let settings = EffectiveConfig::of(&request.chain);
    let mut layers = Vec::new();
    if platform_request.base.is_none() {
        let entries = scratch::entries(settings.ca_certificates, &request.files)?;
        files.apply(&entries.iter().map(layer_change).collect::<Vec<_>>());
        layers.push((entries, "cargo union: scratch"));
    }
    // One layer for each spec, so that an image that extends another one shares its layers.
    for spec in &request.steps {
        // Lists all fields, so that a new key does not compile until it is decided which files it adds.
        let spec::ImageSpec {
            key,
            copy,
            // Built by an engine: `build::environment`.
            apt_packages: _,
            commands: _,
            python: _,
            dockerfile: _,
            secrets: _,
            build_ca: _,
            builder_options: _,
            builder_config: _,
            // Merged for the whole chain: `EffectiveConfig`.
            env: _,
            entrypoint: _,
            user: _,
            workdir: _,
            labels: _,
            annotations: _,
            ca_certificates: _,
            compression: _,
            // Applied before: `platform_request`.
            base: _,
            platforms: _,
            build: _,
            launcher: _,
            auditable: _,
            // Without effect on files of the image.
            origin: _,
            name: _,
            registry: _,
            tag_format: _,
            builder: _,
            requirements: _,
            cuda: _,
            cudnn: _,
            runtime_libs: _,
            inputs: _,
            exclude: _,
        } = spec;
        layers.push((
            copy_plan::copies(
                key,
                copy,
                (&request.roots, &request.files),
                workdir,
                &mut files,
            )?,
            "cargo union: copy",
        ));
    }
    if let (Some(bundle), true) = (settings.ca_certificates, platform_request.base.is_some()) {
        layers.push((
            copy_plan::file(bundle, scratch::CA_CERTIFICATES, &request.files, &mut files)?,
            "cargo union: ca-certificates",
        ));
    }
    // Before the binaries, which change more often.
    layers.push((
        launcher_entries(platform_request.launcher.as_ref()),
        "cargo union: launcher",
    ));
    layers.push((
        code_entries(&platform_request.executables)?,
        "cargo union: binaries",
    ));
    layers.retain(|(entries, _)| !entries.is_empty());
    Ok((layers, files))
}

fn layer_change(entry: &LayerEntry) -> LayerChange {
    let node = match &entry.kind {
        EntryKind::Directory => FsEntry::Directory,
        EntryKind::Bytes(bytes) => FsEntry::File(IndexedFile::of(&entry.path, &bytes[..])),
        EntryKind::File(..) => FsEntry::File(None),
        EntryKind::Link(target) => FsEntry::Link(target.clone()),
    };
    LayerChange::Put(entry.path.clone(), node)
}

/// The entries of the launcher's layer.
fn launcher_entries(program: Option<&Bytes>) -> Vec<LayerEntry> {
    let Some(program) = program else {
        return Vec::new();
    };
    let path = LAUNCHER.trim_start_matches('/');
    let kind = EntryKind::Bytes(program.to_vec());
    vec![
        LayerEntry::directory("union"),
        LayerEntry {
            path: path.to_owned(),
            mode: 0o755,
            owner: 0,
            group: 0,
            kind,
        },
    ]
}

fn code_entries(executables: &[Executable]) -> Result<Vec<LayerEntry>> {
    if executables.is_empty() {
        return Ok(Vec::new());
    }
    let directory = BINARIES.trim_start_matches('/');
    let parent = Path::new(directory)
        .parent()
        .and_then(Path::to_str)
        .expect("the directory has a parent");
    let mut entries = vec![
        LayerEntry::directory(parent),
        LayerEntry::directory(directory),
    ];
    for Executable { name, path } in executables {
        let kind = EntryKind::File(path.clone(), measure(path)?);
        entries.push(LayerEntry {
            path: format!("{directory}/{name}"),
            mode: 0o755,
            owner: 0,
            group: 0,
            kind,
        });
    }
    Ok(entries)
}
