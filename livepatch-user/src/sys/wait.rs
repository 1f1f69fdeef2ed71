//! `waitpid(2)` for one traced thread; never for "any child", which belongs to whoever else runs in our process.

use super::checked;
use crate::process::Tid;
use std::io;

/// What a traced thread reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing new yet.
    Nothing,
    /// It stopped: the signal and the `PTRACE_EVENT_*` number, 0 for none.
    Stopped {
        /// The signal, with bit 7 for a stop at a system call.
        signal: i32,
        /// The event.
        event: i32,
    },
    /// It is gone.
    Gone,
}

/// Asks, without blocking, what has become of `tid`. A thread that we do not trace (any more) is `Gone`.
///
/// # Errors
/// Whatever `waitpid` fails with, other than `ECHILD` and `EINTR`.
pub fn poll(tid: Tid) -> io::Result<Report> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WNOHANG;
    // SAFETY: `status` is valid, writable and outlives the call.
    let result = unsafe { libc::waitpid(tid.0, &raw mut status, flags) };
    match checked(result.into()) {
        Ok(0) => Ok(Report::Nothing),
        Ok(_) => Ok(report(status)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(Report::Gone),
            Some(libc::EINTR) => Ok(Report::Nothing),
            _ => Err(error),
        },
    }
}

/// Takes note of the end of `tid` if it has ended and any thread of ours traces it. Consumes no stop.
pub fn take_end(tid: Tid) {
    // The kernel reports the stops of tracees whatever the flags say, so the report is looked at before it is taken.
    let ends = [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED];
    if peek(tid).is_some_and(|code| ends.contains(&code)) {
        // An ended thread reports nothing but its end.
        poll(tid).ok();
    }
}

/// The code (`CLD_*`) of what `tid` has to report, which stays to be reported.
fn peek(tid: Tid) -> Option<i32> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let id = libc::id_t::from(tid.0.unsigned_abs());
    // SAFETY: `siginfo_t` consists of integers and pointers, for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid, writable and outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) };
    (result == 0).then_some(info.si_code)
}

fn report(status: i32) -> Report {
    if libc::WIFSTOPPED(status) {
        Report::Stopped {
            signal: libc::WSTOPSIG(status),
            event: status >> 16,
        }
    } else {
        Report::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let stopped = |signal, event| Report::Stopped { signal, event };
        assert_eq!(report(0x0080_057f), stopped(libc::SIGTRAP, 128));
        assert_eq!(report(0x227f), stopped(34, 0));
        assert_eq!(report(0x0000_857f), stopped(libc::SIGTRAP | 0x80, 0));
        assert_eq!(report(0x0100), Report::Gone);
        assert_eq!(report(9), Report::Gone);
    }
}
