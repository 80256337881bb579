//! A reader that gives up on a server that drips.

use super::Patience;
use std::io::{Error, ErrorKind, Read};
use std::time::Instant;

/// Passes bytes on, and fails once [`Patience::window`] brought fewer than [`Patience::least`] of them. A read of its own ends
/// after [`Patience::stall`], so there is always an end.
pub struct Steady<R> {
    inner: R,
    patience: Patience,
    since: Instant,
    bytes: u64,
}

impl<R> Steady<R> {
    /// Begins to measure.
    pub fn new(inner: R, patience: Patience) -> Self {
        Self { inner, patience, since: Instant::now(), bytes: 0 }
    }
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        // The end of the content is no drip.
        if count > 0 && self.since.elapsed() >= self.patience.window {
            if self.bytes < self.patience.least {
                let problem = format!("it brought {} bytes in {} s", self.bytes, self.since.elapsed().as_secs_f32());
                return Err(Error::new(ErrorKind::TimedOut, problem));
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        Ok(count)
    }
}
