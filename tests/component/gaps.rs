//! What a thread sees that does nothing: how often the machine takes its processor away for a moment.
//!
//! It has the priority and the processor of what is upgraded, and reads the clock. Pauses of so many microseconds are that much
//! longer whenever one of these gaps lies in them.

use crate::machine;
use anyhow::{Context, Result};
use nix::unistd::gettid;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// One slice: below the share of a second that the kernel leaves to real-time threads.
const SLICE: Duration = Duration::from_millis(400);
/// The rest of the time that a slice takes.
const REST: Duration = Duration::from_millis(200);
const SLICES: u32 = 10;
/// What counts as a gap, in microseconds.
const OVER: [u64; 3] = [20, 50, 100];

/// Gaps within some time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// How many are longer than each of [`OVER`].
    counts: [u64; OVER.len()],
    longest: Duration,
    time: Duration,
}

/// Looks for gaps for some seconds.
///
/// # Errors
/// When the thread cannot have its priority.
pub(crate) fn measure() -> Result<Gaps> {
    let watching = thread::spawn(|| {
        machine::prefer(gettid().as_raw().cast_unsigned(), machine::SERVER)?;
        let mut gaps = Gaps::default();
        for _ in 0..SLICES {
            gaps.watch();
            thread::sleep(REST);
        }
        Ok(gaps)
    });
    watching.join().ok().context("the thread panicked")?
}

impl Gaps {
    fn watch(&mut self) {
        let start = Instant::now();
        let mut last = start;
        while last - start < SLICE {
            let now = Instant::now();
            let gap = now - last;
            for (count, over) in self.counts.iter_mut().zip(OVER) {
                *count += u64::from(gap > Duration::from_micros(over));
            }
            self.longest = self.longest.max(gap);
            last = now;
        }
        self.time += last - start;
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A thread that only reads the clock sees, each second,")?;
        for (count, over) in self.counts.iter().zip(OVER) {
            let rate = *count as f64 / self.time.as_secs_f64();
            write!(f, " {rate:.0} gaps over {over} µs,")?;
        }
        write!(f, " the longest of {} µs.", self.longest.as_micros())
    }
}
