//! The system calls that the launcher makes, as safe functions. Only this module, `memory`, `words` and the modules of the
//! processors are unsafe.

use core::ffi::CStr;

use crate::processor::{self, Stat, number, system_call};

/// An error number of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const NOENT: Self = Self(2);
    pub const INTR: Self = Self(4);
    pub const NOEXEC: Self = Self(8);
    pub const AGAIN: Self = Self(11);
    pub const ACCES: Self = Self(13);
    pub const EXIST: Self = Self(17);
    pub const NODEV: Self = Self(19);
    pub const NOTDIR: Self = Self(20);
    pub const NAMETOOLONG: Self = Self(36);
    pub const TIMEDOUT: Self = Self(110);
    pub const STALE: Self = Self(116);

    /// Its description, in the words of the C library.
    pub fn words(self) -> &'static str {
        match self.0 {
            1 => "Operation not permitted",
            2 => "No such file or directory",
            5 => "Input/output error",
            7 => "Argument list too long",
            8 => "Exec format error",
            11 => "Resource temporarily unavailable",
            12 => "Cannot allocate memory",
            13 => "Permission denied",
            17 => "File exists",
            20 => "Not a directory",
            21 => "Is a directory",
            23 => "Too many open files in system",
            24 => "Too many open files",
            26 => "Text file busy",
            28 => "No space left on device",
            30 => "Read-only file system",
            36 => "File name too long",
            40 => "Too many levels of symbolic links",
            116 => "Stale file handle",
            122 => "Disk quota exceeded",
            _ => "Error",
        }
    }
}

#[inline(never)]
fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> Result<usize, Errno> {
    // SAFETY: the functions below pass numbers, and pointers to values that live until the call returns.
    match unsafe { system_call(number, a, b, c, d) } {
        error @ -4095..=-1 => Err(Errno(-error as i32)),
        result => Ok(result as usize),
    }
}

/// A path as an argument of a system call.
fn address(path: &CStr) -> usize {
    path.as_ptr() as usize
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        let _ = call(number::EXIT_GROUP, usize::from(code), 0, 0, 0);
    }
}

/// A file descriptor, closed when it is dropped.
pub struct FileDescriptor(usize);

impl Drop for FileDescriptor {
    fn drop(&mut self) {
        let _ = call(number::CLOSE, self.0, 0, 0, 0);
    }
}

/// Relative paths start from the working directory.
const AT_FDCWD: usize = -100_isize as usize;

const O_WRONLY: usize = 1;
const O_CREAT: usize = 0o100;
const O_EXCL: usize = 0o200;
const O_NONBLOCK: usize = 0o4_000;
const O_CLOEXEC: usize = 0o2_000_000;

fn open(path: &CStr, flags: usize) -> Result<FileDescriptor, Errno> {
    call(
        number::OPENAT,
        AT_FDCWD,
        address(path),
        flags | O_CLOEXEC,
        0o644,
    )
    .map(FileDescriptor)
}

/// Opens a file for reading. It does not follow a symbolic link, and does not wait for the other end of a pipe.
pub fn open_file(path: &CStr) -> Result<FileDescriptor, Errno> {
    open(path, O_NONBLOCK | processor::O_NOFOLLOW)
}

/// Opens a file for reading, also through a symbolic link.
pub fn open_program(path: &CStr) -> Result<FileDescriptor, Errno> {
    open(path, O_NONBLOCK)
}

/// Opens a directory, also through a symbolic link.
pub fn open_directory(path: &CStr) -> Result<FileDescriptor, Errno> {
    open(path, O_NONBLOCK | processor::O_DIRECTORY)
}

/// Creates an empty file; an error when there is something of its name.
pub fn create_file(path: &CStr) -> Result<(), Errno> {
    open(path, O_WRONLY | O_CREAT | O_EXCL).map(drop)
}

/// Creates a directory; an error when there is something of its name.
pub fn create_directory(path: &CStr) -> Result<(), Errno> {
    call(number::MKDIRAT, AT_FDCWD, address(path), 0o755, 0).map(drop)
}

/// Reads once.
pub fn read(file: &FileDescriptor, buffer: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match call(
            number::READ,
            file.0,
            buffer.as_mut_ptr() as usize,
            buffer.len(),
            0,
        ) {
            Err(Errno::INTR) => {}
            Ok(count) => return Ok(count.min(buffer.len())),
            Err(errno) => return Err(errno),
        }
    }
}

/// Reads the next entries of a directory, in the kernel's format.
pub fn read_entries(directory: &FileDescriptor, buffer: &mut [u8]) -> Result<usize, Errno> {
    let count = call(
        number::GETDENTS64,
        directory.0,
        buffer.as_mut_ptr() as usize,
        buffer.len(),
        0,
    )?;
    Ok(count.min(buffer.len()))
}

/// The kind of an entry of the file system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// Kind and size of an entry of the file system; a symbolic link is not followed.
pub fn metadata(path: &CStr) -> Result<(Kind, u64), Errno> {
    const AT_SYMLINK_NOFOLLOW: usize = 0x100;
    let mut stat = core::mem::MaybeUninit::<Stat>::zeroed();
    call(
        number::NEWFSTATAT,
        AT_FDCWD,
        address(path),
        stat.as_mut_ptr() as usize,
        AT_SYMLINK_NOFOLLOW,
    )?;
    // SAFETY: it consists of numbers, for which zeros are valid.
    let stat = unsafe { stat.assume_init() };
    let kind = match stat.mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    Ok((kind, u64::try_from(stat.size).unwrap_or(0)))
}

/// Whether there is an entry of a name; symbolic links are followed.
pub fn exists(path: &CStr) -> bool {
    call(number::FACCESSAT, AT_FDCWD, address(path), 0, 0).is_ok()
}

/// Writes a line to stderr. Gives up when the reader has read nothing for a second, so that the launcher does not
/// block. A line of at most 4096 bytes (`PIPE_BUF`) does not block once there is space, and is not mixed with other
/// lines.
pub fn write_stderr(line: &[u8]) {
    const STDERR: usize = 2;
    const POLLOUT: u16 = 4;
    #[repr(C)]
    struct PollRequest {
        descriptor: i32,
        events: u16,
        results: u16,
    }
    /// More are needed only if other processes fill the pipe each time that there is space.
    const ATTEMPTS: usize = 100;
    let mut rest = line;
    for _ in 0..ATTEMPTS {
        if rest.is_empty() {
            return;
        }
        let mut request = PollRequest {
            descriptor: STDERR as i32,
            events: POLLOUT,
            results: 0,
        };
        let mut patience = Timespec {
            seconds: 1,
            nanoseconds: 0,
        };
        let addresses = (
            &mut request as *mut PollRequest as usize,
            &mut patience as *mut Timespec as usize,
        );
        if call(number::PPOLL, addresses.0, 1, addresses.1, 0) == Ok(0) {
            return;
        }
        match call(number::WRITE, STDERR, rest.as_ptr() as usize, rest.len(), 0) {
            Ok(count) => rest = &rest[count.min(rest.len())..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// The kernel's `struct timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

const NANOSECONDS_OF_SECOND: u64 = 1_000_000_000;

/// Nanoseconds since some point in the past, by a clock that is never set.
pub fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    let _ = call(
        number::CLOCK_GETTIME,
        CLOCK_MONOTONIC,
        &mut time as *mut Timespec as usize,
        0,
        0,
    );
    after(
        u64::try_from(time.nanoseconds).unwrap_or(0),
        u64::try_from(time.seconds).unwrap_or(0),
    )
}

/// The time some seconds later.
pub fn after(time: u64, seconds: u64) -> u64 {
    time.saturating_add(seconds.saturating_mul(NANOSECONDS_OF_SECOND))
}

/// A set of signals, as the kernel has it.
#[derive(Clone, Copy)]
pub struct Signals(u64);

impl Signals {
    pub const ALL: Self = Self(u64::MAX);
    pub const NONE: Self = Self(0);

    /// The set with one more signal.
    pub const fn with(self, signal: u8) -> Self {
        Self(self.0 | (1 << (signal - 1)))
    }

    pub fn contains(self, signal: u8) -> bool {
        (1..=64).contains(&signal) && self.0 & (1 << (signal - 1)) != 0
    }
}

const SIGNALS_SIZE: usize = core::mem::size_of::<Signals>();

/// Blocks exactly these signals, and returns those that were blocked before.
pub fn block_signals(signals: Signals) -> Signals {
    const SIG_SETMASK: usize = 2;
    let mut before = Signals::NONE;
    let addresses = (
        &signals as *const Signals as usize,
        &mut before as *mut Signals as usize,
    );
    let _ = call(
        number::RT_SIGPROCMASK,
        SIG_SETMASK,
        addresses.0,
        addresses.1,
        SIGNALS_SIZE,
    );
    before
}

/// Takes the next pending signal of a set, or waits for one, at most for a time in nanoseconds.
pub fn wait_for_signal(signals: Signals, limit: Option<u64>) -> Option<u8> {
    let limit = limit.map(|nanoseconds| Timespec {
        seconds: i64::try_from(nanoseconds / NANOSECONDS_OF_SECOND).unwrap_or(i64::MAX),
        nanoseconds: i64::try_from(nanoseconds % NANOSECONDS_OF_SECOND).unwrap_or(0),
    });
    let limit = limit
        .as_ref()
        .map_or(0, |limit| limit as *const Timespec as usize);
    let signal = call(
        number::RT_SIGTIMEDWAIT,
        &signals as *const Signals as usize,
        0,
        limit,
        SIGNALS_SIZE,
    );
    signal.ok().and_then(|signal| u8::try_from(signal).ok())
}

/// The kernel's `struct sigaction`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Disposition {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: Signals,
}

impl Disposition {
    pub const DEFAULT: Self = Self {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: Signals::NONE,
    };
}

/// Sets how the process reacts to a signal, and returns how it did before.
pub fn set_disposition(signal: u8, disposition: Disposition) -> Disposition {
    let mut before = Disposition::DEFAULT;
    let addresses = (
        &disposition as *const Disposition as usize,
        &mut before as *mut Disposition as usize,
    );
    let _ = call(
        number::RT_SIGACTION,
        usize::from(signal),
        addresses.0,
        addresses.1,
        SIGNALS_SIZE,
    );
    before
}

/// A process, by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Process(i32);

/// The process itself.
pub fn own_process() -> Process {
    Process(call(number::GETPID, 0, 0, 0, 0).map_or(0, |number| number as i32))
}

/// Makes a copy of this process: `None` in the copy, the copy's number in the original.
pub fn fork() -> Result<Option<Process>, Errno> {
    let child = call(number::CLONE, usize::from(crate::signal::CHLD), 0, 0, 0)?;
    Ok((child != 0).then_some(Process(child as i32)))
}

/// Makes orphaned descendants children of this process, as they are of process 1.
pub fn adopt_orphans() {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    // If the kernel or a sandbox does not support this, orphans become children of process 1, as without the launcher.
    let _ = call(number::PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
}

/// Makes a process the leader of a new process group.
pub fn lead_group(process: Process) {
    let _ = call(
        number::SETPGID,
        process.0 as usize,
        process.0 as usize,
        0,
        0,
    );
}

/// Sends a signal to the group that a process leads, or to the process if it has left its group.
pub fn signal_group(leader: Process, signal: u8) {
    let send = |number: i32| {
        call(
            number::KILL,
            number as isize as usize,
            usize::from(signal),
            0,
            0,
        )
    };
    if send(-leader.0).is_err() {
        let _ = send(leader.0);
    }
}

/// How a process ended.
#[derive(Clone, Copy)]
pub enum Ended {
    Exit(u8),
    Signal(u8),
}

/// Takes a child that has ended, if there is one.
pub fn reap() -> Option<(Process, Ended)> {
    const WNOHANG: usize = 1;
    let mut status = 0_u32;
    let child = call(
        number::WAIT4,
        usize::MAX,
        &mut status as *mut u32 as usize,
        WNOHANG,
        0,
    )
    .ok()?;
    let ended = match (status & 0x7f) as u8 {
        0 => Ended::Exit((status >> 8) as u8),
        signal => Ended::Signal(signal),
    };
    (child != 0).then_some((Process(child as i32), ended))
}

/// The process group in the foreground of the terminal at stdin, if this process is in it.
pub fn foreground_group() -> Option<Process> {
    const TIOCGPGRP: usize = 0x540f;
    let mut group = 0_i32;
    call(
        number::IOCTL,
        0,
        TIOCGPGRP,
        &mut group as *mut i32 as usize,
        0,
    )
    .ok()?;
    (call(number::GETPGID, 0, 0, 0, 0) == Ok(group as usize)).then_some(Process(group))
}

/// Puts a process group into the foreground of the terminal at stdin. A process in the background gets SIGTTOU for it, which
/// has to be blocked.
pub fn set_foreground_group(group: Process) {
    const TIOCSPGRP: usize = 0x5410;
    let _ = call(
        number::IOCTL,
        0,
        TIOCSPGRP,
        &group.0 as *const i32 as usize,
        0,
    );
}

/// Replaces the program of this process; returns only when that fails.
pub fn execute(path: &CStr, arguments: *const *const u8, environment: *const *const u8) -> Errno {
    match call(
        number::EXECVE,
        address(path),
        arguments as usize,
        environment as usize,
        0,
    ) {
        Err(errno) => errno,
        Ok(_) => Errno(0),
    }
}
