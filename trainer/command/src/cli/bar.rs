//! Progress of what takes long: a bar on a terminal, and a line every half minute where there is none.

use super::{dry_run, note};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::Deref;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use thisbut_trainer::train::estimate::memory::readable;

/// Between two lines.
const QUIET: Duration = Duration::from_secs(30);

/// A progress bar that speaks in lines where no terminal shows it.
pub struct Bar {
    bar: ProgressBar,
    unit: String,
    /// None where somebody else says the lines.
    lines: Option<Mutex<Lines>>,
}

/// What was said of a bar.
struct Lines {
    /// When it first moved, and from where: what was done before tells nothing of the rate.
    began: Option<(Instant, usize)>,
    said: Instant,
}

impl Deref for Bar {
    type Target = ProgressBar;
    fn deref(&self) -> &ProgressBar {
        &self.bar
    }
}

impl Bar {
    fn new(template: &str, unit: &str) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let lines = Lines { began: None, said: Instant::now() };
        Self { bar, unit: unit.to_owned(), lines: Some(Mutex::new(lines)) }
    }

    /// Without lines of its own.
    pub fn silent(self) -> Self {
        Self { lines: None, ..self }
    }

    fn say(&self, done: usize, all: usize) {
        let Some(Ok(mut lines)) = self.lines.as_ref().map(Mutex::lock) else { return };
        let (began, first) = *lines.began.get_or_insert_with(|| (Instant::now(), done));
        if self.bar.is_hidden() && lines.said.elapsed() >= QUIET && done < all {
            lines.said = Instant::now();
            note(line((done, all), &self.unit, began.elapsed(), done.saturating_sub(first)));
        }
    }
}

/// How far it is, and how long the rest takes where `newly` took `elapsed`.
fn line((done, all): (usize, usize), unit: &str, elapsed: Duration, newly: usize) -> String {
    let left = match newly {
        0 => String::new(),
        newly => {
            let rest = all.saturating_sub(done) as f64 / newly as f64;
            format!(", {} left", dry_run::long(elapsed.mul_f64(rest)))
        }
    };
    format!("{done} of {all} {unit}{left}")
}

/// A progress bar on standard error with rate and remaining time.
pub fn progress(unit: &str) -> Bar {
    Bar::new(&format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"), unit)
}

/// A progress bar on standard error for bytes.
pub fn progress_bytes() -> Bar {
    Bar::new("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}", "bytes")
}

/// Moves a progress bar.
pub fn advance(bar: &Bar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done.min(all) as u64);
    bar.say(done.min(all), all);
}

/// A run's steps as lines, where no terminal shows a bar: the first, the last, and one every half minute.
#[derive(Default)]
pub struct StepLog {
    said: Option<Instant>,
}

impl StepLog {
    /// Says what a step found, if it is time for it: `at` is the step and how many there are, `costs` the time that remains
    /// and the bytes that are held.
    pub fn step(&mut self, bar: &ProgressBar, at: (usize, usize), found: &str, costs: (Duration, Option<u64>)) {
        let quiet = self.said.is_some_and(|said| said.elapsed() < QUIET);
        if !bar.is_hidden() || (quiet && at.0 < at.1) {
            return;
        }
        self.said = Some(Instant::now());
        let memory = costs.1.map(|bytes| format!(", {} of memory", readable(bytes as usize))).unwrap_or_default();
        note(format_args!("step {} of {}: {found}, {} left{memory}", at.0, at.1, dry_run::long(costs.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_of_how_many_and_the_time_left() {
        let minute = Duration::from_secs(60);
        assert_eq!(line((100, 400), "images", minute, 100), "100 of 400 images, 3 min left");
        assert_eq!(line((350, 400), "images", minute, 100), "350 of 400 images, 30 s left");
        assert_eq!(line((300, 400), "images", minute, 0), "300 of 400 images", "what was there before has no rate");
        assert_eq!(line((400, 400), "pictures", minute, 400), "400 of 400 pictures, 0 s left");
    }

    #[test]
    fn what_was_done_before_a_run_tells_nothing_of_its_rate() {
        let bar = progress("images");
        advance(&bar, 300, 400);
        advance(&bar, 350, 400);
        let lines = bar.lines.as_ref().unwrap().lock().unwrap();
        assert_eq!((lines.began.unwrap().1, bar.position(), bar.length()), (300, 350, Some(400)));
        assert!(progress("steps").silent().lines.is_none());
    }
}
