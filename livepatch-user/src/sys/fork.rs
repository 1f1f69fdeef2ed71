//! Workers: processes that begin as a copy of this one, with everything that it has read.

use super::checked;
use crate::process::Pid;
use std::io;

/// Makes a copy of this process: `None` in the copy, its number in the original.
///
/// # Errors
/// When this process has other threads, whose locks the copy would find held for ever; or as fork(2).
pub fn fork() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other(
            "a process with several threads cannot be copied",
        ));
    }
    // SAFETY: this is the only thread, so the copy's state is whole and it may do whatever this process may.
    let result = checked(i64::from(unsafe { libc::fork() }))?;
    let child = i32::try_from(result).map_err(io::Error::other)?;
    Ok((child != 0).then_some(Pid(child)))
}

/// Ends this process at once: nothing that the original shall still write is written twice.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: the call takes a number only and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}
