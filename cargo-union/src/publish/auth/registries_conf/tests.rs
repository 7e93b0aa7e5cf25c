#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// The directories of a user and a machine with these files, and their temporary directory.
fn conf(files: &[(&str, &str)]) -> (tempfile::TempDir, RegistriesConf) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let conf = RegistriesConf {
        named: None,
        user: Some(root.path().join("user")),
        machine: Some(root.path().join("machine")),
    };
    (root, conf)
}

fn shown(conf: &RegistriesConf) -> String {
    let (helpers, problems) = conf.credential_helpers();
    assert_eq!(problems, [""; 0]);
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
fn credential_files_are_at_their_listed_position_or_last() {
    for (list, expected) in [
        ("", "files"),
        ("credential-helpers = []", "files"),
        (A, "a of registries.conf, files"),
        (
            "credential-helpers = [\"a\", \"b\"]",
            "a of registries.conf, b of registries.conf, files",
        ),
        (
            "credential-helpers = [\"containers-auth.json\", \"a\"]",
            "files, a of registries.conf",
        ),
        (
            "credential-helpers = [\"containers-auth.json\", \"a\", \"containers-auth.json\", \"a\"]",
            "files, a of registries.conf",
        ),
        (
            "Credential-Helpers = [\"a\"]\n[[registry]]\nlocation = \"x.io\"",
            "a of registries.conf, files",
        ),
        ("[registries.search]\nregistries = [\"docker.io\"]", "files"),
    ] {
        assert_eq!(
            shown(&conf(&[("machine/registries.conf", list)]).1),
            expected,
            "{list}"
        );
    }
    assert_eq!(shown(&RegistriesConf::default()), "files");
}

#[test]
fn last_list_is_used_and_user_file_replaces_system_file() {
    let machine = ("machine/registries.conf", A);
    let drop_in = ("machine/registries.conf.d/50.conf", B);
    let users = ("user/registries.conf.d/10.conf", C);
    assert_eq!(shown(&conf(&[machine, drop_in]).1), "b of 50.conf, files");
    assert_eq!(
        shown(&conf(&[machine, drop_in, users]).1),
        "c of 10.conf, files"
    );
    assert_eq!(
        shown(&conf(&[machine, drop_in, ("user/registries.conf", "")]).1),
        "files"
    );
    assert_eq!(
        shown(&conf(&[machine, drop_in, ("user/registries.conf", C)]).1),
        "c of registries.conf, files"
    );
    let order = [
        ("user/registries.conf.d/2.conf", B),
        ("user/registries.conf.d/10.conf", A),
    ];
    assert_eq!(
        shown(&conf(&order).1),
        "b of 2.conf, files",
        "by name, as text"
    );
    let others = [
        machine,
        ("machine/registries.conf.d/x.toml", B),
        ("machine/registries.conf.d/y.conf/z.conf", C),
    ];
    assert_eq!(shown(&conf(&others).1), "a of registries.conf, files");
}

#[test]
fn named_file_replaces_both_and_is_required() {
    let (root, conf) = conf(&[
        ("machine/registries.conf", A),
        ("user/registries.conf", B),
        ("other.conf", C),
    ]);
    let named = |name: &str| RegistriesConf {
        named: Some(root.path().join(name)),
        ..conf.clone()
    };
    assert_eq!(shown(&named("other.conf")), "c of other.conf, files");
    let (helpers, problems) = named("none.conf").credential_helpers();
    assert_eq!(helpers, [ListedHelper::AuthFiles]);
    assert!(
        matches!(&problems[..], [one] if one.contains("none.conf")),
        "{problems:?}"
    );
    fs::create_dir(root.path().join("machine/registries.conf.d")).unwrap();
    fs::write(root.path().join("machine/registries.conf.d/a.conf"), A).unwrap();
    assert_eq!(shown(&named("other.conf")), "a of a.conf, files");
}

#[test]
fn invalid_file_is_reported_and_others_are_used() {
    for (text, word) in [
        ("[[", "registries.conf"),
        ("credential-helpers = \"a\"", "list of names"),
        ("credential-helpers = [1]", "list"),
    ] {
        let (_root, conf) = conf(&[
            ("machine/registries.conf", text),
            ("machine/registries.conf.d/1.conf", B),
        ]);
        let (helpers, problems) = conf.credential_helpers();
        assert_eq!(helpers.len(), 2, "{text}");
        assert!(
            matches!(&problems[..], [one] if one.contains(word) && one.contains("machine/registries.conf`")),
            "{problems:?}"
        );
    }
    let (_root, conf) = conf(&[("machine/registries.conf/x", "")]);
    assert_eq!(conf.credential_helpers().1.len(), 1);
}

proptest! {
    #[test]
    fn parsing_a_registries_conf_never_panics(text in "(credential-helpers|=|\\[|\\]|\"|,|a|\n|\\PC){0,12}") {
        let (_root, conf) = conf(&[("machine/registries.conf", &text)]);
        let (helpers, _) = conf.credential_helpers();
        prop_assert!(helpers.contains(&ListedHelper::AuthFiles));
    }
}
