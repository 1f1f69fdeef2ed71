//! A borrowed thread of the target as the hands that `install`, `release` and the search for pointers work with.

use crate::error::Error;
use crate::install::Hands;
use crate::process::{Pid, Tid};
use crate::remote::{Borrowed, RemoteError};
use crate::retire::RemoteSyscall;
use crate::session::Session;
use livepatch_bundle::RunAddr;
use std::fs::{File, OpenOptions};
use std::io;
use std::time::{Duration, Instant};

/// How long to wait for a thread that can be borrowed.
const WAIT: Duration = Duration::from_secs(5);

/// A borrowed thread.
pub struct Loan<'a> {
    pid: Pid,
    thread: Borrowed<'a>,
}

/// Borrows a thread of the session's process.
///
/// # Errors
/// When none is fit.
pub fn borrow(session: &Session) -> Result<Loan<'_>, Error> {
    let pid = session.pid();
    let mappings = crate::process::maps(pid).map_err(|source| Error::Read {
        pid,
        what: "the mappings",
        source,
    })?;
    let deadline = Instant::now() + WAIT;
    let thread = Borrowed::new(&session.target, &session.memory, &mappings, deadline)?;
    Ok(Loan { pid, thread })
}

impl Loan<'_> {
    /// Where the thread keeps what belongs to it (`fs_base`).
    #[must_use]
    pub fn thread_pointer(&self) -> RunAddr {
        RunAddr(self.thread.registers().fs_base)
    }

    /// The thread's number.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.thread.tid()
    }

    /// Opens a memory file whose name tells the next run what this one was about to do. The caller closes it.
    ///
    /// # Errors
    /// When the process cannot open it.
    pub fn announce(&mut self, name: &str) -> io::Result<u64> {
        let name = self.lend(format!("{name}\0").as_bytes())?;
        let flags = u64::from(libc::MFD_CLOEXEC);
        Hands::syscall(self, libc::SYS_memfd_create, [name.0, flags, 0, 0, 0, 0])
    }

    /// Gives the thread back as it was.
    ///
    /// # Errors
    /// What could not be undone.
    pub fn give_back(self) -> Result<(), Error> {
        Ok(self.thread.release()?)
    }
}

impl Hands for Loan<'_> {
    fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<u64> {
        self.thread.syscall(number, arguments).map_err(as_io)
    }

    fn lend(&mut self, bytes: &[u8]) -> io::Result<RunAddr> {
        self.thread.scratch(bytes).map_err(as_io)
    }

    fn open_descriptor(&mut self, descriptor: u64) -> io::Result<File> {
        let path = format!(
            "/proc/{}/task/{}/fd/{descriptor}",
            self.pid,
            self.thread.tid()
        );
        OpenOptions::new().read(true).write(true).open(path)
    }
}

impl RemoteSyscall for Loan<'_> {
    fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<i64> {
        Hands::syscall(self, number, arguments).map(u64::cast_signed)
    }
}

/// The error number of a call that the kernel refused, or why it could not be made.
fn as_io(error: RemoteError) -> io::Error {
    match error {
        RemoteError::Failed { source, .. } => source,
        other => io::Error::other(other),
    }
}
