//! Linux on 64-bit ARM: the entry point, the system call, its numbers, and the layout of `stat`.

use core::arch::{asm, global_asm};

// The kernel starts a program with the argument count, the arguments and the environment on top of the stack, which is aligned
// to 16 bytes. Their address is the only argument of `start`.
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym crate::start,
);

/// Calls the kernel with four arguments, and zeros after them; a negative result is an error number.
///
/// # Safety
/// The arguments must be what the kernel expects of this call; pointers must be valid for what it does with them.
pub unsafe fn system_call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    asm!(
        "svc #0",
        in("x8") number,
        inlateout("x0") a as isize => result,
        in("x1") b,
        in("x2") c,
        in("x3") d,
        in("x4") 0_usize,
        in("x5") 0_usize,
        options(nostack),
    );
    result
}

/// Numbers of system calls.
pub mod number {
    pub const IOCTL: usize = 29;
    pub const MKDIRAT: usize = 34;
    pub const FACCESSAT: usize = 48;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const NEWFSTATAT: usize = 79;
    pub const EXIT_GROUP: usize = 94;
    pub const CLOCK_GETTIME: usize = 113;
    pub const KILL: usize = 129;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const SETPGID: usize = 154;
    pub const GETPGID: usize = 155;
    pub const PRCTL: usize = 167;
    pub const GETPID: usize = 172;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
}

/// The kernel's `struct stat`.
#[repr(C)]
pub struct Stat {
    _device: u64,
    _inode: u64,
    pub mode: u32,
    _links: u32,
    _user: u32,
    _group: u32,
    _special_device: u64,
    _padding: u64,
    pub size: i64,
    _rest: [u64; 9],
}

/// The name of this processor in messages.
pub const NAME: &str = "aarch64";

/// Its number in the header of ELF files.
pub const ELF_MACHINE: u16 = 183;

/// `O_DIRECTORY` and `O_NOFOLLOW`, which differ between processors.
pub const O_DIRECTORY: usize = 0o40_000;
pub const O_NOFOLLOW: usize = 0o100_000;
