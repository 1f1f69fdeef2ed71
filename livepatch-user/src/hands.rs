//! A borrowed thread of the target as the hands that `install`, `release` and the search for pointers work with.

use crate::error::Error;
use crate::install::{Hands, NAME_PREFIX};
use crate::process::{Pid, Tid};
use crate::remote::{Borrowed, RemoteError};
use crate::retire::RemoteSyscall;
use crate::session::Session;
use crate::watchdog;
use livepatch_bundle::RunAddr;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
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
    watchdog::begin_changes();
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

    /// Opens a memory file whose name tells the next run what this one was about to do, until it is retracted.
    ///
    /// # Errors
    /// When the process cannot open it.
    pub fn announce(&mut self, name: &str) -> io::Result<u64> {
        let name = self.lend(format!("{name}\0").as_bytes())?;
        let flags = u64::from(libc::MFD_CLOEXEC);
        Hands::syscall(self, libc::SYS_memfd_create, [name.0, flags, 0, 0, 0, 0])
    }

    /// Closes what was announced. Nobody else knows the descriptor; should it stay, the next run closes it.
    pub fn retract(&mut self, announced: Option<u64>) {
        if let Some(descriptor) = announced {
            Hands::syscall(self, libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]).ok();
        }
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
        open_memfd(Path::new(&path))
    }
}

/// Opens a memfd of ours that the target holds. Another thread of a hostile target may have put something else in its
/// place, a file that only we may write to: nothing is opened for writing before it is known what it is.
fn open_memfd(path: &Path) -> io::Result<File> {
    let own = memfd_create("livepatch", MFdFlags::MFD_CLOEXEC)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = std::fs::read_link(&place)?.into_os_string().into_vec();
    let (found, memfds) = (file.metadata()?, File::from(own).metadata()?);
    let ours = name.starts_with(format!("/memfd:{NAME_PREFIX}").as_bytes());
    // Every memfd lies on one file system of the kernel's, where nothing else lies.
    if !(ours && found.is_file() && found.nlink() == 0 && found.dev() == memfds.dev()) {
        return Err(io::Error::other("the target put another file in its place"));
    }
    OpenOptions::new().read(true).write(true).open(place)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str) -> (std::os::fd::OwnedFd, String) {
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC).expect("supported");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        (file, path)
    }

    #[test]
    fn only_our_memfds_are_opened() {
        let (_file, path) = descriptor("livepatch:fix");
        open_memfd(Path::new(&path)).expect("ours");
        let (_file, path) = descriptor("somebody's");
        open_memfd(Path::new(&path)).expect_err("another name");
        open_memfd(Path::new("/dev/null")).expect_err("a device");
    }

    #[test]
    fn a_file_of_that_name_is_not_opened() {
        let directory = tempfile::TempDir::new_in("/").expect("a directory in the root");
        let path = directory.path().join("file");
        let file = File::create(&path).expect("writable");
        std::fs::remove_file(&path).expect("ours");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        open_memfd(Path::new(&path)).expect_err("a deleted file");
    }
}
