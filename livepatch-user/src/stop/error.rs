//! Why a process could not be stopped or released.

use crate::process::{Pid, Stranger, Tid};
use std::io;
use thiserror::Error;

/// Why not all threads could be stopped. Those that were have been released.
#[derive(Debug, Error)]
pub enum StopError {
    /// The process ended.
    #[error("process {0} ended while it was being stopped")]
    Gone(Pid),
    /// It executes another program, or its threads are being killed.
    #[error("process {0} executed another program or was killed while it was being stopped")]
    Replaced(Pid),
    /// A thread did not stop in time.
    #[error("thread {tid} (`{name}`) of process {pid} cannot be stopped: {what}")]
    Unstoppable {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// Its name.
        name: String,
        /// Its state and where in the kernel it waits, as far as can be read.
        what: String,
    },
    /// The kernel does not let us attach.
    #[error("cannot attach to thread {tid} of process {pid}{tracer}")]
    Refused {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// `: process N (`name`) traces it`, if one does.
        tracer: String,
        /// Why.
        source: io::Error,
    },
    /// A task outside the thread group runs on the same memory.
    #[error("process {} (`{}`) shares the memory of process {pid} (`vfork` or `clone`)", stranger.pid, stranger.name)]
    SharedMemory {
        /// The process.
        pid: Pid,
        /// The other one.
        stranger: Stranger,
    },
    /// A thread executes 32-bit code.
    #[error("thread {tid} of process {pid} executes 32-bit code (code segment {segment:#x})")]
    ThirtyTwoBit {
        /// The process.
        pid: Pid,
        /// The thread.
        tid: Tid,
        /// `cs`.
        segment: u64,
    },
    /// New threads kept appearing.
    #[error("process {0} creates threads faster than they can be stopped")]
    Endless(Pid),
    /// `/proc` or `ptrace` failed otherwise.
    #[error("cannot stop process {pid}: {action}")]
    System {
        /// The process.
        pid: Pid,
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// A thread could not be released. It stays stopped until the tracing thread ends.
#[derive(Debug, Error)]
#[error("cannot release thread {tid} of process {pid}; it goes on when livepatch ends")]
pub struct ReleaseError {
    /// The process.
    pub pid: Pid,
    /// The thread.
    pub tid: Tid,
    /// Why.
    pub source: io::Error,
}
