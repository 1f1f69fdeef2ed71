//! What `show` tells.

use super::Component;
use crate::control::protocol::{Shown, ShownQueue, ShownSocket};
use crate::module::mapper::Symbols;
use crate::sys::arena::CHUNK;

impl Component {
    /// The component as it is.
    pub(super) fn shown(&self, symbols: bool) -> Shown {
        let file = &self.running.file;
        Shown {
            name: self.settings.name.clone(),
            pid: std::process::id(),
            version: file.about.version.clone(),
            module: file.origin.display().to_string(),
            digest: file.digest.clone(),
            signer: file.signer.map(|signer| signer.to_string()),
            schema: format!("{:016x}", file.about.schema),
            previous: self.previous_version(),
            on_probation: self.probation.is_some(),
            queue: ShownQueue {
                waiting: self.queue.len(),
                high: self.queue.high(),
                bound: self.queue.bound(),
                total: self.queue.places(),
            },
            handled: self.handled,
            failed: self.failed,
            sockets: self.shown_sockets(),
            timers: self.services.timers.borrow().len(),
            data_bytes: self.services.arena.used(),
            memory_bytes: (self.services.arena.chunks() * CHUNK) as u64,
            backing: self.services.arena.backing().name(),
            leftovers: self.leftovers.iter().map(ToString::to_string).collect(),
            restarts: self.settings.restarts,
            symbols: symbols.then(|| self.symbols()),
        }
    }

    fn previous_version(&self) -> Option<String> {
        let beside = self.probation.as_ref();
        let beside = beside.map(|probation| &probation.old.file);
        let file = beside.or(self.previous.as_ref());
        file.map(|file| file.about.version.clone())
    }

    fn symbols(&self) -> Symbols {
        let library = self.table.symbols();
        Symbols::of(&self.running.loaded, library, self.data.address())
    }

    fn shown_sockets(&self) -> Vec<ShownSocket> {
        let (sockets, names) = (self.services.sockets.borrow(), self.services.names.borrow());
        let policy = |drops| if drops { "drop" } else { "back-pressure" };
        let shown = sockets.values().map(|source| ShownSocket {
            name: source.name.clone(),
            entry: names.name(source.entry).to_owned(),
            policy: policy(source.drops).to_owned(),
            traffic: source.traffic,
        });
        shown.collect()
    }
}
