//! One stopped thread, and the guard that lets it go.

use super::error::{ReleaseError, StopError};
use super::restart;
use super::timed::TimedWaits;
use super::tracee::{self, Arrival, Cause, Seized, StoppedThread};
use crate::process::{Pid, ProcessMemory, Tid, activity};
use crate::sys::ptrace;
use std::io;
use std::time::{Duration, Instant};

/// How long a thread that is on its way is waited for when its stop is given up.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// A single thread that stands while the others run. Dropping it lets it go.
#[derive(Debug)]
pub(crate) struct Lone {
    pub(crate) pid: Pid,
    pub(crate) thread: StoppedThread,
    released: bool,
}

impl Lone {
    /// Stops a thread. `None` if it is gone or belongs to the kernel.
    pub(crate) fn stop(
        memory: &ProcessMemory,
        tid: Tid,
        options: u64,
        deadline: Instant,
    ) -> Result<Option<Self>, StopError> {
        let pid = memory.pid();
        let timed = TimedWaits::observe(pid, &[(tid, activity(pid, tid))], memory);
        if tracee::seize(pid, tid, options)? != Seized::Yes {
            return Ok(None);
        }
        // Fails only for a thread that is gone, which the wait will say.
        ptrace::interrupt(tid).ok();
        let cause = match tracee::await_stop(pid, tid, deadline)? {
            Arrival::Stopped(cause) => cause,
            Arrival::Gone => return Ok(None),
            Arrival::Execed => {
                ptrace::detach(tid, 0).ok();
                return Err(StopError::Replaced(pid));
            }
            Arrival::Late => {
                let error = tracee::unstoppable(pid, tid);
                release_late(pid, tid, Instant::now() + GRACE).ok();
                return Err(error);
            }
        };
        let looked = tracee::look(pid, tid, true, cause, &timed).map_err(|source| {
            ptrace::detach(tid, cause.signal_to_deliver()).ok();
            StopError::System {
                pid,
                action: "reading registers",
                source,
            }
        })?;
        Ok(looked.map(|thread| Self {
            pid,
            thread,
            released: false,
        }))
    }

    /// Has a thread that goes on by `restart_syscall(2)` stand in the call itself, so that it is known which one that is.
    pub(crate) fn name_call(&mut self, memory: &ProcessMemory) -> io::Result<()> {
        let Some(registers) = restart::continued(&self.thread.registers, memory) else {
            return Ok(());
        };
        self.thread.registers = registers;
        ptrace::set_registers(self.thread.tid, &registers)
    }

    /// A thread that somebody else stopped and lets go.
    pub(crate) fn of_stop(pid: Pid, thread: StoppedThread) -> Self {
        Self {
            pid,
            thread,
            released: true,
        }
    }

    /// Lets the thread go.
    pub(crate) fn release(&mut self) -> Result<(), ReleaseError> {
        if std::mem::replace(&mut self.released, true) {
            return Ok(());
        }
        release(self.pid, &self.thread)
    }
}

impl Drop for Lone {
    fn drop(&mut self) {
        log_failure(self.release());
    }
}

/// For the paths where nobody is left to tell.
pub(super) fn log_failure(result: Result<(), ReleaseError>) {
    if let Err(error) = result {
        tracing::error!("{error}: {}", error.source);
    }
}

/// Detaches from a thread that stands.
pub(super) fn release(pid: Pid, thread: &StoppedThread) -> Result<(), ReleaseError> {
    let tid = thread.tid;
    match ptrace::detach(tid, thread.cause.signal_to_deliver()) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            tracee::await_end(pid, tid);
            Ok(())
        }
        Err(source) => Err(ReleaseError { pid, tid, source }),
    }
}

/// Waits for a thread that was asked to stop, and detaches from it.
pub(super) fn release_late(pid: Pid, tid: Tid, deadline: Instant) -> Result<(), ReleaseError> {
    let failed = |source| ReleaseError { pid, tid, source };
    let cause = match tracee::await_stop(pid, tid, deadline) {
        Ok(Arrival::Stopped(cause)) => cause,
        Ok(Arrival::Execed) => Cause::Interrupt,
        Ok(Arrival::Gone) => return Ok(()),
        Ok(Arrival::Late) => return Err(failed(io::ErrorKind::TimedOut.into())),
        Err(error) => return Err(failed(io::Error::other(error))),
    };
    match tracee::look(pid, tid, true, cause, &TimedWaits::default()).map_err(failed)? {
        Some(thread) => release(pid, &thread),
        None => Ok(()),
    }
}
