//! Thin, safe wrappers of system calls; the only `unsafe` of this crate.
//!
//! Each function is one system call and returns what the kernel said. Nothing here decides anything.

pub mod connector;
pub mod fork;
pub mod identity;
pub mod pagescan;
pub mod poll;
pub mod ptrace;
pub mod task;
pub mod vm;
pub mod wait;

use std::io;

/// Turns the C convention "-1 and `errno`" into a result.
fn checked(result: i64) -> io::Result<i64> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
