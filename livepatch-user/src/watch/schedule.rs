//! When to look at a process again.
//!
//! A process is looked at because something happened to it, and again only while there is something to wait for: the
//! loader is at work after that, for a moment that nothing reports the end of. So the looks come after 2, 4, 8, ... ms, and
//! end; a process that is busy is tried again after 1, 2, 4, ... s, at most every minute, until it ends.

use crate::process::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(2);
const LOADING_MOST: Duration = Duration::from_secs(1);
/// How long after an event a process is looked at again while its loader is at work.
const PATIENCE: Duration = Duration::from_secs(15);
const BUSY_FIRST: Duration = Duration::from_secs(1);
const BUSY_MOST: Duration = Duration::from_secs(60);

/// Why a process is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It has begun to run a program.
    Exec,
    /// It has opened a file that a bundle is for, which is mapped a moment later.
    Opening,
    /// Anything may be the matter with it.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    since: Instant,
    next: Instant,
    pause: Duration,
    cause: Cause,
}

/// The processes to look at.
#[derive(Debug, Default)]
pub(super) struct Schedule(BTreeMap<Pid, Entry>);

impl Schedule {
    /// Something happened to the process: look at it shortly.
    pub(super) fn trigger(&mut self, pid: Pid, cause: Cause, now: Instant) {
        let entry = Entry {
            cause,
            since: now,
            next: now + FIRST,
            pause: FIRST,
        };
        self.0.insert(pid, entry);
    }

    /// Nothing more is to be done.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.0.remove(&pid);
    }

    /// Why it is looked at.
    pub(super) fn cause(&self, pid: Pid) -> Cause {
        self.0.get(&pid).map_or(Cause::Unknown, |entry| entry.cause)
    }

    /// Whether something happened to it after `then`.
    pub(super) fn triggered_after(&self, pid: Pid, then: Instant) -> bool {
        self.0.get(&pid).is_some_and(|entry| entry.since > then)
    }

    /// Whether what happened to it happened less than `time` ago.
    pub(super) fn is_young(&self, pid: Pid, time: Duration, now: Instant) -> bool {
        let entry = self.0.get(&pid);
        entry.is_some_and(|entry| now.duration_since(entry.since) < time)
    }

    /// It is not ready; false when the time for that is up, and it is forgotten.
    pub(super) fn not_ready(&mut self, pid: Pid, now: Instant) -> bool {
        let Some(entry) = self.0.get_mut(&pid) else {
            return true;
        };
        if now.duration_since(entry.since) > PATIENCE {
            self.0.remove(&pid);
            return false;
        }
        entry.pause = (entry.pause * 2).min(LOADING_MOST);
        entry.next = now + entry.pause;
        true
    }

    /// It stays busy.
    pub(super) fn busy(&mut self, pid: Pid, now: Instant) {
        if let Some(entry) = self.0.get_mut(&pid) {
            entry.pause = (entry.pause * 2).clamp(BUSY_FIRST, BUSY_MOST);
            entry.next = now + entry.pause;
        }
    }

    /// Whether it is still to be looked at.
    pub(super) fn has(&self, pid: Pid) -> bool {
        self.0.contains_key(&pid)
    }

    /// How many processes are waited for.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The processes whose time has come, but those that are worked on.
    pub(super) fn due(&self, now: Instant, except: &BTreeSet<Pid>) -> Vec<Pid> {
        let entries = self.0.iter().filter(|(_, entry)| entry.next <= now);
        let pids = entries.map(|(&pid, _)| pid);
        pids.filter(|pid| !except.contains(pid)).collect()
    }

    /// How long until the next one's time comes.
    pub(super) fn wait(&self, now: Instant, except: &BTreeSet<Pid>) -> Option<Duration> {
        let others = self.0.iter().filter(|(pid, _)| !except.contains(pid));
        let next = others.map(|(_, entry)| entry.next).min()?;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_and_end() {
        let (pid, start) = (Pid(7), Instant::now());
        let (mut schedule, none) = (Schedule::default(), BTreeSet::new());
        schedule.trigger(pid, Cause::Exec, start);
        let (mut now, mut looks) = (start, 0);
        loop {
            now += schedule.wait(now, &none).expect("it is waited for");
            assert_eq!(schedule.due(now, &none), [pid]);
            looks += 1;
            if !schedule.not_ready(pid, now) {
                break;
            }
        }
        assert!((20..40).contains(&looks), "{looks}");
        assert_eq!(schedule.wait(now, &none), None);
    }

    #[test]
    fn busy_processes_are_tried_for_ever() {
        let (pid, mut now) = (Pid(7), Instant::now());
        let (mut schedule, none) = (Schedule::default(), BTreeSet::new());
        schedule.trigger(pid, Cause::Exec, now);
        for _ in 0..20 {
            schedule.busy(pid, now);
            now += schedule.wait(now, &none).expect("it is waited for");
        }
        schedule.busy(pid, now);
        assert_eq!(schedule.wait(now, &none), Some(BUSY_MOST));
        // Another program in the same process is another matter.
        schedule.trigger(pid, Cause::Exec, now);
        assert_eq!(schedule.wait(now, &none), Some(FIRST));
    }
}
