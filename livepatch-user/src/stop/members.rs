//! The thread group as the kernel counts and lists it.

use crate::process::{Pid, Tid, threads};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// An open `/proc/PID/task`.
#[derive(Debug)]
pub(super) struct Members {
    pid: Pid,
    directory: File,
}

impl Members {
    pub(super) fn open(pid: Pid) -> io::Result<Self> {
        let directory = File::open(format!("/proc/{pid}/task"))?;
        Ok(Self { pid, directory })
    }

    /// How many threads the group has: the kernel adds them to the directory's links (`proc_task_getattr`).
    pub(super) fn count(&self) -> io::Result<u64> {
        Ok(self.directory.metadata()?.nlink().saturating_sub(2))
    }

    /// Lists the threads, and whether the list is certainly complete. The kernel's listing may skip threads while
    /// others end, but then it is shorter than the count.
    pub(super) fn list(&self) -> io::Result<(Vec<Tid>, bool)> {
        let list = threads(self.pid)?;
        let complete = list.len() as u64 == self.count()?;
        Ok((list, complete))
    }
}
