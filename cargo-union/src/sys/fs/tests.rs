#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn unsupported_locks_are_distinguished_from_failures() {
    for errno in [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK] {
        assert!(is_lock_unsupported(&errno.into()), "{errno:?}");
    }
    for errno in [Errno::INTR, Errno::BADF, Errno::ACCESS, Errno::IO] {
        assert!(!is_lock_unsupported(&errno.into()), "{errno:?}");
    }
}

#[test]
fn held_lock_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sub/lock");
    let held = FileLock::exclusive(&path, || panic!("the lock is free")).unwrap();
    let (sender, waiting) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        FileLock::exclusive(&path, || sender.send(()).unwrap()).unwrap()
    });
    waiting.recv().unwrap();
    drop(held);
    other.join().unwrap();
}
