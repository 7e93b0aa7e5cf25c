//! The system calls of Linux that the launcher makes, and the functions that the compiler expects of a C library.

use core::arch::asm;
use core::ffi::CStr;

/// The number of an error, `errno`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const NOENT: Self = Self(2);
    pub const NOEXEC: Self = Self(8);
    pub const ACCES: Self = Self(13);
    pub const NOTDIR: Self = Self(20);

    /// The text of `strerror` for the errors that occur here.
    pub fn text(self) -> &'static str {
        match self.0 {
            1 => "operation not permitted",
            2 => "no such file or directory",
            5 => "input/output error",
            7 => "argument list too long",
            8 => "exec format error",
            11 => "resource temporarily unavailable",
            12 => "cannot allocate memory",
            13 => "permission denied",
            17 => "file exists",
            20 => "not a directory",
            21 => "is a directory",
            24 => "too many open files",
            26 => "text file busy",
            28 => "no space left on device",
            30 => "read-only file system",
            36 => "file name too long",
            40 => "too many levels of symbolic links",
            _ => "unexpected error",
        }
    }
}

type Result<T> = core::result::Result<T, Errno>;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const GETPID: usize = 39;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const SETPGID: usize = 109;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const PRCTL: usize = 157;
    pub const GETDENTS64: usize = 217;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const NEWFSTATAT: usize = 262;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const IOCTL: usize = 29;
    pub const MKDIRAT: usize = 34;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const NEWFSTATAT: usize = 79;
    pub const EXIT_GROUP: usize = 94;
    pub const CLOCK_GETTIME: usize = 113;
    pub const KILL: usize = 129;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const SETPGID: usize = 154;
    pub const PRCTL: usize = 167;
    pub const GETPID: usize = 172;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw(number: usize, arguments: [usize; 5]) -> isize {
    let result;
    asm!(
        "syscall",
        inlateout("rax") number as isize => result,
        in("rdi") arguments[0],
        in("rsi") arguments[1],
        in("rdx") arguments[2],
        in("r10") arguments[3],
        in("r8") arguments[4],
        lateout("rcx") _,
        lateout("r11") _,
        options(nostack),
    );
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw(number: usize, arguments: [usize; 5]) -> isize {
    let result;
    asm!(
        "svc 0",
        in("x8") number,
        inlateout("x0") arguments[0] as isize => result,
        in("x1") arguments[1],
        in("x2") arguments[2],
        in("x3") arguments[3],
        in("x4") arguments[4],
        options(nostack),
    );
    result
}

/// # Safety
/// Pointers among the arguments have to be valid for what the call does with them.
unsafe fn call(number: usize, arguments: [usize; 5]) -> Result<usize> {
    let result = raw(number, arguments);
    if result < 0 {
        Err(Errno(-result as i32))
    } else {
        Ok(result as usize)
    }
}

const AT_FDCWD: usize = -100_isize as usize;

pub fn read(descriptor: usize, buffer: &mut [u8]) -> Result<usize> {
    unsafe {
        call(
            number::READ,
            [descriptor, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0],
        )
    }
}

pub fn write(descriptor: usize, bytes: &[u8]) -> Result<usize> {
    unsafe {
        call(
            number::WRITE,
            [descriptor, bytes.as_ptr() as usize, bytes.len(), 0, 0],
        )
    }
}

pub fn close(descriptor: usize) {
    let _ = unsafe { call(number::CLOSE, [descriptor, 0, 0, 0, 0]) };
}

/// How a file is opened. Both are closed in programs that are started; neither waits for the other end of a pipe.
#[derive(Clone, Copy)]
pub enum Mode {
    Read,
    Directory,
    Create,
}

pub fn open(path: &CStr, mode: Mode) -> Result<usize> {
    const O_CLOEXEC_NONBLOCK: usize = 0o2_000_000 | 0o4_000;
    #[cfg(target_arch = "x86_64")]
    const O_DIRECTORY: usize = 0o200_000;
    #[cfg(target_arch = "aarch64")]
    const O_DIRECTORY: usize = 0o40_000;
    const O_WRONLY_CREAT: usize = 0o1 | 0o100;
    let flags = O_CLOEXEC_NONBLOCK
        | match mode {
            Mode::Read => 0,
            Mode::Directory => O_DIRECTORY,
            Mode::Create => O_WRONLY_CREAT,
        };
    unsafe {
        call(
            number::OPENAT,
            [AT_FDCWD, path.as_ptr() as usize, flags, 0o644, 0],
        )
    }
}

pub fn make_directory(path: &CStr) -> Result<()> {
    unsafe {
        call(
            number::MKDIRAT,
            [AT_FDCWD, path.as_ptr() as usize, 0o777, 0, 0],
        )
    }
    .map(drop)
}

/// The entries of a directory, as `getdents64` gives them.
pub fn entries(descriptor: usize, buffer: &mut [u8]) -> Result<usize> {
    unsafe {
        call(
            number::GETDENTS64,
            [descriptor, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0],
        )
    }
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Pipe,
    Socket,
    Device,
}

/// The kind and the size of what a path leads to, through links.
pub fn stat(path: &CStr) -> Result<(FileKind, u64)> {
    // `struct stat` has 144 bytes on x86_64 and 128 on aarch64.
    let mut stat = [0_u64; 18];
    unsafe {
        call(
            number::NEWFSTATAT,
            [
                AT_FDCWD,
                path.as_ptr() as usize,
                stat.as_mut_ptr() as usize,
                0,
                0,
            ],
        )
    }?;
    #[cfg(target_arch = "x86_64")]
    let mode = stat[3] as u32;
    #[cfg(target_arch = "aarch64")]
    let mode = stat[2] as u32;
    let kind = match mode & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o010_000 => FileKind::Pipe,
        0o140_000 => FileKind::Socket,
        _ => FileKind::Device,
    };
    Ok((kind, stat[6]))
}

/// Replaces this program. Returns only if that failed.
///
/// # Safety
/// Both arrays have to end with a null pointer, and to point to texts that end with a zero.
pub unsafe fn execute(
    path: &CStr,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Errno {
    match call(
        number::EXECVE,
        [
            path.as_ptr() as usize,
            arguments as usize,
            environment as usize,
            0,
            0,
        ],
    ) {
        Ok(_) => Errno(0),
        Err(errno) => errno,
    }
}

/// `Some` in the parent, with the number of the child.
pub fn fork() -> Result<Option<i32>> {
    const SIGCHLD: usize = 17;
    let child = unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0, 0]) }?;
    Ok((child != 0).then_some(child as i32))
}

/// A child that has ended, and its status; `None` when none has.
pub fn reap() -> Option<(i32, i32)> {
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    match unsafe {
        call(
            number::WAIT4,
            [usize::MAX, &mut status as *mut i32 as usize, WNOHANG, 0, 0],
        )
    } {
        Ok(0) | Err(_) => None,
        Ok(child) => Some((child as i32, status)),
    }
}

/// Sends a signal to a process, or with a negative number to a process group.
pub fn kill(process: i32, signal: i32) -> Result<()> {
    unsafe {
        call(
            number::KILL,
            [process as isize as usize, signal as usize, 0, 0, 0],
        )
    }
    .map(drop)
}

pub fn process() -> i32 {
    unsafe { call(number::GETPID, [0; 5]) }.map_or(0, |process| process as i32)
}

/// Makes the process the leader of a group of its own.
pub fn lead_group(process: i32) {
    let _ = unsafe {
        call(
            number::SETPGID,
            [process as usize, process as usize, 0, 0, 0],
        )
    };
}

/// Makes this process the parent of its orphaned descendants.
pub fn adopt_orphans() {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    let _ = unsafe { call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0]) };
}

/// Gives the terminal of stdin to a process group; without a terminal, nothing happens.
pub fn give_terminal(group: i32) {
    const TIOCSPGRP: usize = 0x5410;
    let _ = unsafe {
        call(
            number::IOCTL,
            [0, TIOCSPGRP, &group as *const i32 as usize, 0, 0],
        )
    };
}

/// A set of signals: signal N is bit N - 1.
pub type SignalSet = u64;

/// Blocks signals. Returns the set that was blocked before.
pub fn block(signals: SignalSet) -> SignalSet {
    const SIG_BLOCK: usize = 0;
    change_mask(SIG_BLOCK, signals)
}

pub fn set_mask(signals: SignalSet) {
    const SIG_SETMASK: usize = 2;
    change_mask(SIG_SETMASK, signals);
}

fn change_mask(how: usize, signals: SignalSet) -> SignalSet {
    let mut before: SignalSet = 0;
    let pointers = (
        &signals as *const SignalSet as usize,
        &mut before as *mut SignalSet as usize,
    );
    let _ = unsafe {
        call(
            number::RT_SIGPROCMASK,
            [
                how,
                pointers.0,
                pointers.1,
                core::mem::size_of::<SignalSet>(),
                0,
            ],
        )
    };
    before
}

/// Waits for one of the blocked signals, at most so long. `None` when none came.
pub fn wait_for_signal(signals: SignalSet, milliseconds: u64) -> Option<i32> {
    let limit = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    let pointers = (
        &signals as *const SignalSet as usize,
        limit.as_ptr() as usize,
    );
    unsafe {
        call(
            number::RT_SIGTIMEDWAIT,
            [
                pointers.0,
                0,
                pointers.1,
                core::mem::size_of::<SignalSet>(),
                0,
            ],
        )
    }
    .ok()
    .map(|signal| signal as i32)
}

/// Milliseconds of a clock that no one sets.
pub fn now() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_u64; 2];
    let _ = unsafe {
        call(
            number::CLOCK_GETTIME,
            [CLOCK_MONOTONIC, time.as_mut_ptr() as usize, 0, 0, 0],
        )
    };
    time[0]
        .saturating_mul(1000)
        .saturating_add(time[1] / 1_000_000)
}

pub fn exit(code: i32) -> ! {
    loop {
        let _ = unsafe { call(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0]) };
    }
}

/// What the compiler calls for copies and comparisons, which a C library would bring.
mod memory {
    #[no_mangle]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        for index in 0..length {
            *to.add(index) = *from.add(index);
        }
        to
    }

    #[no_mangle]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        if (to as usize) < from as usize {
            return memcpy(to, from, length);
        }
        for index in (0..length).rev() {
            *to.add(index) = *from.add(index);
        }
        to
    }

    #[no_mangle]
    unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
        for index in 0..length {
            *to.add(index) = value as u8;
        }
        to
    }

    #[no_mangle]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        for index in 0..length {
            let difference = i32::from(*left.add(index)) - i32::from(*right.add(index));
            if difference != 0 {
                return difference;
            }
        }
        0
    }

    #[no_mangle]
    unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
        memcmp(left, right, length)
    }

    #[no_mangle]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut length = 0;
        while *text.add(length) != 0 {
            length += 1;
        }
        length
    }

    /// Named by `core`, which is compiled for programs that unwind; nothing unwinds here.
    #[no_mangle]
    extern "C" fn rust_eh_personality() {}
}
