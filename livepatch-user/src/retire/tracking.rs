//! Noticing writes of a running process.
//!
//! The best way is a userfaultfd with asynchronous write protection: the first write to a page after it was protected
//! costs the target one fault (below a microsecond), which the kernel resolves by itself, and `PAGEMAP_SCAN` tells the
//! page as written. The descriptor has to be made by the process whose memory it is for, so the target makes it in a
//! remote system call; we copy it and the target's own is closed at once. When ours is closed, the kernel takes all of
//! it back. Memory mapped later is not protected and always counts as written; a forked child inherits nothing.
//! A transparent huge page that is written while protected is split.

use super::pages::{Pages, Which};
use crate::process::{Mapping, Pid};
use crate::sys::{pagescan, task};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

/// Makes system calls in the target, on a thread that is stopped for it.
///
/// Whoever implements it must know that the target's seccomp filters allow `userfaultfd` and `close`, or suspend them:
/// a filter may kill.
pub trait RemoteSyscall {
    /// Makes one system call and returns its result.
    ///
    /// # Errors
    /// The error number that the call returned, or why it could not be made.
    fn syscall(&mut self, number: i64, arguments: [u64; 6]) -> io::Result<i64>;
}

/// How writes are noticed.
#[derive(Debug)]
pub enum Tracking {
    /// By asynchronous write protection; ends when dropped.
    Protection(OwnedFd),
    /// By soft-dirty bits (`CONFIG_MEM_SOFT_DIRTY`). Another user of them (CRIU) is disturbed.
    SoftDirty,
    /// Not at all.
    None,
}

impl Tracking {
    /// Starts with the best way that there is. Everything written from now on, and possibly more, counts as written.
    pub(super) fn start(
        pid: Pid,
        pages: &Pages,
        maps: &[Mapping],
        remote: Option<&mut dyn RemoteSyscall>,
    ) -> Self {
        if let Some(remote) = remote.filter(|_| pages.scans()) {
            match protect(pid, maps, remote) {
                Ok(userfault) => return Self::Protection(userfault),
                Err(error) => tracing::debug!(%error, "no write protection by userfaultfd"),
            }
        }
        match clear_soft_dirty(pid) {
            Ok(()) => Self::SoftDirty,
            Err(error) => {
                tracing::debug!(%error, "no soft-dirty bits");
                Self::None
            }
        }
    }

    /// Takes mappings in that came later.
    pub(super) fn extend(&self, maps: &[Mapping]) {
        if let Self::Protection(userfault) = self {
            allow(userfault.as_fd(), maps);
        }
    }

    /// Which pages are to be looked at again.
    pub(super) fn written(&self) -> Which {
        match self {
            Self::Protection(_) => Which::Written,
            Self::SoftDirty => Which::SoftDirty,
            Self::None => Which::Populated,
        }
    }
}

fn protect(pid: Pid, maps: &[Mapping], remote: &mut dyn RemoteSyscall) -> io::Result<OwnedFd> {
    let userfault = borrow_userfault(pid, remote)?;
    pagescan::enable_protection(userfault.as_fd())?;
    allow(userfault.as_fd(), maps);
    Ok(userfault)
}

/// What cannot be protected (a read-only shared file, what another userfaultfd has) always counts as written.
fn allow(userfault: BorrowedFd<'_>, maps: &[Mapping]) {
    for mapping in maps {
        let (start, end) = (mapping.start.0, mapping.end.0);
        if let Err(error) = pagescan::allow_protection(userfault, start, end) {
            tracing::trace!(start, end, %error, "cannot be write-protected");
        }
    }
}

/// Lets the target make a userfaultfd, copies the descriptor, and closes the target's own.
fn borrow_userfault(pid: Pid, remote: &mut dyn RemoteSyscall) -> io::Result<OwnedFd> {
    /// `UFFD_USER_MODE_ONLY`: needs no privilege, and all that asynchronous protection needs.
    const USER_MODE_ONLY: u64 = 1;
    let process = task::pidfd_open(pid)?;
    let flags = u64::from((libc::O_CLOEXEC | libc::O_NONBLOCK).cast_unsigned()) | USER_MODE_ONLY;
    let number = remote.syscall(libc::SYS_userfaultfd, [flags, 0, 0, 0, 0, 0])?;
    let copy = RawFd::try_from(number)
        .map_err(io::Error::other)
        .and_then(|number| pagescan::copy_descriptor(process.as_fd(), number));
    remote.syscall(libc::SYS_close, [number.cast_unsigned(), 0, 0, 0, 0, 0])?;
    copy
}

/// Clears the soft-dirty bits (`/proc/PID/clear_refs`, proc(5)), if the kernel keeps any: those of a page that we
/// write ourselves tell.
fn clear_soft_dirty(pid: Pid) -> io::Result<()> {
    if !has_soft_dirty()? {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    fs::write(format!("/proc/{pid}/clear_refs"), "4")
}

fn has_soft_dirty() -> io::Result<bool> {
    let page = vec![1_u8; 8192];
    let address = page.as_ptr().addr() as u64;
    let mut entry = [0; 8];
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entry, address / 4096 * 8)?;
    Ok(u64::from_le_bytes(entry) & 1 << 55 != 0)
}
