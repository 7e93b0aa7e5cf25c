//! Runs the program: starts it in a process group of its own, forwards signals to it, and waits for it.

use crate::arguments::Options;
use crate::message::Line;
use crate::program;
use crate::signal::{self, CHLD, FORWARDED, KILL, TERM};
use crate::system::{self, Disposition, Ended, Errno, Process, Signals};
use crate::words::Words;

/// How the program has ended.
pub struct Outcome {
    /// The exit code of the launcher, unless its outputs are wrong.
    pub code: u8,
    /// Whether the program itself has exited with 0, in time.
    pub is_success: bool,
}

const TIMED_OUT: u8 = 124;

/// Runs the program to its end.
pub fn run(options: &Options, arguments: Words, environment: Words) -> Result<Outcome, Errno> {
    // Blocked signals stay pending until they are read one by one. Process 1 would not receive them otherwise, if it
    // has no handler.
    let inherited_mask = system::block_signals(Signals::ALL);
    // With an inherited SIG_IGN, the kernel would reap children, and their exit codes would be lost.
    let inherited_disposition = system::set_disposition(CHLD, Disposition::DEFAULT);
    system::adopt_orphans();
    let own_group = system::foreground_group();
    let child = match system::fork()? {
        Some(child) => child,
        None => {
            let child = system::own_process();
            system::lead_group(child);
            if own_group.is_some() {
                system::set_foreground_group(child);
            }
            system::set_disposition(CHLD, inherited_disposition);
            system::block_signals(inherited_mask);
            system::exit(program::execute(arguments, options.program, environment));
        }
    };
    // In both processes, since either may be the first one that needs the group.
    system::lead_group(child);
    let mut supervisor = Supervisor {
        child,
        grace: options.grace,
        timeout: options.timeout.map(|seconds| Deadline {
            time: system::after(system::now(), seconds),
            seconds,
        }),
        kill: None,
        sent: Signals::NONE,
        has_timed_out: false,
    };
    let ended = supervisor.wait();
    if let Some(group) = own_group {
        system::set_foreground_group(group);
    }
    Ok(supervisor.outcome(ended))
}

struct Supervisor {
    child: Process,
    /// Seconds between SIGTERM and SIGKILL.
    grace: u64,
    /// When the program times out; `None` without a limit.
    timeout: Option<Deadline>,
    /// When the program has to be killed.
    kill: Option<u64>,
    /// The signals that were sent to the program.
    sent: Signals,
    has_timed_out: bool,
}

struct Deadline {
    time: u64,
    /// The limit in seconds, for the message.
    seconds: u64,
}

impl Supervisor {
    /// Forwards signals and enforces the deadlines until the program has ended.
    fn wait(&mut self) -> Ended {
        loop {
            let deadline = match (&self.timeout, self.kill) {
                (_, Some(kill)) => Some(kill),
                (Some(timeout), None) => Some(timeout.time),
                (None, None) => None,
            };
            let limit = deadline.map(|deadline| deadline.saturating_sub(system::now()));
            match system::wait_for_signal(FORWARDED.with(CHLD), limit) {
                Some(CHLD) => {
                    if let Some(ended) = self.reap() {
                        return ended;
                    }
                }
                Some(signal) => self.forward(signal),
                None => {}
            }
            self.keep_deadlines(system::now());
        }
    }

    /// Reaps all children that have ended: one SIGCHLD may stand for several of them.
    fn reap(&self) -> Option<Ended> {
        let mut program = None;
        while let Some((process, ended)) = system::reap() {
            if process == self.child {
                program = Some(ended);
            }
        }
        program
    }

    fn forward(&mut self, signal: u8) {
        self.send(signal);
        if signal == TERM {
            self.start_grace();
        }
    }

    fn send(&mut self, signal: u8) {
        system::signal_group(self.child, signal);
        self.sent = self.sent.with(signal);
    }

    fn start_grace(&mut self) {
        // After SIGTERM the timeout no longer applies. A second SIGTERM does not extend the grace period.
        self.timeout = None;
        self.kill = self.kill.or(Some(system::after(system::now(), self.grace)));
    }

    fn keep_deadlines(&mut self, now: u64) {
        // The signal is sent before the message is written, because writing to stderr may block.
        let seconds = self
            .timeout
            .as_ref()
            .filter(|timeout| timeout.time <= now)
            .map(|timeout| timeout.seconds);
        if let Some(seconds) = seconds {
            self.has_timed_out = true;
            self.send(TERM);
            self.start_grace();
            Line::error()
                .text("timed out after ")
                .number(seconds)
                .text(" s")
                .send();
        }
        if self.kill.is_some_and(|kill| kill <= now) {
            // SIGKILL is sent once, also if another SIGTERM arrives.
            self.kill = Some(u64::MAX);
            self.send(KILL);
            Line::error()
                .text("the program did not end within ")
                .number(self.grace)
                .text(" s after SIGTERM, and is killed")
                .send();
        }
    }

    fn outcome(&self, ended: Ended) -> Outcome {
        let code = match ended {
            Ended::Exit(code) => code,
            Ended::Signal(number) => {
                self.explain(number);
                number.saturating_add(128)
            }
        };
        if self.has_timed_out {
            return Outcome {
                code: TIMED_OUT,
                is_success: false,
            };
        }
        Outcome {
            code,
            is_success: matches!(ended, Ended::Exit(0)),
        }
    }

    /// Writes which signal has ended the program, unless a message was written when the launcher sent the signal.
    fn explain(&self, number: u8) {
        let is_sent = self.sent.contains(number);
        if is_sent && (number == KILL || number == TERM && self.has_timed_out) {
            return;
        }
        let mut line = if is_sent { Line::new() } else { Line::error() };
        line.text(if is_sent {
            "ended by the forwarded signal "
        } else {
            "killed by signal "
        })
        .number(u64::from(number));
        if let Some(meaning) = signal::meaning(number) {
            line.text(" (").text(meaning).text(")");
        }
        line.send();
    }
}
