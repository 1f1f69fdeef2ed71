//! The queue of events: one for all kinds, first in, first out, bounded.

use crate::module::mapper::EntryId;
use livepatch_module::abi;
use std::collections::VecDeque;

/// Buffers of handled messages that are kept for new ones.
const SPARE_MAX: usize = 256;

/// What an event is, as modules are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum EventKind {
    Message = abi::MESSAGE,
    Timer = abi::TIMER,
    Signal = abi::SIGNAL,
    Command = abi::COMMAND,
    Connected = abi::CONNECTED,
    Ended = abi::ENDED,
}

/// An event that waits.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) kind: EventKind,
    /// The call-back it is for.
    pub(crate) entry: EntryId,
    pub(crate) source: u64,
    /// From 1, in the order of arrival.
    pub(crate) place: u64,
    pub(crate) time_ns: u64,
    pub(crate) value: u64,
    pub(crate) from: abi::Address,
    pub(crate) path: Option<Box<str>>,
    pub(crate) data: Vec<u8>,
}

impl Queued {
    /// An event with nothing but its kind, its call-back and its source.
    pub(crate) fn new(kind: EventKind, entry: EntryId, source: u64) -> Self {
        Self {
            kind,
            entry,
            source,
            place: 0,
            time_ns: 0,
            value: 0,
            from: abi::Address::default(),
            path: None,
            data: Vec::new(),
        }
    }
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    events: VecDeque<Queued>,
    bound: usize,
    high: usize,
    places: u64,
    spare: Vec<Vec<u8>>,
}

impl Queue {
    /// A queue of at most `bound` events.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            events: VecDeque::new(),
            bound: bound.max(1),
            high: 0,
            places: 0,
            spare: Vec::new(),
        }
    }

    /// How many more events it takes.
    pub(crate) fn room(&self) -> usize {
        self.bound.saturating_sub(self.events.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// The most that ever waited.
    pub(crate) fn high(&self) -> usize {
        self.high
    }

    /// How many events there ever were.
    pub(crate) fn places(&self) -> u64 {
        self.places
    }

    /// Adds an event at the end, which the caller saw that there is room for.
    pub(crate) fn push(&mut self, mut event: Queued, now: u64) {
        self.places += 1;
        event.place = self.places;
        event.time_ns = now;
        self.events.push_back(event);
        self.high = self.high.max(self.events.len());
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        self.events.pop_front()
    }

    /// The call-backs of all that waits.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryId> {
        self.events.iter().map(|event| event.entry)
    }

    /// An empty buffer for a message.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes the buffer of a handled message back.
    pub(crate) fn done(&mut self, mut data: Vec<u8>) {
        if data.capacity() > 0 && self.spare.len() < SPARE_MAX {
            data.clear();
            self.spare.push(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::mapper::Names;

    #[test]
    fn events_keep_their_order_across_kinds() {
        let entry = Names::default().number("any");
        let mut queue = Queue::new(3);
        let kinds = [EventKind::Timer, EventKind::Message, EventKind::Signal];
        for kind in kinds {
            queue.push(Queued::new(kind, entry, 0), 5);
        }
        assert_eq!((queue.room(), queue.high()), (0, 3));
        for (index, kind) in kinds.into_iter().enumerate() {
            let event = queue.pop().expect("three were added");
            assert_eq!((event.kind, event.place), (kind, index as u64 + 1));
        }
        assert_eq!(queue.high(), 3);
    }
}
