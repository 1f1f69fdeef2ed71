//! Timers by key, with absolute deadlines.

use crate::module::mapper::EntryId;
use std::collections::{BTreeMap, BTreeSet};

/// A component has no more timers.
const TIMERS_MAX: usize = 1 << 20;

/// When a timer goes off, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(crate) deadline_ns: u64,
    pub(crate) entry: EntryId,
}

/// All timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_key: BTreeMap<u64, Timer>,
    by_deadline: BTreeSet<(u64, u64)>,
}

impl Timers {
    /// Sets or clears the timer of a key; returns what was set. `None` when there are too many.
    pub(crate) fn set(&mut self, key: u64, timer: Option<Timer>) -> Option<Option<Timer>> {
        let is_new = timer.is_some() && !self.by_key.contains_key(&key);
        if is_new && self.by_key.len() >= TIMERS_MAX {
            return None;
        }
        let before = match timer {
            Some(timer) => self.by_key.insert(key, timer),
            None => self.by_key.remove(&key),
        };
        if let Some(before) = before {
            self.by_deadline.remove(&(before.deadline_ns, key));
        }
        if let Some(timer) = timer {
            self.by_deadline.insert((timer.deadline_ns, key));
        }
        Some(before)
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the first timer that is due.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<(u64, Timer)> {
        let (deadline, key) = *self.by_deadline.first()?;
        if deadline > now {
            return None;
        }
        self.by_deadline.pop_first();
        Some((key, self.by_key.remove(&key)?))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryId> {
        self.by_key.values().map(|timer| timer.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::mapper::Names;

    #[test]
    fn timers_go_off_once_in_the_order_of_their_deadlines() {
        let entry = Names::default().number("tick");
        let at = |deadline_ns| Some(Timer { deadline_ns, entry });
        let mut timers = Timers::default();
        assert_eq!(timers.set(1, at(30)), Some(None));
        assert_eq!(timers.set(2, at(10)), Some(None));
        assert_eq!(timers.set(1, at(20)), Some(at(30)), "it moves");
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.take_due(9), None);
        let due = |timers: &mut Timers| timers.take_due(25).map(|(key, _)| key);
        assert_eq!(due(&mut timers), Some(2));
        assert_eq!(due(&mut timers), Some(1));
        assert_eq!(due(&mut timers), None);
        timers.set(3, at(5));
        assert_eq!(timers.set(3, None), Some(at(5)), "it is cancelled");
        assert_eq!(timers.next(), None);
    }
}
