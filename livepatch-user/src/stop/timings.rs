//! How long each phase of a stop took.

use std::time::{Duration, Instant};

/// The phases of a stop, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Stopping the sleeping threads, while the others run.
    pub sleepers: Duration,
    /// The caller's check of the sleeping threads, while the others run.
    pub sleepers_check: Duration,
    /// From the first request to a running thread until no thread runs.
    pub runners: Duration,
    /// The caller's check of the threads that ran.
    pub runners_check: Duration,
    /// From the end of the checks to the release: the caller's work.
    pub held: Duration,
    /// Releasing the threads that ran.
    pub release_runners: Duration,
    /// Releasing the sleeping threads, while the others run.
    pub release_sleepers: Duration,
}

impl Timings {
    /// The longest that a running thread can have stood.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.runners + self.runners_check + self.held + self.release_runners
    }
}

/// Cuts time into laps.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the last lap began.
    pub(super) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
