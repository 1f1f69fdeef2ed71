//! Copies of the main task, forked while it has one thread, so that they are whole.

use nix::unistd::{ForkResult, Pid, fork};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread that has ended may still be seen.
const THREAD_ENDS: Duration = Duration::from_millis(20);

/// Which of the two this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The process as before; its copy has this number.
    Original(Pid),
    /// The copy.
    Copy,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForkError {
    /// A copy would have this thread only, and locks of others that nobody ever releases.
    #[error(
        "the component has {0} threads; a copy can only be made of one that has a single thread"
    )]
    Threads(usize),
    /// The system refuses.
    #[error("cannot copy the process")]
    System(#[source] io::Error),
}

/// How many threads this process has.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Waits until there are only so many threads, but not for long: one that was joined may still be listed for a moment. Returns how
/// many there are.
pub(crate) fn wait_for_threads(most: usize) -> usize {
    let end = Instant::now() + THREAD_ENDS;
    loop {
        // When that cannot be known there is more than may be.
        let count = threads().unwrap_or(most + 1);
        if count <= most || Instant::now() > end {
            return count;
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// Copies this process.
///
/// # Errors
/// When it has other threads, or the system refuses.
pub(crate) fn copy() -> Result<Side, ForkError> {
    let threads = threads().map_err(ForkError::System)?;
    if threads != 1 {
        return Err(ForkError::Threads(threads));
    }
    // SAFETY: this is the only thread, so the copy is complete and may do whatever this one may.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Ok(Side::Original(child)),
        Ok(ForkResult::Child) => Ok(Side::Copy),
        Err(error) => Err(ForkError::System(error.into())),
    }
}

/// Ends this process at once: no destructors, no handlers at exit.
pub(crate) fn leave(status: u8) -> ! {
    // SAFETY: ends the process; nothing runs after it.
    unsafe { libc::_exit(status.into()) }
}
