//! The signals that the launcher handles.

use crate::system::Signals;

pub const KILL: u8 = 9;
pub const TERM: u8 = 15;
pub const CHLD: u8 = 17;

/// The signals that are forwarded to the program. The others concern the launcher itself (a fault, a closed stderr,
/// access to the terminal), or cannot be received.
pub const FORWARDED: Signals = {
    const NAMED: [u8; 12] = [1, 2, 3, 6, 10, 12, 14, TERM, 18, 20, 28, 30];
    let mut signals = Signals::NONE;
    let mut position = 0;
    while position < NAMED.len() {
        signals = signals.with(NAMED[position]);
        position += 1;
    }
    // Real-time signals. 32 and 33 belong to the C library.
    let mut signal = 34;
    while signal <= 64 {
        signals = signals.with(signal);
        signal += 1;
    }
    signals
};

/// The description of a signal that has terminated a process; `None` for other signals.
pub fn meaning(signal: u8) -> Option<&'static str> {
    Some(match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trap",
        6 => "aborted",
        7 => "bus error",
        8 => "arithmetic error",
        KILL => "out of memory?",
        10 => "user signal 1",
        11 => "segmentation fault",
        12 => "user signal 2",
        13 => "broken pipe",
        14 => "alarm",
        TERM => "terminated",
        24 => "CPU time limit",
        25 => "file size limit",
        31 => "forbidden system call",
        _ => return None,
    })
}
