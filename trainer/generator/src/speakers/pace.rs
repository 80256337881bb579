//! How often a server is asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets one request go at a time, with a pause after each.
pub struct Pace {
    pause: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `minute` requests a minute; `None`: as fast as they come.
    pub fn new(minute: Option<u32>) -> Self {
        let pause = minute.map_or(Duration::ZERO, |minute| Duration::from_secs(60) / minute.max(1));
        Self { pause, next: Mutex::new(None) }
    }

    /// Waits until a request may go.
    pub fn wait(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(at + self.pause);
            at
        };
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
    }

    /// Lets no request go for so long.
    pub fn hold(&self, pause: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + pause;
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_distance_over_threads() {
        let pace = Pace::new(Some(1200));
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2).for_each(|_| pace.wait()));
            }
        });
        assert!(began.elapsed() >= Duration::from_millis(7 * 50), "{:?}", began.elapsed());
        let (free, began) = (Pace::new(None), Instant::now());
        free.hold(Duration::from_millis(120));
        free.wait();
        assert!(began.elapsed() >= Duration::from_millis(120));
    }
}
