//! The inputs of a run on the backend. Local files and directories are uploaded to the backend's store.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use crate::flyte::client::Client;
use crate::flyte::convert::{Literal, LiteralForm, ProjectDomain, literal};
use crate::flyte::files;
use crate::flyte::interface::Interface;
use crate::run::Reporter;
use crate::run::inputs::{InputReader, local_paths, replace_paths};
use crate::run::options::NewRun;
use crate::sys::error::Result;

/// Inputs that fit the interface of a task, with the paths of local files.
pub(super) struct ResolvedInputs {
    values: BTreeMap<String, (Type, InputValue)>,
    form: LiteralForm,
}

/// Reads the inputs of a run, with relative paths from `directory`.
///
/// # Errors
/// `InputsInvalid`, with all problems.
pub(super) fn read_inputs(
    new: &NewRun,
    interface: &Interface,
    form: LiteralForm,
    directory: &Path,
) -> Result<ResolvedInputs> {
    let types: BTreeMap<String, Type> = interface.inputs.iter().cloned().collect();
    let reader = InputReader {
        task: &new.task,
        types: &types,
        options: &new.inputs,
    };
    let check = |ty: &Type, value: &InputValue| {
        literal(ty, value, form)?;
        if form == LiteralForm::Json
            && let Some(why) = ty.unfit_for_files(value)
        {
            return Err(why);
        }
        local_paths(ty, value)
            .into_iter()
            .try_for_each(|(ty, path)| check_local_path(ty, path))?;
        Ok((ty.clone(), value.clone()))
    };
    Ok(ResolvedInputs {
        values: reader.read(directory, check)?,
        form,
    })
}

fn check_local_path(ty: &Type, path: &str) -> Result<(), String> {
    let metadata =
        std::fs::metadata(path).map_err(|cause| format!("`{path}` cannot be read: {cause}"))?;
    match (ty, metadata.is_dir()) {
        (Type::Directory, true) => match files::has_files(Path::new(path)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "`{path}` has no files, and the backend's store has no empty directories"
            )),
            Err(error) => Err(error.chain().join(": ")),
        },
        (Type::Directory, false) => Err(format!("`{path}` is a file, not a directory")),
        (_, true) => Err(format!("`{path}` is a directory, not a file")),
        (_, false) if metadata.is_file() => Ok(()),
        (_, false) => Err(format!("`{path}` is neither a file nor a directory")),
    }
}

impl ResolvedInputs {
    /// Uploads the local files and directories, and encodes the inputs with their addresses.
    ///
    /// # Errors
    /// Those of [`files::upload_file`] and [`files::upload_directory`].
    pub(super) async fn upload(
        self,
        client: &Client,
        scope: &ProjectDomain,
        reporter: &dyn Reporter,
    ) -> Result<Vec<(String, Literal)>> {
        let paths: BTreeMap<&str, &Type> = self
            .values
            .values()
            .flat_map(|(ty, value)| local_paths(ty, value))
            .map(|(ty, path)| (path, ty))
            .collect();
        let mut addresses = BTreeMap::new();
        for (path, ty) in paths {
            let _busy = reporter.busy("Uploading", &path);
            let local = Path::new(path);
            let address = if *ty == Type::Directory {
                let progress = |progress| reporter.directory_progress("Uploading", path, progress);
                let (address, sent) =
                    files::upload_directory(client, scope, local, &progress).await?;
                reporter.directory_uploaded(path, sent, &address);
                address
            } else {
                let address = files::upload_file(client, scope, local).await?;
                reporter.file_uploaded(path, &address);
                address
            };
            addresses.insert(path.to_owned(), address);
        }
        let encode = |(name, (ty, value)): (&String, &(Type, InputValue))| {
            let value = replace_paths(ty, value, &mut |path| {
                addresses.get(path).map_or(path, String::as_str).to_owned()
            });
            (
                name.clone(),
                literal(ty, &value, self.form).expect("the value was checked against its type"),
            )
        };
        Ok(self.values.iter().map(encode).collect())
    }
}
