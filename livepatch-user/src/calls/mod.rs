//! Calling functions of the target that may allocate, lock, or do anything else that a function does: hooks, and those by
//! which unwinders learn of new code.
//!
//! While all threads run, one that sleeps in a listed system call, with no frame of the allocator, the loader or an
//! unwinder on its stack, is borrowed for it: nothing that it was in the middle of can be entered a second time.

mod names;
mod refuge;

pub use refuge::{Need, Refuge};

use crate::commit::space_of;
use crate::error::Error;
use crate::image::Images;
use crate::installed::Installed;
use crate::memory::Registers;
use crate::record::{RETURN_OFFSET, Record};
use crate::remote::{Borrowed, RemoteError};
use crate::session::Session;
use crate::stop::StoppedThread;
use livepatch_bundle::RunAddr;
use std::time::{Duration, Instant};

/// How long to wait for a thread that sleeps where it may be borrowed.
const WAIT: Duration = Duration::from_secs(5);
/// How long of that only for the first thread.
const FIRST: Duration = Duration::from_millis(20);

/// Finds threads to call functions on.
pub struct Caller<'a> {
    session: &'a Session,
    refuge: Refuge<'a>,
    /// What the functions return to.
    stub: RunAddr,
}

impl<'a> Caller<'a> {
    /// A caller in the session's process, for the patch at `base`. `placed` is a patch that is not among `patches` yet.
    #[must_use]
    pub fn new(
        session: &'a Session,
        images: &'a Images<'_>,
        patches: &[Installed],
        base: RunAddr,
        placed: Option<(RunAddr, &Record)>,
    ) -> Self {
        let refuge = Refuge::new(images, patches, placed);
        let stub = RunAddr(base.0 + RETURN_OFFSET);
        Self {
            session,
            refuge,
            stub,
        }
    }

    /// Borrows a thread, for several calls in a row.
    ///
    /// # Errors
    /// When none comes to sleep where it may be borrowed.
    pub fn turn(&mut self, need: Need) -> Result<Turn<'_, 'a>, Error> {
        let pid = self.session.pid();
        let memory = &self.session.memory;
        let mappings = crate::process::maps(pid).map_err(|source| Error::Read {
            pid,
            what: "the mappings",
            source,
        })?;
        let refuge = &mut self.refuge;
        let space = space_of(memory);
        refuge.begin(&space);
        let mut accept = |thread: &StoppedThread| refuge.accept(&thread.registers, need, &space);
        let begin = Instant::now();
        let target = &self.session.target;
        // The first thread uses the allocator's first arena; another one might make an arena of its own for us.
        let first = Borrowed::leader_if(target, memory, &mappings, begin + FIRST, &mut accept)?;
        let thread = match first {
            Some(thread) => Ok(thread),
            None => Borrowed::new_if(target, memory, &mappings, begin + WAIT, &mut accept),
        };
        let mut thread = thread.map_err(|source| match source {
            RemoteError::NoThread { .. } => Error::NoSafeThread { pid, source },
            other => other.into(),
        })?;
        thread.return_through(self.stub);
        Ok(Turn {
            thread,
            refuge,
            session: self.session,
        })
    }
}

/// A borrowed thread on which functions may be called.
pub struct Turn<'t, 'a> {
    thread: Borrowed<'a>,
    refuge: &'t mut Refuge<'a>,
    session: &'a Session,
}

impl Turn<'_, '_> {
    /// Calls a function that must return within `time`.
    ///
    /// # Errors
    /// When it does not, or crashes.
    pub fn call(
        &mut self,
        time: Duration,
        function: RunAddr,
        arguments: [u64; 6],
    ) -> Result<u64, RemoteError> {
        let space = space_of(&self.session.memory);
        let refuge = &mut self.refuge;
        let mut may_leave = |registers: &Registers| refuge.is_outside(registers, &space);
        self.thread
            .call_within(time, function, arguments, &mut may_leave)
    }

    /// Lends the target `bytes` until the thread is given back.
    ///
    /// # Errors
    /// When there is no room.
    pub fn lend(&mut self, bytes: &[u8]) -> Result<RunAddr, RemoteError> {
        self.thread.scratch(bytes)
    }

    /// Gives the thread back.
    ///
    /// # Errors
    /// What could not be undone.
    pub fn end(self) -> Result<(), Error> {
        Ok(self.thread.release()?)
    }
}
