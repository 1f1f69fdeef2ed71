//! Changes that a switch makes, written down so that they can be taken back.

use super::Services;
use crate::module::mapper::EntryId;
use crate::sockets::Source;
use crate::timers::Timer;

/// A change that a failed switch takes back.
#[derive(Debug)]
pub(super) enum Undo {
    Timer(u64, Option<Timer>),
    Opened(u64),
    Closed(u64, Source),
    Leaves(u64),
    Signal(u32, Option<EntryId>),
}

impl Services {
    pub(super) fn note(&self, undo: impl FnOnce() -> Undo) {
        if let Some(journal) = &mut *self.journal.borrow_mut() {
            journal.push(undo());
        }
    }

    /// Begins to write changes down.
    pub(crate) fn begin(&self) {
        *self.journal.borrow_mut() = Some(Vec::new());
    }

    /// Lets the changes stand.
    pub(crate) fn commit(&self) {
        *self.journal.borrow_mut() = None;
    }

    /// Takes the changes back, last first.
    pub(crate) fn undo(&self) {
        let journal = self.journal.take().unwrap_or_default();
        for undo in journal.into_iter().rev() {
            self.take_back(undo);
        }
    }

    fn take_back(&self, undo: Undo) {
        match undo {
            Undo::Timer(key, timer) => {
                // There was room for it before.
                let _ = self.timers.borrow_mut().set(key, timer);
            }
            Undo::Opened(id) => {
                // It may have been closed again, which was taken back first.
                let _ = self.close(id);
            }
            Undo::Closed(id, source) => {
                if let Err(error) = self.register(id, &source) {
                    self.complain("watch a socket again", &error);
                }
                self.sockets.borrow_mut().insert(id, source);
            }
            Undo::Leaves(id) => {
                if let Some(source) = self.sockets.borrow_mut().get_mut(&id) {
                    (source.leaves, source.is_ready) = (false, true);
                }
            }
            Undo::Signal(number, before) => {
                let mut signals = self.signals.borrow_mut();
                match before {
                    Some(entry) => signals.insert(number, entry),
                    None => signals.remove(&number),
                };
                drop(signals);
                if let Err(error) = self.watch_signals() {
                    self.complain("watch signals again", &error);
                }
            }
        }
    }
}
