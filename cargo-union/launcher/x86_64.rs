//! Linux on x86-64: the entry point, the system call, its numbers, and the layout of `stat`.

use core::arch::{asm, global_asm};

// The kernel starts a program with the argument count, the arguments and the environment on top of the stack. Their address
// is the only argument of `start`; its calling convention wants the stack aligned to 16 bytes.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym crate::start,
);

/// Calls the kernel with four arguments, and zeros after them; a negative result is an error number.
///
/// # Safety
/// The arguments must be what the kernel expects of this call; pointers must be valid for what it does with them.
pub unsafe fn system_call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let result: isize;
    // The instruction itself overwrites rcx and r11.
    asm!(
        "syscall",
        inlateout("rax") number as isize => result,
        in("rdi") a,
        in("rsi") b,
        in("rdx") c,
        in("r10") d,
        in("r8") 0_usize,
        in("r9") 0_usize,
        lateout("rcx") _,
        lateout("r11") _,
        options(nostack),
    );
    result
}

/// Numbers of system calls.
pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const GETPID: usize = 39;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const SETPGID: usize = 109;
    pub const GETPGID: usize = 121;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const PRCTL: usize = 157;
    pub const GETDENTS64: usize = 217;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const NEWFSTATAT: usize = 262;
    pub const FACCESSAT: usize = 269;
    pub const PPOLL: usize = 271;
}

/// The kernel's `struct stat`.
#[repr(C)]
pub struct Stat {
    _device: u64,
    _inode: u64,
    _links: u64,
    pub mode: u32,
    _user: u32,
    _group: u32,
    _padding: u32,
    _special_device: u64,
    pub size: i64,
    _rest: [u64; 11],
}

/// The name of this processor in messages.
pub const NAME: &str = "x86_64";

/// Its number in the header of ELF files.
pub const ELF_MACHINE: u16 = 62;

/// `O_DIRECTORY` and `O_NOFOLLOW`, which differ between processors.
pub const O_DIRECTORY: usize = 0o200_000;
pub const O_NOFOLLOW: usize = 0o400_000;
