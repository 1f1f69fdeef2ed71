//! What happens when a new version crashes the process, or never returns.
//!
//! Without a standby the kernel ends the process (SIGALRM when it hangs) and the supervisor starts the last good version anew.
//! With one, a copy of the process waits, taken when the old version was held: it has the old version, its data, and the queue.
//! When the original ends, or does not say in time that all is well, the copy takes its place. With `--probation` it waits until that is
//! over, and hears of each time that all was well.
//!
//! Where data lies in files in memory, both have the same (see `sys::arena`): the original writes to none of it before it has told the copy
//! that it is not needed, or leaves it to a copy that stays.

use super::failure::SwitchError;
use super::{Component, SIGNALS};
use crate::control::protocol::How;
use crate::supervisor::LEFT_ON_PURPOSE;
use crate::sys::arena::{Backing, sharing};
use crate::sys::fork::{self, ForkError, Side};
use mio::Interest;
use mio::unix::SourceFd;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigEvent, SigevNotify, Signal, kill};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::time::ClockId;
use nix::unistd::{Pid, getppid, pipe2, read, write};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use thiserror::Error;

/// So many operations a switch has at most; beyond so many deadlines it hangs.
const OPERATIONS: u32 = 6;

/// A switch has at least so much time.
const SWITCH_MIN: Duration = Duration::from_millis(10);
/// How much longer a copy waits than the original has: SIGALRM comes first.
const GRACE: Duration = Duration::from_millis(10);

/// Why there is no standby.
#[derive(Debug, Error)]
pub(super) enum StandbyError {
    #[error(transparent)]
    Fork(#[from] ForkError),
    #[error("the system has no pipe for it")]
    Pipe(#[source] io::Error),
    #[error("the data cannot be left to it")]
    Data(#[source] io::Error),
}

/// A copy that waits.
#[derive(Debug)]
struct Standby {
    pid: Pid,
    /// What tells it that it is not needed.
    line: OwnedFd,
}

/// Ends the process when a switch hangs.
#[derive(Debug)]
pub(super) struct Watchdog {
    timer: Option<Timer>,
    standby: RefCell<Option<Standby>>,
    dismissed: RefCell<Vec<Pid>>,
}

impl Watchdog {
    /// One that is not armed.
    pub(super) fn new() -> Self {
        let event = SigEvent::new(SigevNotify::SigevSignal {
            signal: Signal::SIGALRM,
            si_value: 0,
        });
        Self {
            // Without it, a module that hangs hangs the component.
            timer: Timer::new(ClockId::CLOCK_MONOTONIC, event).ok(),
            standby: RefCell::new(None),
            dismissed: RefCell::default(),
        }
    }

    /// Gives the switch its time.
    pub(super) fn arm(&mut self, how: &How) {
        let time = how.deadline().saturating_mul(OPERATIONS);
        self.set(time.max(SWITCH_MIN));
    }

    pub(super) fn disarm(&mut self) {
        self.set(Duration::ZERO);
    }

    fn set(&mut self, time: Duration) {
        if let Some(timer) = &mut self.timer {
            let expiration = Expiration::OneShot(TimeSpec::from_duration(time));
            // Zero switches it off; a valid time is never refused.
            let _ = timer.set(expiration, TimerSetTimeFlags::empty());
        }
    }

    /// Takes the exit statuses of copies that were not needed.
    pub(super) fn reap(&self) {
        let is_there = |pid: &Pid| {
            let status = waitpid(*pid, Some(WaitPidFlag::WNOHANG));
            matches!(status, Ok(WaitStatus::StillAlive))
        };
        self.dismissed.borrow_mut().retain(is_there);
    }
}

/// That the copy is not needed.
const NOT_NEEDED: u8 = b'.';
/// That all is well so far.
const ALL_IS_WELL: u8 = b'+';

/// What a copy that waits comes to know.
enum Fate {
    NotNeeded,
    OriginalEnded,
    OriginalHangs,
}

impl Component {
    /// Keeps a copy of this process. It returns twice: in the copy, with [`SwitchError::Crashed`], when that takes over.
    pub(super) fn keep_standby(&self, how: &How) -> Result<(), SwitchError> {
        let pipe = pipe2(OFlag::O_CLOEXEC).map_err(|error| StandbyError::Pipe(error.into()))?;
        let (listens, tells) = pipe;
        let original = nix::unistd::getpid();
        match sharing(fork::copy).map_err(StandbyError::Fork)? {
            Side::Original(pid) => {
                *self.watchdog.standby.borrow_mut() = Some(Standby { pid, line: tells });
                if how.standby_stays() {
                    self.services.arena.own().map_err(StandbyError::Data)?;
                }
                Ok(())
            }
            Side::Copy => {
                drop(tells);
                let operations = how.deadline().saturating_mul(OPERATIONS);
                let patience = operations.max(SWITCH_MIN) + how.between_checks() + GRACE;
                match wait(&listens, patience) {
                    Fate::NotNeeded => fork::leave(LEFT_ON_PURPOSE),
                    Fate::OriginalEnded => {}
                    Fate::OriginalHangs => end(original),
                }
                // It was done after all, and may have written to data that both have: nothing here is fit to go on with.
                if self.services.arena.backing() == Backing::Memfd && was_dismissed(&listens) {
                    fork::leave(LEFT_ON_PURPOSE);
                }
                Err(SwitchError::Crashed)
            }
        }
    }

    /// Tells the copy that it is not needed.
    pub(super) fn dismiss_standby(&self) {
        if let Some(standby) = self.watchdog.standby.take() {
            // It may have been killed: then there is nobody to tell.
            let _ = write(&standby.line, &[NOT_NEEDED]);
            self.watchdog.dismissed.borrow_mut().push(standby.pid);
        }
    }

    /// Tells the copy that it is not needed yet.
    pub(super) fn reassure_standby(&self) {
        if let Some(standby) = &*self.watchdog.standby.borrow() {
            // As above. The pipe is never full: the copy reads.
            let _ = write(&standby.line, &[ALL_IS_WELL]);
        }
    }

    /// What a copy needs anew that has taken the place of the original: signals and timers are each process's own.
    pub(super) fn take_over(&mut self) -> io::Result<()> {
        self.settings.restarts += 1;
        // The original's timer is not ours to delete; the number may be that of our own.
        std::mem::forget(std::mem::replace(&mut self.watchdog, Watchdog::new()));
        self.services.register_again();
        self.services.arena.inherit();
        let descriptor = self.services.signal_descriptor().as_raw_fd();
        let registry = self.poll.registry();
        registry.deregister(&mut SourceFd(&descriptor))?;
        registry.register(&mut SourceFd(&descriptor), SIGNALS, Interest::READABLE)
    }
}

fn wait(line: &OwnedFd, time: Duration) -> Fate {
    let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    let mut descriptors = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut descriptors, timeout) {
            Err(Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Fate::OriginalHangs,
            Ok(_) => {}
        }
        let mut byte = [0];
        match read(line, &mut byte) {
            Ok(1) if byte == [ALL_IS_WELL] => {}
            Ok(1) => return Fate::NotNeeded,
            _ => return Fate::OriginalEnded,
        }
    }
}

/// Whether an original that has ended had said that its copy is not needed.
fn was_dismissed(line: &OwnedFd) -> bool {
    matches!(wait(line, Duration::ZERO), Fate::NotNeeded)
}

/// Ends the original, and waits until it has.
fn end(original: Pid) {
    while getppid() == original {
        // It is our parent, so the number is still its own.
        let _ = kill(original, Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(1));
    }
}
