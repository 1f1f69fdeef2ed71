//! From the system into the queue: sockets, timers, signals.

use super::Component;
use crate::clock;
use crate::module::mapper::EntryId;
use crate::queue::{EventKind, Queued};
use crate::sockets::{Arrival, Sender};
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
        for _ in 0..TURN {
            let Some((arrival, entry)) = self.receive(id) else {
                return;
            };
            let event = match arrival {
                Arrival::Message(length, sender) => self.message(length, sender, entry, id),
                Arrival::End => Queued::new(EventKind::Ended, entry, id),
                Arrival::Connection(stream) => {
                    let from = stream.peer();
                    match self.services.adopt(id, stream) {
                        Ok(connection) => Queued {
                            from,
                            value: id,
                            ..Queued::new(EventKind::Connected, entry, connection)
                        },
                        Err(error) => {
                            self.services.complain("take a connection", &error);
                            continue;
                        }
                    }
                }
            };
            self.queue.push(event, clock::now());
        }
    }

    /// What came through a socket, if there is room for it; what its policy has dropped is counted.
    fn receive(&mut self, id: u64) -> Option<(Arrival, EntryId)> {
        let mut sockets = self.services.sockets.borrow_mut();
        let source = sockets.get_mut(&id)?;
        for _ in 0..TURN {
            let has_room = self.queue.room() > 0;
            if !has_room && !source.drops {
                return None;
            }
            match source.receive(&mut self.room) {
                Ok(Some(_)) if !has_room => source.traffic.dropped += 1,
                Ok(Some(arrival)) => {
                    source.traffic.received += 1;
                    return Some((arrival, source.entry));
                }
                Ok(None) => return None,
                // Errors of earlier datagrams (ICMP) come this way and are over once they are told.
                Err(error) => {
                    self.services.complain("receive", &error);
                    if !source.is_ready {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn message(&mut self, length: usize, sender: Sender, entry: EntryId, id: u64) -> Queued {
        let mut data = self.queue.buffer();
        data.extend_from_slice(&self.room.data[..length]);
        Queued {
            from: sender.address,
            path: sender.path,
            data,
            ..Queued::new(EventKind::Message, entry, id)
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
