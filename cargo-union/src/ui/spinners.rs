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

/// The operations that are in progress, by subject.
#[derive(Clone)]
pub(super) struct Spinners(Arc<SpinnerState>);

struct SpinnerState {
    multi: MultiProgress,
    terminal: bool,
    /// Whether another program writes to the terminal.
    suspended: Arc<AtomicBool>,
    delay: Duration,
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
        Self::with_delay(multi, terminal, suspended, DELAY)
    }

    fn with_delay(
        multi: MultiProgress,
        terminal: bool,
        suspended: Arc<AtomicBool>,
        delay: Duration,
    ) -> Self {
        Self(Arc::new(SpinnerState {
            multi,
            terminal,
            suspended,
            delay,
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
                shared.show(&subject, number, verb, &about, &line);
            });
        // Without a thread the operation is only not shown.
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

    fn show(&self, subject: &str, number: u64, verb: &'static str, about: &str, line: &str) {
        let mut tasks = self.tasks();
        let Some(task) = tasks
            .current
            .get_mut(subject)
            .filter(|task| task.number == number)
        else {
            return;
        };
        if !self.terminal {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(io::stderr().lock(), "{line}");
        } else if !self.suspended.load(Ordering::Relaxed) {
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
    }
}

fn clear(task: Option<SpinnerTask>) {
    if let Some(bar) = task.and_then(|task| task.bar) {
        bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spinners(delay: Duration) -> Spinners {
        let hidden = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        Spinners::with_delay(hidden, true, Arc::default(), delay)
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
    fn nothing_is_drawn_while_suspended() {
        let spinners = spinners(Duration::from_secs(3600));
        spinners.begin("default", "Building", "packing", String::new());
        spinners.0.suspended.store(true, Ordering::Relaxed);
        spinners.0.show("default", 1, "Building", "packing", "");
        assert!(!is_shown(&spinners, "default"));
    }
}
