//! The switch between old and new code.
//!
//! [`Strategy`] is what the rest knows: exchange bytes at a moment when no thread is inside forbidden code.
//! [`StopTheWorld`] stops all threads for it; a strategy that stops each thread alone can stand beside it.

mod stop_the_world;
mod text;

pub use stop_the_world::{StopTheWorld, space_of};
pub use text::{Text, TextError, exchange};

use crate::exchange::Exchange;
use crate::interrupt::Interrupted;
use crate::process::Pid;
use crate::report::Stop;
use crate::status::Status;
use crate::stop::{ReleaseError, StopError, StoppedThread};
use livepatch_bundle::RunAddr;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// A way to make the switch.
pub trait Strategy {
    /// Exchanges `runs` when no thread is inside forbidden code, and calls `in_stop` with all threads before they go on; if
    /// that says no, the runs are exchanged back.
    ///
    /// # Errors
    /// [`CommitError`]; the target is as it was unless [`CommitError::is_broken`].
    fn switch(
        &mut self,
        runs: &[Exchange],
        in_stop: &mut dyn FnMut(&[Standing]) -> Result<(), Veto>,
    ) -> Result<Stop, CommitError>;
}

/// A no that was said in the stop.
#[derive(Debug, Error)]
#[error("the switch was taken back in the stop")]
pub struct Veto {
    /// Whether to try again later.
    pub again: bool,
    /// Why.
    #[source]
    pub error: Box<crate::error::Error>,
}

/// A thread that stands at the switch.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The thread.
    pub thread: StoppedThread,
    /// Where its outermost frame begins, if all its frames were unwound and lie on one stack.
    pub top: Option<RunAddr>,
}

/// Why the switch was not made.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Threads were inside forbidden code, or might have been, whenever we looked.
    #[error("process {pid} stayed busy for {} ms: {holders}", waited.as_millis())]
    Busy {
        /// The process.
        pid: Pid,
        /// How long we tried.
        waited: Duration,
        /// The threads that held the last attempt.
        holders: Holders,
    },
    /// The user thought better of it while we waited.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// It could not be stopped.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// The text was not what it must be, or could not be written.
    #[error("cannot write the entries of process {pid}")]
    Text {
        /// The process.
        pid: Pid,
        /// Why.
        source: TextError,
    },
    /// What the jumps would lead to is not what was prepared: somebody else works on the process, unseen by our lock.
    #[error(
        "the patch that was prepared at {address} in process {pid} is not there any more; does another livepatch work on it?"
    )]
    Displaced {
        /// The process.
        pid: Pid,
        /// Where it was.
        address: RunAddr,
    },
    /// The switch was made, somebody said no in the stop, and it could not be taken back.
    #[error("the switch in process {pid} was made and cannot be taken back")]
    NotTakenBack {
        /// The process.
        pid: Pid,
        /// Why.
        source: TextError,
    },
    /// Somebody said no in the stop.
    #[error(transparent)]
    Vetoed(#[from] Veto),
    /// A thread could not be let go after the switch was made.
    #[error("not every thread goes on after the stop")]
    Release(#[from] ReleaseError),
}

impl CommitError {
    /// Whether something changed that could not be undone.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        if let Self::Vetoed(veto) = self {
            return veto.error.status() == Status::Broken;
        }
        matches!(
            self,
            Self::Release(_)
                | Self::NotTakenBack { .. }
                | Self::Text {
                    source: TextError::NotUndone { .. },
                    ..
                }
        )
    }

    /// Whether waiting longer might have helped.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        if let Self::Vetoed(veto) = self {
            return veto.again;
        }
        matches!(
            self,
            Self::Busy { .. }
                | Self::Stop(
                    StopError::Unstoppable { .. }
                        | StopError::SharedMemory { .. }
                        | StopError::Endless(_)
                )
        )
    }
}

/// Threads that hold the switch back, with their stacks.
#[derive(Clone, Debug, Default)]
pub struct Holders(pub Vec<Holder>);

/// A thread that holds the switch back.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its number.
    pub tid: i32,
    /// Why, in one line.
    pub why: String,
    /// Its frames, innermost first.
    pub stack: Vec<String>,
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, holder) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "thread {} {}", holder.tid, holder.why)?;
            for frame in &holder.stack {
                write!(f, "\n    {frame}")?;
            }
        }
        Ok(())
    }
}
