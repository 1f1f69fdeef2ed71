//! Why a remote system call failed.

use crate::process::{Pid, Tid, WriteError};
use crate::stop::StopError;
use livepatch_bundle::RunAddr;
use std::io;
use thiserror::Error;

/// Why no thread could be borrowed, a call failed, or a thread could not be given back.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// No thread is fit to be borrowed. Nothing was changed.
    #[error("no thread of process {pid} can be borrowed for a system call: {reasons}")]
    NoThread {
        /// The process.
        pid: Pid,
        /// Why, thread by thread.
        reasons: String,
    },
    /// The thread could not be stopped. Nothing was changed.
    #[error(transparent)]
    Stop(#[from] StopError),
    /// Nothing executable has a `syscall` instruction. Nothing was changed.
    #[error("process {0} maps no `syscall` instruction")]
    NoGate(Pid),
    /// The call was made and the kernel said no.
    #[error("system call {number} on behalf of process {pid} failed")]
    Failed {
        /// The process.
        pid: Pid,
        /// Its number.
        number: i64,
        /// What it failed with.
        source: io::Error,
    },
    /// The process or the thread ended meanwhile.
    #[error("thread {tid} of process {pid} ended while it was borrowed")]
    Gone {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
    },
    /// The call did not come back in time and was given up.
    #[error("a call on thread {tid} of process {pid} does not return")]
    Stuck {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
    },
    /// A call hangs in the kernel, and the thread with it: it was not given back, and goes astray when the call returns.
    #[error(
        "thread {tid} of process {pid} hangs in a call of ours and could not be put back as it was"
    )]
    Lost {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
    },
    /// The thread did not do what it was set up for.
    #[error("thread {tid} of process {pid} went astray in a remote call: {what}")]
    Astray {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// What happened instead.
        what: String,
    },
    /// What it ran caused a signal, which was not delivered.
    #[error("thread {tid} of process {pid} went astray in a remote call: it got signal {signal}")]
    Crashed {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// The signal's number.
        signal: i32,
    },
    /// The scratch memory could not be written.
    #[error("cannot write scratch memory of process {pid}")]
    Scratch {
        /// The process.
        pid: Pid,
        /// Why.
        source: WriteError,
    },
    /// `ptrace` failed.
    #[error("cannot {action} of thread {tid} of process {pid}")]
    Ptrace {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The thread was not given back as it was: it stands at `rip` and will likely crash when it goes on.
    #[error(
        "thread {tid} of process {pid} could not be put back as it was: it is at {rip}, and was at {was}"
    )]
    NotRestored {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// Where it stands.
        rip: RunAddr,
        /// Where it stood.
        was: RunAddr,
    },
}

impl RemoteError {
    /// The `errno` of a call that the kernel refused.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Failed { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
