//! The probe process (`probe.c`) and what it reports.

use anyhow::{Context, Result};
use livepatch_tests::target::{Target, dying};
use std::path::Path;

/// A running probe.
pub(crate) struct Probe {
    target: Target,
}

/// What the probe saw since the last reset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The longest gap between two steps of the spinning thread, in microseconds.
    pub(crate) gap: f64,
    /// The last answer.
    pub(crate) last: i64,
    /// How many EINTR sleeping threads got.
    pub(crate) interrupted: u64,
    /// Answers that neither version gives.
    pub(crate) wrong: u64,
}

impl Probe {
    pub(crate) fn start(program: &Path, threads: usize) -> Result<Self> {
        let target = Target::start(dying(program).arg(threads.to_string()))?;
        Ok(Self { target })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.target.pid()
    }

    pub(crate) fn reset(&mut self) -> Result<()> {
        self.target.ask("reset").map(drop)
    }

    pub(crate) fn report(&mut self) -> Result<Seen> {
        let line = self.target.ask("report")?;
        let mut fields = line.split(' ').map(str::parse::<i64>);
        let mut next = || {
            fields
                .next()
                .context("a field is missing")?
                .context("no number")
        };
        Ok(Seen {
            gap: next()? as f64 / 1e3,
            last: next()?,
            interrupted: next()?.unsigned_abs(),
            wrong: next()?.unsigned_abs(),
        })
    }

    /// Nanoseconds per call.
    pub(crate) fn cost(&mut self) -> Result<f64> {
        let picoseconds: f64 = self.target.ask("cost")?.parse()?;
        Ok(picoseconds / 1e3)
    }
}
