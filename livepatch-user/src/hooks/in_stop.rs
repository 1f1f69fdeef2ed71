//! Hooks in the stop: on a thread that stands, while all others stand, too.

use super::{HookFailure, Hooks};
use crate::arena::tell_stopped;
use crate::commit::{Standing, Veto};
use crate::error::Error;
use crate::process::maps;
use crate::record::RETURN_OFFSET;
use crate::remote::{Borrowed, RemoteError};
use livepatch_bundle::{Phase, RunAddr};

impl Hooks<'_> {
    /// Runs the hooks of a phase in the stop, until one fails.
    ///
    /// # Errors
    /// The first failure, and whether to try again in a later stop.
    pub fn run_in_stop(&self, phase: Phase, standing: &[Standing]) -> Result<(), Veto> {
        if !self.has(phase) {
            return Ok(());
        }
        self.all_in_stop(phase, standing).map_err(|error| {
            let again = match &error {
                Error::Hook { failure, .. } => failure.is_not_yet(),
                error => matches!(error, Error::NoSafeThread { .. }),
            };
            let error = Box::new(error);
            Veto { again, error }
        })
    }

    fn all_in_stop(&self, phase: Phase, standing: &[Standing]) -> Result<(), Error> {
        let memory = &self.placed.session.memory;
        let mut thread = self.any(standing)?;
        let tid = thread.tid();
        thread.return_through(RunAddr(self.placed.base.0 + RETURN_OFFSET));
        let arena = self.placed.record.arena.as_ref();
        let tell = |stopped| {
            tell_stopped(self.placed.session, arena, tid, stopped).map_err(|source| Error::Arena {
                pid: memory.pid(),
                source: source.into(),
            })
        };
        tell(true)?;
        let outcome = self.of(phase).try_for_each(|hook| {
            let result = thread.call_within(self.time, self.code(hook), [0; 6], &mut |_| true);
            self.verdict(hook, result.map_err(HookFailure::from))
        });
        let told = tell(false);
        let released = thread.release();
        outcome.and(told).and(released.map_err(Error::from))
    }

    /// The first thread that is fit, of those that slept if there is one.
    fn any(&self, standing: &[Standing]) -> Result<Borrowed<'_>, Error> {
        let pid = self.placed.session.pid();
        let mappings = maps(pid).map_err(|source| Error::Read {
            pid,
            what: "the mappings",
            source,
        })?;
        let mut reasons = Vec::new();
        for one in standing {
            match Borrowed::in_stop(&self.placed.session.memory, &mappings, one.thread) {
                Ok(thread) => return Ok(thread),
                Err(RemoteError::NoThread { reasons: why, .. }) => reasons.push(why),
                Err(error) => return Err(error.into()),
            }
        }
        let reasons = reasons.join(", ");
        let source = RemoteError::NoThread { pid, reasons };
        Err(Error::NoSafeThread { pid, source })
    }
}
