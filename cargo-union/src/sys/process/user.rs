//! The user of this process.

/// The ids of this process's user and group, as `UID:GID`.
pub fn user() -> String {
    format!("{}:{}", user_id(), group_id())
}

/// The id of this process's user.
#[cfg(unix)]
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(unix)]
fn group_id() -> u32 {
    rustix::process::getgid().as_raw()
}

/// Root: Docker Desktop gives files of Windows to each user of a container.
#[cfg(windows)]
pub fn user_id() -> u32 {
    0
}

#[cfg(windows)]
fn group_id() -> u32 {
    0
}
