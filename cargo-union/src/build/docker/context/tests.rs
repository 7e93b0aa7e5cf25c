#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn requirements_are_packed_only_with_the_bytes_of_their_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("requirements.txt");
    let cache = Cache::new(directory.path().join("cache"));
    std::fs::write(&path, "first\n").unwrap();
    let roots = SourceRoots {
        workspace: directory.path().to_owned(),
        ..SourceRoots::default()
    };
    let files = MeasuredFiles::new(&cache);
    files.measure(&path).unwrap();
    let stopped = AtomicBool::new(false);
    let pack = || {
        let mut archive = new_archive(&cache, 0)?;
        let path_in_context = "python/0/requirements.txt".to_owned();
        let list = LockFile {
            from: &path,
            path_in_context,
            mount_point: "/python".to_owned(),
        };
        add_requirements(&mut archive, &list, &files, &roots)?;
        let draft = finish(archive)?;
        let bytes = std::fs::read(draft.path()).unwrap();
        Ok::<bool, Error>(bytes.windows(6).any(|window| window == b"first\n"))
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = directory.path().join("next");
            for text in ["other\n", "first\n"]
                .into_iter()
                .cycle()
                .take_while(|_| !stopped.load(Ordering::Relaxed))
            {
                std::fs::write(&next, text)
                    .and_then(|()| std::fs::rename(&next, &path))
                    .unwrap();
            }
        });
        let packed: Vec<Result<bool>> = (0..500).map(|_| pack()).collect();
        stopped.store(true, Ordering::Relaxed);
        for packed in packed {
            match packed {
                Ok(is_first) => assert!(is_first, "other bytes were packed"),
                Err(error) => assert_eq!(error.code(), Code::InputsMoved),
            }
        }
    });
}
