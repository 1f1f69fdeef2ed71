//! Users who change their mind: SIGINT, SIGTERM and SIGHUP.
//!
//! Whoever works on a target has them blocked, and asks whether one waits where it can still stop with nothing changed: before the
//! switch, and between two attempts at it. What has begun is finished. Signals are never taken, so that each who asks gets the
//! same answer, and a second one changes nothing. The command hands them on to its guardian, and a guardian to its workers.

use crate::process::{Pid, Status};
use crate::sys::poll::is_readable;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;

const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// It was asked to stop, and could.
#[derive(Clone, Copy, Debug, Error)]
#[error("interrupted: no code of process {0} was changed")]
pub struct Interrupted(pub Pid);

/// Readable while a signal waits. It tells of the process that asks, also of one that was copied from this one (signalfd(2)).
static WAITING: OnceLock<SignalFd> = OnceLock::new();
/// Whether this process stops when it is asked to.
static LISTENS: AtomicBool = AtomicBool::new(false);

/// From now on this process, and those that are copied from it, can be asked to stop. The signals must be blocked in all its threads.
pub fn listen() {
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    // Without it the work is done to its end.
    if let Ok(descriptor) = SignalFd::with_flags(&wanted(), flags) {
        WAITING.get_or_init(|| descriptor);
        LISTENS.store(true, Ordering::Relaxed);
    }
}

/// What becomes readable when this process is asked to stop, if it listens.
pub(crate) fn descriptor() -> Option<BorrowedFd<'static>> {
    let waiting = WAITING.get().filter(|_| LISTENS.load(Ordering::Relaxed));
    waiting.map(AsFd::as_fd)
}

/// Whether this process was asked to stop.
#[must_use]
pub fn came() -> bool {
    descriptor().is_some_and(is_readable)
}

/// Stops here, where nothing is changed in the process yet, if that was asked.
///
/// # Errors
/// When it was.
pub fn check(pid: Pid) -> Result<(), Interrupted> {
    match came() {
        true => Err(Interrupted(pid)),
        false => Ok(()),
    }
}

/// While it lives, nobody can interrupt: something is taken back or finished.
#[derive(Debug)]
#[must_use]
pub struct Finishing(bool);

/// Begins with what must be done to its end.
pub fn finishing() -> Finishing {
    Finishing(LISTENS.swap(false, Ordering::Relaxed))
}

impl Drop for Finishing {
    fn drop(&mut self) {
        LISTENS.store(self.0, Ordering::Relaxed);
    }
}

/// Asks a worker to stop.
pub(crate) fn interrupt(worker: Pid) {
    // It may have ended.
    let _ = kill(nix::unistd::Pid::from_raw(worker.0), Signal::SIGTERM);
}

/// Holds back the signals for the guardian that is about to be started, which begins with them blocked.
///
/// # Errors
/// When the system has no descriptor left.
pub(crate) fn hold() -> io::Result<SignalFd> {
    let mut signals = wanted();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?)
}

/// Waits for the guardian's end and hands on each signal that comes meanwhile; returns the first one, too.
///
/// # Errors
/// When it cannot be waited for.
pub(crate) fn hand_on(
    held: &SignalFd,
    guardian: &mut Child,
) -> io::Result<(ExitStatus, Option<Signal>)> {
    let pid = nix::unistd::Pid::from_raw(guardian.id().cast_signed());
    let mut first = None;
    loop {
        if let Some(status) = guardian.try_wait()? {
            // One that ended by its own copy of a signal may be faster than ours.
            return Ok((status, first.or_else(|| waiting(held))));
        }
        let number = match held.read_signal() {
            Ok(Some(info)) => info.ssi_signo.cast_signed(),
            Ok(None) | Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let signal = Signal::try_from(number)?;
        if signal != Signal::SIGCHLD {
            first = first.or(Some(signal));
            // It has ended, which the next round sees.
            let _ = kill(pid, signal);
        }
    }
}

/// The first signal that waits, but for that of a child's end.
fn waiting(held: &SignalFd) -> Option<Signal> {
    while is_readable(held.as_fd()) {
        let info = held.read_signal().ok()??;
        let signal = Signal::try_from(info.ssi_signo.cast_signed()).ok()?;
        if signal != Signal::SIGCHLD {
            return Some(signal);
        }
    }
    None
}

/// Ends this process by the signal that interrupted it, so that a shell's loop ends with it.
pub(crate) fn end_by(signal: Signal) {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal);
}

/// The signals, but those that whoever started us wants to be ignored (`nohup`).
pub(crate) fn wanted() -> SigSet {
    let ignored = Status::read(Path::new("/proc/self")).map_or(0, |status| status.ignored);
    let heeded = |signal: &Signal| ignored >> (*signal as i32 - 1) & 1 == 0;
    SIGNALS.into_iter().filter(heeded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_listen_is_not_interrupted() {
        assert!(!came());
        let finishing = finishing();
        drop(finishing);
        assert!(!came() && check(Pid(1)).is_ok());
    }
}
