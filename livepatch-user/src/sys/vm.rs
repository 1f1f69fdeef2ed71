//! `process_vm_readv(2)`: many ranges of another process in one system call.

use super::checked;
use crate::process::Pid;
use std::io;
use std::io::IoSliceMut;

/// One range of another process; the layout of `struct iovec`.
pub type RemoteRange = libc::iovec;

/// The most ranges that one call takes (`UIO_MAXIOV`).
pub const MAX_RANGES: usize = 1024;

/// A range of another process.
#[must_use]
pub fn remote(address: u64, len: usize) -> RemoteRange {
    RemoteRange {
        iov_base: std::ptr::without_provenance_mut(usize::try_from(address).unwrap_or(usize::MAX)),
        iov_len: len,
    }
}

/// Fills `local` from the ranges `remote` of `pid`, in order, and returns how many bytes came before the first
/// unreadable one.
///
/// # Errors
/// `EPERM` when forbidden, `ESRCH` when gone, `EFAULT` when the very first byte is unreadable.
pub fn read(pid: Pid, local: &mut [IoSliceMut<'_>], remote: &[RemoteRange]) -> io::Result<usize> {
    // SAFETY: `IoSliceMut` is guaranteed to have the layout of `iovec` and describes memory that we may write;
    // `remote` is only read as addresses of the other process. Both outlive the call.
    let result = unsafe {
        libc::process_vm_readv(
            pid.0,
            local.as_ptr().cast(),
            local.len() as libc::c_ulong,
            remote.as_ptr(),
            remote.len() as libc::c_ulong,
            0,
        )
    };
    checked(result as i64).map(|count| usize::try_from(count).unwrap_or(0))
}
