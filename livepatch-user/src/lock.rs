//! One livepatch at a time for each process.
//!
//! The lock is that of flock(2) on `/proc/PID/mem`: it leaves no file, the kernel takes it back however its holder ends, and only who may
//! trace the process can open that file, so that nobody else can hold us up. Whoever sees the process by another instance of procfs (in
//! another PID namespace) is not kept out; the switch looks once more at what it leads to.

use crate::error::Error;
use crate::interrupt;
use crate::process::Pid;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// How often to look whether the other one has finished.
const PAUSE: Duration = Duration::from_millis(5);

/// Held while the process is worked on.
#[derive(Debug)]
pub struct Lock {
    /// `None` where the process may not be looked into, which whoever goes on will be told.
    _memory: Option<Flock<File>>,
}

impl Lock {
    /// Waits until nobody else works on the process, for `timeout` at most.
    ///
    /// # Errors
    /// [`Error::InUse`] when somebody still does, and when it is interrupted.
    pub fn take(pid: Pid, timeout: Duration) -> Result<Self, Error> {
        let Ok(mut memory) = File::open(format!("/proc/{pid}/mem")) else {
            return Ok(Self { _memory: None });
        };
        let deadline = Instant::now() + timeout;
        loop {
            let (back, error) = match Flock::lock(memory, FlockArg::LockExclusiveNonblock) {
                Ok(held) => {
                    return Ok(Self {
                        _memory: Some(held),
                    });
                }
                Err(failed) => failed,
            };
            if error != Errno::EWOULDBLOCK || Instant::now() >= deadline {
                let source = io::Error::from(error);
                return Err(Error::InUse { pid, source });
            }
            interrupt::check(pid)?;
            memory = back;
            std::thread::sleep(PAUSE);
        }
    }
}
