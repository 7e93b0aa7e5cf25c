//! Credential helpers for all registries: `credential-helpers` of registries.conf.
//!
//! Files, their order and the meaning of the list are those of containers-registries.conf(5) and
//! containers-registries.conf.d(5), which podman and skopeo follow. No other key of these files is read.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::files::read_text;
use crate::http::error::clean;

/// The name in the list that stands for the files of logins.
const AUTH_FILES: &str = "containers-auth.json";

/// Where registries.conf is looked for. By default nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    /// CONTAINERS_REGISTRIES_CONF: the file that is read in place of the user's and the machine's.
    pub named: Option<PathBuf>,
    /// The user's directory of configuration, `~/.config/containers`.
    pub user: Option<PathBuf>,
    /// The machine's, `/etc/containers`.
    pub machine: Option<PathBuf>,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListedHelper {
    /// The files of logins are read at this place.
    AuthFiles,
    /// `docker-credential-<program>` is asked for every registry.
    Program {
        /// The end of the program's name.
        program: String,
        /// The file that lists it.
        listed_in: PathBuf,
    },
}

impl RegistriesConf {
    /// The list, and what is wrong with files that were left out. The files of logins are in it once: at its end
    /// where the list does not name them, for Docker reads its own file whatever the list says.
    pub(super) fn credential_helpers(&self) -> (Vec<ListedHelper>, Vec<String>) {
        let mut troubles = Vec::new();
        let mut list = (Vec::new(), PathBuf::new());
        for path in self.files(&mut troubles) {
            match read(&path, self.named.as_ref() == Some(&path)) {
                Ok(None) => {}
                // The last list counts, an empty one too.
                Ok(Some(helpers)) => list = (helpers, path),
                Err(trouble) => troubles.push(trouble),
            }
        }
        let (helpers, path) = list;
        let mut entries: Vec<ListedHelper> = Vec::new();
        for program in helpers.into_iter().chain([AUTH_FILES.to_owned()]) {
            let entry = match &*program {
                AUTH_FILES => ListedHelper::AuthFiles,
                _ => ListedHelper::Program { program, listed_in: path.clone() },
            };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        (entries, troubles)
    }

    /// The files in the order in which they are read. The user's file replaces the machine's, with all that is in its
    /// registries.conf.d; a named one replaces both files and neither directory.
    fn files(&self, troubles: &mut Vec<String>) -> Vec<PathBuf> {
        let main = |directory: &PathBuf| directory.join("registries.conf");
        let users = self.user.as_ref().map(main).filter(|path| path.exists());
        let directories = match (&self.named, &users) {
            (None, Some(_)) => [None, self.user.as_ref()],
            _ => [self.machine.as_ref(), self.user.as_ref()],
        };
        let mut files: Vec<PathBuf> = self.named.clone().or(users).or_else(|| self.machine.as_ref().map(main)).into_iter().collect();
        for directory in directories.into_iter().flatten().map(|directory| directory.join("registries.conf.d")) {
            match drop_ins(&directory) {
                Ok(paths) => files.extend(paths),
                Err(cause) => troubles.push(unreadable(&directory, &cause)),
            }
        }
        files
    }
}

/// The files of a registries.conf.d, in the order of their names.
fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let is_drop_in = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(b".conf") && !path.is_dir();
    let mut paths: Vec<PathBuf> = paths?.into_iter().filter(is_drop_in).collect();
    paths.sort();
    Ok(paths)
}

/// The list of a file; `None` when it has none, or when there is no such file and none has to be there.
fn read(path: &Path, has_to_be_there: bool) -> Result<Option<Vec<String>>, String> {
    let text = match read_text(path) {
        Ok(Some(text)) => text,
        Ok(None) if has_to_be_there => return Err(unreadable(path, &ErrorKind::NotFound.into())),
        Ok(None) => return Ok(None),
        Err(cause) => return Err(unreadable(path, &cause)),
    };
    let invalid = |why: String| format!("`{}` is not a registries.conf: {why}", path.display());
    let document: Table = text.parse().map_err(|cause: toml::de::Error| invalid(clean(cause.message())))?;
    let not_a_list = || invalid("`credential-helpers` is not a list of names".to_owned());
    match document.iter().find(|(key, _)| key.eq_ignore_ascii_case("credential-helpers")) {
        None => Ok(None),
        Some((_, Value::Array(helpers))) => {
            let names: Option<Vec<String>> = helpers.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.map(Some).ok_or_else(not_a_list)
        }
        Some(_) => Err(not_a_list()),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> String {
    format!("could not read `{}`: {cause}", path.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A user's and a machine's directory with these files, and what is to be kept for as long as they are read.
    fn conf(files: &[(&str, &str)]) -> (tempfile::TempDir, RegistriesConf) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let conf = RegistriesConf { named: None, user: Some(root.path().join("user")), machine: Some(root.path().join("machine")) };
        (root, conf)
    }

    fn shown(conf: &RegistriesConf) -> String {
        let (helpers, troubles) = conf.credential_helpers();
        assert_eq!(troubles, [""; 0]);
        let name = |helper| match helper {
            ListedHelper::AuthFiles => "files".to_owned(),
            ListedHelper::Program { program, listed_in } => {
                format!("{program} of {}", listed_in.file_name().unwrap().display())
            }
        };
        helpers.into_iter().map(name).collect::<Vec<_>>().join(", ")
    }

    const A: &str = "credential-helpers = [\"a\"]";
    const B: &str = "credential-helpers = [\"b\"]";
    const C: &str = "credential-helpers = [\"c\"]";

    #[test]
    fn the_files_of_logins_stand_where_they_are_listed_else_last() {
        for (list, expected) in [
            ("", "files"),
            ("credential-helpers = []", "files"),
            (A, "a of registries.conf, files"),
            ("credential-helpers = [\"a\", \"b\"]", "a of registries.conf, b of registries.conf, files"),
            ("credential-helpers = [\"containers-auth.json\", \"a\"]", "files, a of registries.conf"),
            ("credential-helpers = [\"containers-auth.json\", \"a\", \"containers-auth.json\", \"a\"]", "files, a of registries.conf"),
            ("Credential-Helpers = [\"a\"]\n[[registry]]\nlocation = \"x.io\"", "a of registries.conf, files"),
            ("[registries.search]\nregistries = [\"docker.io\"]", "files"),
        ] {
            assert_eq!(shown(&conf(&[("machine/registries.conf", list)]).1), expected, "{list}");
        }
        assert_eq!(shown(&RegistriesConf::default()), "files");
    }

    #[test]
    fn the_last_list_counts_and_the_users_file_replaces_the_machines() {
        let machine = ("machine/registries.conf", A);
        let drop_in = ("machine/registries.conf.d/50.conf", B);
        let users = ("user/registries.conf.d/10.conf", C);
        assert_eq!(shown(&conf(&[machine, drop_in]).1), "b of 50.conf, files");
        assert_eq!(shown(&conf(&[machine, drop_in, users]).1), "c of 10.conf, files");
        assert_eq!(shown(&conf(&[machine, drop_in, ("user/registries.conf", "")]).1), "files");
        assert_eq!(shown(&conf(&[machine, drop_in, ("user/registries.conf", C)]).1), "c of registries.conf, files");
        let order = [("user/registries.conf.d/2.conf", B), ("user/registries.conf.d/10.conf", A)];
        assert_eq!(shown(&conf(&order).1), "b of 2.conf, files", "by name, as text");
        let others = [machine, ("machine/registries.conf.d/x.toml", B), ("machine/registries.conf.d/y.conf/z.conf", C)];
        assert_eq!(shown(&conf(&others).1), "a of registries.conf, files");
    }

    #[test]
    fn a_named_file_replaces_both_and_has_to_be_there() {
        let (root, conf) = conf(&[("machine/registries.conf", A), ("user/registries.conf", B), ("other.conf", C)]);
        let named = |name: &str| RegistriesConf { named: Some(root.path().join(name)), ..conf.clone() };
        assert_eq!(shown(&named("other.conf")), "c of other.conf, files");
        let (helpers, troubles) = named("none.conf").credential_helpers();
        assert_eq!(helpers, [ListedHelper::AuthFiles]);
        assert!(matches!(&troubles[..], [one] if one.contains("none.conf")), "{troubles:?}");
        fs::create_dir(root.path().join("machine/registries.conf.d")).unwrap();
        fs::write(root.path().join("machine/registries.conf.d/a.conf"), A).unwrap();
        assert_eq!(shown(&named("other.conf")), "a of a.conf, files");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_the_others_count() {
        for (text, word) in
            [("[[", "registries.conf"), ("credential-helpers = \"a\"", "list of names"), ("credential-helpers = [1]", "list")]
        {
            let (_root, conf) = conf(&[("machine/registries.conf", text), ("machine/registries.conf.d/1.conf", B)]);
            let (helpers, troubles) = conf.credential_helpers();
            assert_eq!(helpers.len(), 2, "{text}");
            assert!(matches!(&troubles[..], [one] if one.contains(word) && one.contains("machine/registries.conf`")), "{troubles:?}");
        }
        let (_root, conf) = conf(&[("machine/registries.conf/x", "")]);
        assert_eq!(conf.credential_helpers().1.len(), 1);
    }

    proptest! {
        #[test]
        fn any_registries_conf_is_read_or_refused(text in "(credential-helpers|=|\\[|\\]|\"|,|a|\n|\\PC){0,12}") {
            let (_root, conf) = conf(&[("machine/registries.conf", &text)]);
            let (helpers, _) = conf.credential_helpers();
            prop_assert!(helpers.contains(&ListedHelper::AuthFiles));
        }
    }
}
