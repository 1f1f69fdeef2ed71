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

    /// Lists the threads. While some start and others end, it may lack living ones.
    pub(super) fn list(&self) -> io::Result<Vec<Tid>> {
        threads(self.pid)
    }
}
