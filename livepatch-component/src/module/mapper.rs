//! The symbol mapper: what a component and its module know of each other by name.
//!
//! Sockets, timers, signals and queued events know their call-back by its name, as a number. So they mean the same in the next
//! version, and it is known before the old one is held whether that has all that is in use.

use crate::sys::module::Loaded;
use serde::{Deserialize, Serialize};

/// The name of a call-back, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId(usize);

impl EntryId {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// All names of call-backs that a component has seen.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// The number of a name; new names get new ones.
    pub(crate) fn number(&mut self, name: &str) -> EntryId {
        if let Some(known) = self.known(name) {
            return known;
        }
        self.0.push(name.to_owned());
        EntryId(self.0.len() - 1)
    }

    /// The number of a name that was seen before.
    pub(crate) fn known(&self, name: &str) -> Option<EntryId> {
        self.0.iter().position(|known| known == name).map(EntryId)
    }

    pub(crate) fn name(&self, entry: EntryId) -> &str {
        self.0.get(entry.index()).map_or("?", String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A line of one of the mapper's tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Its name.
    pub name: String,
    /// Where it is, in hexadecimal.
    pub address: String,
}

impl Symbol {
    pub(crate) fn new(name: &str, address: usize) -> Self {
        Self {
            name: name.to_owned(),
            address: format!("{address:#x}"),
        }
    }
}

/// The mapper's three tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// The module's call-backs for events.
    pub callbacks: Vec<Symbol>,
    /// What the main task offers to the module.
    pub library: Vec<Symbol>,
    /// What the main task keeps for the module.
    pub data: Vec<Symbol>,
}

impl Symbols {
    pub(crate) fn of(loaded: &Loaded, library: Vec<Symbol>, data: usize) -> Self {
        let callbacks = loaded.entries();
        Self {
            callbacks: callbacks
                .map(|(name, address)| Symbol::new(name, address))
                .collect(),
            library,
            data: vec![
                Symbol::new("livepatch_module", loaded.symbol()),
                Symbol::new(&format!("state {:016x}", loaded.schema()), data),
            ],
        }
    }
}
