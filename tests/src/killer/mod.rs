//! Killing `livepatch` at every moment of its work, and looking at what it leaves behind.
//!
//! [`trace`] runs a command under a tracer that kills the client or its guardian after the n-th system call; [`moment`] kills
//! it at a moment in time instead, or through its cgroup. [`subject`] is the process that was being patched: whether
//! it lives, is whole, and can be put right. [`sweep`] goes through all n; [`tally`] counts.

pub mod build;
pub mod moment;
pub mod process;
pub mod subject;
pub mod sweep;
pub mod tally;
pub mod trace;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The command that the user started.
    Client,
    /// The process that it starts to do the work.
    Guardian,
    /// Both at once; system calls are counted of the guardian.
    Both,
}

impl Victim {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Guardian => "guardian",
            Self::Both => "both",
        }
    }
}
