//! The arena and copies of the process.
//!
//! Anonymous memory is each process's own after fork(2), as it was then. Files are shared: whatever one process writes, the other sees. So one of
//! the two lets go of them ([`Arena::own`]): it goes on with private mappings, in which what it writes is its own, and which are anonymous
//! memory for all that follows. The files stay as they are as long as the other one does not write to them.
//!
//! - A trial lets go: the original stands still meanwhile. So does whatever a module forks (`pthread_atfork`); it is not
//!   protected from what the original writes.
//! - A standby keeps them, and waits. The original writes to nothing that was there before the standby is told that it is not needed.
//!   Where it stays (probation), the original lets go.

use super::Arena;
use super::pages::{advise, reserve};
use super::state::{Chunk, State};
use super::zones::Zones;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The arena that copies of the process own.
static OF_THIS_PROCESS: OnceLock<&'static Arena> = OnceLock::new();
/// Whether the next copy shares it.
static SHARED: AtomicBool = AtomicBool::new(false);

extern "C" fn in_the_copy() {
    if SHARED.load(Ordering::Relaxed) {
        return;
    }
    if let Some(arena) = OF_THIS_PROCESS.get()
        && arena.try_own().is_err()
    {
        // It would write to what the original has.
        std::process::abort();
    }
}

/// Makes one copy of the process that shares the arena.
pub(crate) fn sharing<T>(copy: impl FnOnce() -> T) -> T {
    SHARED.store(true, Ordering::Relaxed);
    let result = copy();
    SHARED.store(false, Ordering::Relaxed);
    result
}

impl Arena {
    /// From now on, a copy of this process does not write to the arena's files; of the first arena that is told so.
    pub(crate) fn guard_copies(&'static self) {
        // SAFETY: the handler takes locks only where nobody has them, and asks the system for mappings.
        let added = unsafe { libc::pthread_atfork(None, None, Some(in_the_copy)) };
        if added == 0 {
            // There is one for each process.
            let _ = OF_THIS_PROCESS.set(self);
        }
    }

    /// As [`Self::own`], where no other thread was at work on it when the process was copied. If one was, the copy is of a process
    /// with several threads: it may do nothing with the data (POSIX) but call exec.
    fn try_own(&self) -> io::Result<()> {
        match (self.state.try_lock(), self.zones.try_lock()) {
            (Ok(mut state), Ok(mut zones)) => self.let_go(&mut state, &mut zones),
            _ => Ok(()),
        }
    }

    /// Lets the files go to another process: what this one writes is its own.
    ///
    /// # Errors
    /// When the system refuses; data is as it was, and may be partly shared yet.
    pub(crate) fn own(&self) -> io::Result<()> {
        let mut state = self.state();
        self.let_go(&mut state, &mut self.zones())
    }

    fn let_go(&self, state: &mut State, zones: &mut Option<Zones>) -> io::Result<()> {
        let Some(files) = zones else {
            return Ok(());
        };
        for (chunk, access) in [
            (Chunk::Sealed, libc::PROT_READ),
            (Chunk::Used, libc::PROT_READ | libc::PROT_WRITE),
            (Chunk::Spare, libc::PROT_READ | libc::PROT_WRITE),
        ] {
            for range in state.runs(chunk) {
                files.own(&self.range(&range), access)?;
            }
        }
        for chunk in [Chunk::Absent, Chunk::Closed, Chunk::Moving] {
            for range in state.runs(chunk) {
                reserve(&self.range(&range))?;
            }
        }
        state.is_zoned = false;
        let sealed = state.ranges(Chunk::Sealed);
        if let Some(sealing) = &mut state.sealed {
            sealing.ranges = sealed;
        }
        if let Some(files) = zones.take() {
            files.leave();
        }
        Ok(())
    }

    /// Takes the place of the process that this one is a copy of and shared the files with: gives back what that one took.
    pub(crate) fn inherit(&self) {
        let state = self.state();
        if state.is_zoned {
            for range in state.runs(Chunk::Absent) {
                // Where that one never used the zone there is nothing.
                let _ = advise(&self.range(&range), libc::MADV_REMOVE);
            }
        }
    }
}
