//! Facts about a task that only a system call tells.

use super::checked;
use crate::process::{Pid, Tid};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// `KCMP_VM` of `linux/kcmp.h`: compare address spaces.
const KCMP_VM: libc::c_int = 1;

/// Opens a descriptor that stays with this process even when its number is used again (Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is none, `EINVAL` for a thread that leads no group, `ENOSYS` on older kernels.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.0, 0) };
    let raw = RawFd::try_from(checked(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Whether the process has a thread of this number: a `tgkill` without a signal.
#[must_use]
pub fn is_member(pid: Pid, tid: Tid) -> bool {
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid.0, tid.0, 0) };
    // Whoever may not signal it is told so.
    checked(result).map_or_else(|error| error.raw_os_error() != Some(libc::ESRCH), |_| true)
}

/// Whether two tasks have the same address space.
///
/// # Errors
/// `ESRCH` when one is gone, `EPERM` when forbidden, `ENOSYS` on kernels without `kcmp`.
pub fn same_memory(one: Tid, other: Tid) -> io::Result<bool> {
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_kcmp, one.0, other.0, KCMP_VM, 0, 0) };
    checked(result).map(|order| order == 0)
}
