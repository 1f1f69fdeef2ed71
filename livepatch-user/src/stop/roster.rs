//! The threads of a process before a stop, and which of them sleep.

use super::error::StopError;
use super::members::Members;
use super::timed::TimedWaits;
use super::undertaker::Undertaker;
use crate::process::{Activity, Pid, ProcessMemory, SharingScan, Target, Tid, activity};
use std::io;

/// The threads to stop. Taking it does nothing to the process; use it soon, since what it says ages.
#[derive(Debug)]
pub struct Roster {
    pub(super) pid: Pid,
    pub(super) sleeping: Vec<Tid>,
    pub(super) running: Vec<Tid>,
    pub(super) members: Members,
    pub(super) sharing: SharingScan,
    pub(super) timed: TimedWaits,
    pub(super) undertaker: Undertaker,
    activities: Vec<(Tid, Activity)>,
}

impl Roster {
    /// Lists the threads and what they do, and searches for tasks that share the memory from outside.
    ///
    /// # Errors
    /// [`StopError::SharedMemory`] if there are such tasks (a `vfork` child is gone in a moment: try again), or when
    /// `/proc` cannot be read.
    pub fn take(target: &Target) -> Result<Self, StopError> {
        let pid = target.pid;
        let system = |action| {
            move |source| StopError::System {
                pid,
                action,
                source,
            }
        };
        // Before the search for tasks, which would have to look at this new one in the stop.
        let undertaker = Undertaker::hire(pid);
        let listing = |source| gone_or(pid, LISTING, source);
        let members = Members::open(pid).map_err(listing)?;
        let threads = members.list().map_err(listing)?;
        let activities: Vec<_> = threads
            .iter()
            .map(|&tid| (tid, activity(pid, tid)))
            .collect();
        let memory = ProcessMemory::open(target)
            .map_err(|source| gone_or(pid, "opening its memory", source))?;
        let (sharing, strangers) = SharingScan::start(pid, &activities, &memory)
            .map_err(system("searching for tasks that share its memory"))?;
        if let Some(stranger) = strangers.into_iter().next() {
            return Err(StopError::SharedMemory { pid, stranger });
        }
        let timed = TimedWaits::observe(pid, &activities, &memory);
        let select = |asleep| {
            let wanted = activities
                .iter()
                .filter(move |(_, now)| now.is_asleep() == asleep);
            wanted.map(|(tid, _)| *tid).collect()
        };
        let (sleeping, running) = (select(true), select(false));
        Ok(Self {
            pid,
            sleeping,
            running,
            members,
            sharing,
            timed,
            undertaker,
            activities,
        })
    }

    /// The threads and what each was doing when the roster was taken.
    #[must_use]
    pub fn activities(&self) -> &[(Tid, Activity)] {
        &self.activities
    }
}

pub(super) const LISTING: &str = "listing its threads";

/// A missing `/proc/PID`, or memory that nobody has any more, means that the process is gone.
pub(super) fn gone_or(pid: Pid, action: &'static str, source: io::Error) -> StopError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => StopError::Gone(pid),
        _ => StopError::System {
            pid,
            action,
            source,
        },
    }
}
