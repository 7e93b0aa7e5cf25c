//! From specs to the steps of an order, and to the archive that goes along with it.

use std::io::Write;
use std::path::Path;

use union_build::spec;

use super::shell::with_secrets;
use crate::base::error::Result;
use crate::build::archive::Archive;
use crate::build::chain::Settings;
use crate::build::native::BINARIES;
use crate::build::sources::items;
use crate::build::{Executable, Recipe, SourceRoots};
use crate::image::order::{PipOptions, Step};

/// Where TLS clients look for the authorities that they trust.
const CA_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Steps that are being put together.
pub(super) struct Steps<'a, W: Write> {
    pub(super) steps: Vec<Step>,
    /// What the steps copy.
    pub(super) archive: Archive<W>,
    /// Whether there is anything in the archive.
    pub(super) has_files: bool,
    pub(super) roots: &'a SourceRoots,
    copied: usize,
}

impl<'a, W: Write> Steps<'a, W> {
    /// No steps yet.
    pub(super) fn new(archive: Archive<W>, roots: &'a SourceRoots) -> Self {
        Self { steps: Vec::new(), archive, has_files: false, roots, copied: 0 }
    }

    /// Adds everything of a recipe but its variables, in the order in which an engine would make it: what
    /// changes rarely comes first.
    pub(super) fn add(&mut self, recipe: &Recipe) -> Result<()> {
        for spec in &recipe.steps {
            self.spec(spec)?;
        }
        let settings = Settings::of(&recipe.chain);
        if let Some(bundle) = settings.ca_certificates {
            self.file("ca-certificates.crt", bundle, 0o644)?;
            self.copy("ca-certificates.crt", CA_CERTIFICATES);
        }
        self.binaries(&recipe.platforms[0].executables)?;
        self.steps.extend(settings.workdir.map(|workdir| Step::Workdir(workdir.to_owned())));
        Ok(())
    }

    fn spec(&mut self, spec: &spec::Image) -> Result<()> {
        if !spec.apt_packages.is_empty() {
            self.steps.push(Step::Apt(texts(&spec.apt_packages)));
        }
        self.python(&spec.python)?;
        for copy in &spec.copy {
            let place = format!("copy/{}", self.copied);
            self.copied += 1;
            let items = items(copy, self.roots)?;
            let to = items.first().map_or("", |item| &item.to).to_owned();
            self.archive.copied(&place, &items)?;
            self.has_files = true;
            self.copy(&place, &format!("/{to}"));
        }
        for command in &spec.commands {
            let (line, secrets) = with_secrets(&command.value, &spec.secrets);
            self.steps.push(Step::Command { line, secrets });
        }
        Ok(())
    }

    fn python(&mut self, python: &spec::Python) -> Result<()> {
        let options = PipOptions {
            index: python.index.as_ref().map(|index| index.value.clone()),
            extra_indexes: texts(&python.extra_index_url),
            arguments: python.extra_args.as_ref().map(|arguments| arguments.value.clone()),
        };
        for file in &python.requirements {
            let folder = format!("python/{}", self.copied);
            self.copied += 1;
            if file.file_name().is_some_and(|name| name == "uv.lock") {
                let lock = format!("{folder}/uv.lock");
                self.file(&lock, file, 0o644)?;
                // uv reads a lock file together with the project that it locks.
                self.file(&format!("{folder}/pyproject.toml"), &file.with_file_name("pyproject.toml"), 0o644)?;
                let own = options.arguments.iter().map(String::as_str);
                let arguments: Vec<&str> = ["--frozen", "--no-dev", "--no-install-project"].into_iter().chain(own).collect();
                let options = PipOptions { arguments: Some(arguments.join(" ")), ..options.clone() };
                self.steps.push(Step::UvProject { folder, lock, options });
            } else {
                let place = format!("{folder}/requirements.txt");
                self.file(&place, file, 0o644)?;
                self.steps.push(Step::Requirements { file: place, options: options.clone() });
            }
        }
        if !python.packages.is_empty() {
            self.steps.push(Step::Pip { packages: texts(&python.packages), options });
        }
        Ok(())
    }

    fn binaries(&mut self, executables: &[Executable]) -> Result<()> {
        for executable in executables {
            self.file(&format!("bin/{}", executable.name), &executable.path, 0o755)?;
        }
        if !executables.is_empty() {
            self.copy("bin", BINARIES);
        }
        Ok(())
    }

    fn file(&mut self, place: &str, from: &Path, mode: u32) -> Result<()> {
        self.has_files = true;
        self.archive.file(place, from, mode)
    }

    fn copy(&mut self, from: &str, to: &str) {
        self.steps.push(Step::Copy { from: from.to_owned(), to: to.to_owned() });
    }
}

fn texts(texts: &[spec::Placed<String>]) -> Vec<String> {
    texts.iter().map(|text| text.value.clone()).collect()
}
