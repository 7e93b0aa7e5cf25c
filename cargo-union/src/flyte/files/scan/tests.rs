#![allow(clippy::unwrap_used)]

use super::*;

fn names(scan: &DirectoryScan) -> Vec<String> {
    let mut names: Vec<String> = scan
        .files()
        .unwrap()
        .map(|file| file.unwrap().name)
        .collect();
    names.sort();
    names
}

#[test]
fn fingerprint_depends_on_names_and_contents_only() {
    let scan = |files: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        DirectoryScan::read(directory.path()).unwrap()
    };
    let one = scan(&[("a", "1"), ("b/c", "22")]);
    assert_eq!(names(&one), ["a", "b/c"]);
    assert_eq!(one.totals, FileTotals { files: 2, bytes: 3 });
    assert_eq!(
        one.fingerprint,
        scan(&[("b/c", "22"), ("a", "1")]).fingerprint
    );
    for other in [
        scan(&[("a", "1"), ("b/c", "23")]),
        scan(&[("a", "1"), ("b/d", "22")]),
        scan(&[("a", "1"), ("b/c", "22"), ("d", "")]),
        scan(&[("a", "22"), ("b/c", "1")]),
    ] {
        assert_ne!(one.fingerprint, other.fingerprint);
    }
}

#[test]
#[cfg(unix)]
fn links_are_followed_except_to_their_own_parents() {
    let directory = tempfile::tempdir().unwrap();
    let below = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(below("v1/deep")).unwrap();
    std::fs::write(below("v1/deep/a"), "1").unwrap();
    for (to, name) in [
        ("v1", "latest"),
        (".", "itself"),
        ("../..", "v1/deep/top"),
        ("a", "v1/deep/b"),
    ] {
        std::os::unix::fs::symlink(to, below(name)).unwrap();
    }
    assert_eq!(
        names(&DirectoryScan::read(directory.path()).unwrap()),
        ["latest/deep/a", "latest/deep/b", "v1/deep/a", "v1/deep/b"]
    );
    std::os::unix::fs::symlink("nowhere", below("broken")).unwrap();
    let error = DirectoryScan::read(directory.path()).unwrap_err();
    assert_eq!(error.code(), Code::FileUnreadable);
    assert!(error.chain()[0].contains("broken"), "{:?}", error.chain());
}

#[test]
#[cfg(unix)]
fn special_files_are_refused_unopened() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let _listener = std::os::unix::net::UnixListener::bind(&pipe).unwrap();
    let error = DirectoryScan::read(directory.path()).unwrap_err();
    assert_eq!(error.code(), Code::FileUnreadable);
    assert!(
        error.chain()[1].contains("neither a file nor a directory"),
        "{:?}",
        error.chain()
    );
}

#[test]
fn changes_after_the_scan_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deep/a");
    std::fs::create_dir(directory.path().join("deep")).unwrap();
    std::fs::write(&file, "1").unwrap();
    let scan = || DirectoryScan::read(directory.path()).unwrap();
    let code = |scan: &DirectoryScan| scan.check_unchanged().map_err(|error| error.code());
    let before = scan();
    assert_eq!(code(&before), Ok(()));
    std::fs::write(&file, "12").unwrap();
    assert_eq!(code(&before), Err(Code::UploadChanged), "a file has grown");
    let before = scan();
    std::thread::sleep(std::time::Duration::from_millis(20));
    std::fs::write(directory.path().join("deep/b"), "").unwrap();
    assert_eq!(
        code(&before),
        Err(Code::UploadChanged),
        "there is a new file"
    );
    let before = scan();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code(&before), Err(Code::UploadChanged), "a file is gone");
}

#[test]
fn directory_of_empty_directories_has_no_files() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
    assert!(!has_files(directory.path()).unwrap());
    std::fs::write(directory.path().join("a/b/c"), "").unwrap();
    assert!(has_files(directory.path()).unwrap());
}
