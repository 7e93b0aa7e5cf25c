//! Spinners for operations that take more than a second.
//!
//! On a terminal a spinner is drawn until the operation ends; otherwise a plain line is printed.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How long an operation takes before it is shown.
const DELAY: Duration = Duration::from_secs(1);

/// How long it waits while another program writes to the terminal.
const RETRY: Duration = Duration::from_millis(200);

/// The operations that are in progress, by subject.
#[derive(Clone)]
pub(super) struct Spinners(Arc<SpinnerState>);

struct SpinnerState {
    multi: MultiProgress,
    terminal: bool,
    /// Whether another program writes to the terminal.
    suspended: Arc<AtomicBool>,
    delay: Duration,
    /// Prints a line when there is no terminal.
    print: fn(&str),
    tasks: Mutex<SpinnerTasks>,
}

#[derive(Default)]
struct SpinnerTasks {
    started: u64,
    current: HashMap<String, SpinnerTask>,
}

struct SpinnerTask {
    number: u64,
    bar: Option<ProgressBar>,
}

impl Spinners {
    pub(super) fn new(multi: MultiProgress, terminal: bool, suspended: Arc<AtomicBool>) -> Self {
        let print = |line: &str| {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(io::stderr().lock(), "{line}");
        };
        Self::with_delay(multi, terminal, suspended, DELAY, print)
    }

    fn with_delay(
        multi: MultiProgress,
        terminal: bool,
        suspended: Arc<AtomicBool>,
        delay: Duration,
        print: fn(&str),
    ) -> Self {
        Self(Arc::new(SpinnerState {
            multi,
            terminal,
            suspended,
            delay,
            print,
            tasks: Mutex::default(),
        }))
    }

    /// Starts an operation for a subject, which ends the subject's previous operation. `line` is printed when there is no
    /// terminal.
    pub(super) fn begin(&self, subject: &str, verb: &'static str, about: &str, line: String) {
        let number = {
            let mut tasks = self.0.tasks();
            tasks.started += 1;
            let number = tasks.started;
            clear(
                tasks
                    .current
                    .insert(subject.to_owned(), SpinnerTask { number, bar: None }),
            );
            number
        };
        let shared = Arc::clone(&self.0);
        let subject = subject.to_owned();
        let about = about.to_owned();
        // The operation may block its own thread.
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                std::thread::sleep(shared.delay);
                while shared.show(&subject, number, verb, &about, &line) == Shown::Suspended {
                    std::thread::sleep(RETRY);
                }
            });
        // If the thread cannot be started, the operation is not shown.
        drop(thread);
    }

    /// Ends the operation of a subject.
    pub(super) fn end(&self, subject: &str) {
        let task = self.0.tasks().current.remove(subject);
        clear(task);
    }
}

impl SpinnerState {
    fn tasks(&self) -> MutexGuard<'_, SpinnerTasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(
        &self,
        subject: &str,
        number: u64,
        verb: &'static str,
        about: &str,
        line: &str,
    ) -> Shown {
        let mut tasks = self.tasks();
        let Some(task) = tasks
            .current
            .get_mut(subject)
            .filter(|task| task.number == number)
        else {
            return Shown::Ended;
        };
        if !self.terminal {
            (self.print)(line);
        } else if self.suspended.load(Ordering::Relaxed) {
            return Shown::Suspended;
        } else {
            let bar = self.multi.add(ProgressBar::new_spinner());
            let style =
                ProgressStyle::with_template("{prefix:>12.cyan.bold} {msg} {spinner} {elapsed}")
                    .expect("the template is valid");
            bar.set_style(style);
            bar.set_prefix(verb);
            bar.set_message(about.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            task.bar = Some(bar);
        }
        Shown::Now
    }
}

/// The result of an attempt to show an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Now,
    /// The operation has ended, or another one of its subject has begun.
    Ended,
    /// Another program writes to the terminal.
    Suspended,
}

fn clear(task: Option<SpinnerTask>) {
    if let Some(bar) = task.and_then(|task| task.bar) {
        bar.finish_and_clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spinners(delay: Duration) -> Spinners {
        let hidden = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        Spinners::with_delay(hidden, true, Arc::default(), delay, |_| ())
    }

    fn is_shown(spinners: &Spinners, subject: &str) -> bool {
        spinners
            .0
            .tasks()
            .current
            .get(subject)
            .is_some_and(|task| task.bar.is_some())
    }

    #[test]
    fn long_operation_is_shown_until_it_ends() {
        let spinners = spinners(Duration::ZERO);
        spinners.begin("default", "Building", "packing", String::new());
        while !is_shown(&spinners, "default") {
            std::thread::yield_now();
        }
        spinners.end("default");
        assert!(!is_shown(&spinners, "default"));
    }

    #[test]
    fn ended_or_replaced_operation_is_not_shown() {
        let spinners = spinners(Duration::from_secs(3600));
        spinners.begin("default", "Building", "checking", String::new());
        spinners.begin("default", "Building", "packing", String::new());
        spinners.0.show("default", 1, "Building", "checking", "");
        assert!(!is_shown(&spinners, "default"), "the first has ended");
        spinners.0.show("default", 2, "Building", "packing", "");
        assert!(is_shown(&spinners, "default"));
        spinners.end("default");
        spinners.0.show("default", 2, "Building", "packing", "");
        assert!(!is_shown(&spinners, "default"));
    }

    #[test]
    fn long_operation_is_one_line_without_a_terminal() {
        static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let hidden = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let delay = Duration::from_secs(3600);
        let spinners = Spinners::with_delay(hidden, false, Arc::default(), delay, |line| {
            LINES.lock().unwrap().push(line.to_owned());
        });
        spinners.begin("default", "Building", "packing", "packing".to_owned());
        spinners
            .0
            .show("default", 1, "Building", "packing", "packing");
        spinners.end("default");
        spinners
            .0
            .show("default", 1, "Building", "packing", "packing");
        assert_eq!(*LINES.lock().unwrap(), ["packing"]);
    }

    #[test]
    fn nothing_is_drawn_while_suspended() {
        let spinners = spinners(Duration::from_secs(3600));
        spinners.begin("default", "Building", "packing", String::new());
        spinners.0.suspended.store(true, Ordering::Relaxed);
        let show = || spinners.0.show("default", 1, "Building", "packing", "");
        assert_eq!(show(), Shown::Suspended);
        assert!(!is_shown(&spinners, "default"));
        spinners.0.suspended.store(false, Ordering::Relaxed);
        assert_eq!(show(), Shown::Now);
        assert!(is_shown(&spinners, "default"));
    }
}
