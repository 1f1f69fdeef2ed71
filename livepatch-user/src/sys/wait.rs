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
/// A stop is only looked at and stays to be reported until the thread is let go: the kernel remembers by it which signal the
/// thread was about to take, and delivers that when we die.
///
/// # Errors
/// Whatever `waitid` fails with, other than `ECHILD` and `EINTR`.
pub fn poll(tid: Tid) -> io::Result<Report> {
    match peek(tid, libc::WEXITED | libc::WSTOPPED) {
        Ok(None) => Ok(Report::Nothing),
        Ok(Some(seen)) if ENDS.contains(&seen.code) => take(tid),
        Ok(Some(seen)) => Ok(stopped(seen.status)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(Report::Gone),
            Some(libc::EINTR) => Ok(Report::Nothing),
            _ => Err(error),
        },
    }
}

/// Takes what `tid` has to report: its end.
fn take(tid: Tid) -> io::Result<Report> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WNOHANG;
    // SAFETY: `status` is valid, writable and outlives the call.
    let result = unsafe { libc::waitpid(tid.0, &raw mut status, flags) };
    match checked(result.into()) {
        // Somebody else of our process took it.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Report::Gone),
        Err(error) => Err(error),
        Ok(_) => Ok(Report::Gone),
    }
}

/// The codes of what ends a thread.
const ENDS: [i32; 3] = [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED];

/// Takes note of the end of `tid` if it has ended and any thread of ours traces it. Consumes no stop.
pub fn take_end(tid: Tid) {
    // The kernel reports the stops of tracees whatever the flags say, so the report is looked at before it is taken.
    if peek(tid, libc::WEXITED).is_ok_and(|seen| seen.is_some_and(|it| ENDS.contains(&it.code))) {
        // Whoever else took it has done the work.
        take(tid).ok();
    }
}

/// What a thread has to report.
struct Seen {
    /// `CLD_*`.
    code: i32,
    /// For a stop, the signal and above it the event.
    status: i32,
}

/// What `tid` has to report, which stays to be reported.
fn peek(tid: Tid, what: i32) -> io::Result<Option<Seen>> {
    let flags = what | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let id = libc::id_t::from(tid.0.unsigned_abs());
    // SAFETY: `siginfo_t` consists of integers and pointers, for which zeroes are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid, writable and outlives the call.
    let result = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) };
    checked(result.into())?;
    // SAFETY: `waitid` has filled the fields of a child's change, or left zeroes, which are integers too.
    let reporter = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok((reporter != 0).then_some(Seen {
        code: info.si_code,
        status,
    }))
}

fn stopped(status: i32) -> Report {
    Report::Stopped {
        signal: status & 0xff,
        event: status >> 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let at = |signal, event| Report::Stopped { signal, event };
        assert_eq!(stopped(0x8005), at(libc::SIGTRAP, 128));
        assert_eq!(stopped(34), at(34, 0));
        assert_eq!(stopped(0x85), at(libc::SIGTRAP | 0x80, 0));
    }
}
