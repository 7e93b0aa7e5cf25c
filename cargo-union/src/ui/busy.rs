//! Work that takes long is told of: what is over within a second says nothing.
//!
//! A terminal shows a line that goes away with the work; elsewhere a plain line stands for it.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What lasts less than this is not told of.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Work that is being done, by what it is done for.
#[derive(Clone)]
pub(super) struct Spinners(Arc<SpinnerState>);

struct SpinnerState {
    shown: MultiProgress,
    terminal: bool,
    /// Another program has the terminal.
    lent: Arc<AtomicBool>,
    delay: Duration,
    works: Mutex<SpinnerTasks>,
}

#[derive(Default)]
struct SpinnerTasks {
    begun: u64,
    current: HashMap<String, SpinnerTask>,
}

struct SpinnerTask {
    number: u64,
    bar: Option<ProgressBar>,
}

impl Spinners {
    pub(super) fn new(shown: MultiProgress, terminal: bool, lent: Arc<AtomicBool>) -> Self {
        Self::after(shown, terminal, lent, WORTH_A_LINE)
    }

    fn after(shown: MultiProgress, terminal: bool, lent: Arc<AtomicBool>, delay: Duration) -> Self {
        Self(Arc::new(SpinnerState { shown, terminal, lent, delay, works: Mutex::default() }))
    }

    /// Work for something begins, and what was done for it before has ended. `line` is written when it takes long.
    pub(super) fn begin(&self, subject: &str, verb: &'static str, about: &str, line: String) {
        let number = {
            let mut works = self.0.works();
            works.begun += 1;
            let number = works.begun;
            clear(works.current.insert(subject.to_owned(), SpinnerTask { number, bar: None }));
            number
        };
        let (shared, subject, about) = (Arc::clone(&self.0), subject.to_owned(), about.to_owned());
        // Whoever does the work keeps its own thread busy.
        let told = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            std::thread::sleep(shared.delay);
            shared.tell(&subject, number, verb, &about, &line);
        });
        // A machine that has no thread left does the work all the same.
        drop(told);
    }

    /// Nothing is done for it any more.
    pub(super) fn end(&self, subject: &str) {
        let ended = self.0.works().current.remove(subject);
        clear(ended);
    }
}

impl SpinnerState {
    fn works(&self) -> MutexGuard<'_, SpinnerTasks> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, subject: &str, number: u64, verb: &'static str, about: &str, line: &str) {
        let mut works = self.works();
        let Some(work) = works.current.get_mut(subject).filter(|work| work.number == number) else { return };
        if !self.terminal {
            // Nobody is left to tell when stderr itself is gone.
            let _ = writeln!(io::stderr().lock(), "{line}");
        } else if !self.lent.load(Ordering::Relaxed) {
            let bar = self.shown.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{prefix:>12.cyan.bold} {msg} {spinner} {elapsed}").expect("the template is valid");
            bar.set_style(style);
            bar.set_prefix(verb);
            bar.set_message(about.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            work.bar = Some(bar);
        }
    }
}

fn clear(work: Option<SpinnerTask>) {
    if let Some(bar) = work.and_then(|work| work.bar) {
        bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(delay: Duration) -> Spinners {
        let hidden = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        Spinners::after(hidden, true, Arc::default(), delay)
    }

    fn is_shown(busy: &Spinners, subject: &str) -> bool {
        busy.0.works().current.get(subject).is_some_and(|work| work.bar.is_some())
    }

    #[test]
    fn work_that_goes_on_is_shown_until_it_ends() {
        let busy = busy(Duration::ZERO);
        busy.begin("default", "Building", "packing", String::new());
        while !is_shown(&busy, "default") {
            std::thread::yield_now();
        }
        busy.end("default");
        assert!(!is_shown(&busy, "default"));
    }

    #[test]
    fn work_that_has_ended_or_been_followed_by_other_work_is_not_told_of() {
        let busy = busy(Duration::from_secs(3600));
        busy.begin("default", "Building", "checking", String::new());
        busy.begin("default", "Building", "packing", String::new());
        busy.0.tell("default", 1, "Building", "checking", "");
        assert!(!is_shown(&busy, "default"), "the first has ended");
        busy.0.tell("default", 2, "Building", "packing", "");
        assert!(is_shown(&busy, "default"));
        busy.end("default");
        busy.0.tell("default", 2, "Building", "packing", "");
        assert!(!is_shown(&busy, "default"));
    }

    #[test]
    fn nothing_is_drawn_while_another_program_has_the_terminal() {
        let busy = busy(Duration::from_secs(3600));
        busy.begin("default", "Building", "packing", String::new());
        busy.0.lent.store(true, Ordering::Relaxed);
        busy.0.tell("default", 1, "Building", "packing", "");
        assert!(!is_shown(&busy, "default"));
    }
}
