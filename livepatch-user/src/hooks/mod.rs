//! Running a patch's hooks in the target.
//!
//! Those around the switch run while all threads do, on a thread that [`crate::calls`] finds; those in the stop on a thread
//! that stands with all others. Nothing that a hook did itself can be undone: when one fails, what was done *around* it is.

mod failure;
mod in_stop;

pub use failure::HookFailure;

use crate::calls::{Need, Turn};
use crate::error::Error;
use crate::placed::Placed;
use crate::record::RecordedHook;
use livepatch_bundle::{Phase, RunAddr};
use std::time::Duration;

/// The hooks of one patch in one process.
pub struct Hooks<'a> {
    /// The patch.
    pub placed: Placed<'a>,
    /// How long a hook may take.
    pub time: Duration,
}

/// A phase that did not end well.
#[derive(Debug)]
pub struct Aborted {
    /// Why.
    pub error: Error,
    /// How many of the phase's hooks had succeeded before.
    pub succeeded: usize,
}

impl Hooks<'_> {
    /// Whether any hook runs in this phase.
    #[must_use]
    pub fn has(&self, phase: Phase) -> bool {
        self.of(phase).next().is_some()
    }

    /// Runs the hooks of a phase outside the stop, until one fails.
    ///
    /// # Errors
    /// The first failure.
    pub fn run(&self, phase: Phase) -> Result<(), Aborted> {
        let mut succeeded = 0;
        if !self.has(phase) {
            return Ok(());
        }
        let early = |error| Aborted {
            error,
            succeeded: 0,
        };
        let mut caller = self.placed.caller();
        let mut turn = caller.turn(Need::Anything).map_err(early)?;
        let outcome = self.of(phase).try_for_each(|hook| {
            self.one(&mut turn, hook)?;
            succeeded += 1;
            Ok(())
        });
        let ended = turn.end();
        match outcome.and(ended) {
            Ok(()) => Ok(()),
            Err(error) => Err(Aborted { error, succeeded }),
        }
    }

    /// Runs the hooks of a phase to make up for what failed; what fails in turn is only told.
    pub fn make_up(&self, phase: Phase) {
        if let Err(aborted) = self.run(phase) {
            tracing::warn!("{}", aborted.error);
        }
    }

    fn of(&self, phase: Phase) -> impl Iterator<Item = &RecordedHook> {
        let hooks = self.placed.record.hooks.iter();
        hooks.filter(move |hook| hook.phase == phase)
    }

    fn one(&self, turn: &mut Turn<'_, '_>, hook: &RecordedHook) -> Result<(), Error> {
        let result = turn.call(self.time, self.code(hook), [0; 6]);
        self.verdict(hook, result.map_err(HookFailure::from))
    }

    fn code(&self, hook: &RecordedHook) -> RunAddr {
        RunAddr(self.placed.base.0 + hook.offset)
    }

    /// What a hook's result means.
    fn verdict(&self, hook: &RecordedHook, result: Result<u64, HookFailure>) -> Result<(), Error> {
        // An `int`: the upper half of `rax` is undefined (psABI 3.2.3).
        let failure = match result.map(|rax| rax as i32) {
            Ok(0) => return Ok(()),
            Ok(value) => HookFailure::Failed(value),
            Err(failure) => failure,
        };
        Err(Error::Hook {
            pid: self.placed.session.pid(),
            patch: self.placed.record.name.clone(),
            phase: hook.phase,
            hook: hook.name.clone(),
            failure: Box::new(failure),
        })
    }
}
