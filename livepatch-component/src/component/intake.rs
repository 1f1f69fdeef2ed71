//! From the system into the queue: sockets, timers, signals.

use super::Component;
use crate::clock;
use crate::queue::{EventKind, Queued};
use crate::sys::signals::Came;

/// Messages that are taken from one socket before the next one is looked at.
const TURN: usize = 64;

impl Component {
    /// Queues what came, as far as there is room; the rest stays where it is.
    pub(super) fn intake(&mut self) {
        self.take_timers();
        let ready: Vec<u64> = {
            let sockets = self.services.sockets.borrow();
            let ready = sockets.iter().filter(|(_, source)| source.is_ready);
            ready.map(|(id, _)| *id).collect()
        };
        for id in ready {
            self.take_messages(id);
        }
    }

    fn take_timers(&mut self) {
        let now = clock::now();
        while self.queue.room() > 0 {
            let due = self.services.timers.borrow_mut().take_due(now);
            let Some((key, timer)) = due else {
                return;
            };
            let event = Queued {
                value: timer.deadline_ns,
                ..Queued::new(EventKind::Timer, timer.entry, key)
            };
            self.queue.push(event, now);
        }
    }

    fn take_messages(&mut self, id: u64) {
        let mut sockets = self.services.sockets.borrow_mut();
        let Some(source) = sockets.get_mut(&id) else {
            return;
        };
        for _ in 0..TURN {
            let has_room = self.queue.room() > 0;
            if !has_room && !source.drops {
                return;
            }
            let (length, sender) = match source.receive(&mut self.room) {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(error) => {
                    // Errors of earlier datagrams (ICMP) come this way and are over once they are told.
                    self.services.complain("receive", &error);
                    continue;
                }
            };
            if !has_room {
                source.traffic.dropped += 1;
                continue;
            }
            source.traffic.received += 1;
            let mut data = self.queue.buffer();
            data.extend_from_slice(&self.room.data[..length]);
            let event = Queued {
                from: sender.address,
                path: sender.path,
                data,
                ..Queued::new(EventKind::Message, source.entry, id)
            };
            self.queue.push(event, clock::now());
        }
    }

    pub(super) fn queue_signal(&mut self, came: Came) {
        let entry = self.services.signals.borrow().get(&came.number).copied();
        if let Some(entry) = entry {
            let event = Queued {
                value: came.value,
                ..Queued::new(EventKind::Signal, entry, came.number.into())
            };
            self.queue.push(event, clock::now());
        }
    }
}
