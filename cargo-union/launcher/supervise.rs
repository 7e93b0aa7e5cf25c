//! Waits for the program: forwards signals, reaps orphans, ends it in time.

use crate::message::Message;
use crate::options::Options;
use crate::syscall::{self, SignalSet};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGTTOU: i32 = 22;
const SIGPIPE: i32 = 13;

/// Hangup, interrupt, quit, USR1, USR2, alarm, TERM, continue, and the size of the window.
const FORWARDED: [i32; 9] = [1, 2, 3, 10, 12, 14, SIGTERM, 18, 28];

/// An end by `--timeout`.
const TIMED_OUT: i32 = 124;

/// The signals that the launcher waits for. They are blocked, so that none is lost and none ends it.
pub fn awaited() -> SignalSet {
    FORWARDED
        .iter()
        .fold(bit(SIGCHLD), |set, signal| set | bit(*signal))
}

/// The signals that are blocked: a background process group that uses its terminal would be stopped by SIGTTOU, and a
/// message that nobody reads would end the launcher by SIGPIPE.
pub fn blocked() -> SignalSet {
    awaited() | bit(SIGTTOU) | bit(SIGPIPE)
}

fn bit(signal: i32) -> SignalSet {
    1 << (signal - 1)
}

/// How long to wait for a signal when nothing is due.
const LONG: u64 = 3_600_000;

/// A running program.
struct Supervisor<'a> {
    options: &'a Options,
    child: i32,
    /// When `--timeout` ends it.
    timeout: Option<u64>,
    /// When it is killed.
    kill: Option<u64>,
    has_timed_out: bool,
    /// The last signal that was forwarded.
    forwarded: i32,
}

/// Waits for the program and returns its exit code.
pub fn wait(child: i32, options: &Options) -> i32 {
    let timeout = options
        .timeout
        .map(|timeout| syscall::now().saturating_add(timeout));
    let mut supervisor = Supervisor {
        options,
        child,
        timeout,
        kill: None,
        has_timed_out: false,
        forwarded: 0,
    };
    loop {
        if let Some(status) = supervisor.reap() {
            return supervisor.exit_code(status);
        }
        supervisor.check_deadlines();
        let due = [supervisor.timeout, supervisor.kill]
            .into_iter()
            .flatten()
            .min();
        let wait = due.map_or(LONG, |due| due.saturating_sub(syscall::now()).min(LONG));
        match syscall::wait_for_signal(awaited(), wait) {
            Some(SIGCHLD) | None => {}
            Some(signal) => supervisor.forward(signal),
        }
    }
}

impl Supervisor<'_> {
    /// Takes all children that have ended. The status is the program's.
    fn reap(&self) -> Option<i32> {
        let mut program = None;
        while let Some((child, status)) = syscall::reap() {
            if child == self.child {
                program = Some(status);
            }
        }
        program
    }

    fn forward(&mut self, signal: i32) {
        self.send(signal);
        self.forwarded = signal;
        if signal == SIGTERM {
            self.kill_later();
        }
    }

    fn check_deadlines(&mut self) {
        let now = syscall::now();
        if self.timeout.is_some_and(|due| due <= now) {
            let seconds = self.options.timeout.unwrap_or_default() / 1000;
            Message::error()
                .text("timed out after ")
                .number(seconds)
                .text(" s")
                .send();
            self.timeout = None;
            self.has_timed_out = true;
            self.send(SIGTERM);
            self.kill_later();
        }
        if self.kill.is_some_and(|due| due <= now) {
            Message::error()
                .text("killed ")
                .number(self.options.grace / 1000)
                .text(" s after SIGTERM")
                .send();
            // Again if there is something left that ignores it: nothing can.
            self.kill = None;
            self.send(SIGKILL);
            self.forwarded = SIGKILL;
        }
    }

    fn kill_later(&mut self) {
        if self.kill.is_none() {
            self.kill = Some(syscall::now().saturating_add(self.options.grace));
        }
    }

    /// To the program's process group, or to the program alone when it has left that.
    fn send(&self, signal: i32) {
        if syscall::kill(-self.child, signal).is_err() {
            let _ = syscall::kill(self.child, signal);
        }
    }

    fn exit_code(&self, status: i32) -> i32 {
        let signal = status & 0x7f;
        let code = if signal == 0 {
            (status >> 8) & 0xff
        } else {
            128 + signal
        };
        if self.has_timed_out {
            return TIMED_OUT;
        }
        if signal != 0 && signal != self.forwarded {
            let message = Message::error()
                .text("the program was killed by signal ")
                .number(signal as u64);
            message.text(explanation(signal)).send();
        }
        code
    }
}

/// What a signal usually means.
fn explanation(signal: i32) -> &'static str {
    match signal {
        4 => " (illegal instruction: compiled for another processor?)",
        6 => " (aborted)",
        7 => " (bus error)",
        8 => " (arithmetic error)",
        9 => " (out of memory?)",
        11 => " (segmentation fault)",
        13 => " (broken pipe)",
        15 => " (terminated)",
        31 => " (system call not allowed)",
        _ => "",
    }
}
