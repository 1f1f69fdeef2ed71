//! Names of the bundle's symbols: natural where they are unique.
//!
//! | name            | is                                                              |
//! |-----------------|-----------------------------------------------------------------|
//! | `parse`         | new code or data; else what runs under this name                |
//! | `parse@running` | the running function that `parse` replaces                      |
//! | `parse@old`     | a copy of old code or read-only data                            |
//! | `count@reqs.c`  | one of several local symbols, with its source or object file    |
//! | `string@3`      | data without a name                                             |

use super::Patch;
use super::table::Key;
use crate::object::{Atom, AtomKind, FunctionId, Object};
use std::collections::HashSet;

/// Gives out names, each once.
pub(super) struct Namer<'p, 'd> {
    patch: &'p Patch<'p, 'd>,
    taken: HashSet<String>,
    nameless: usize,
    /// Old functions that are replaced: unit and function.
    replaced: HashSet<(usize, FunctionId)>,
}

impl<'p, 'd> Namer<'p, 'd> {
    pub(super) fn new(patch: &'p Patch<'p, 'd>) -> Self {
        let replaced = patch.closure.replaced.iter().filter_map(|one| {
            let object = &patch.program.units[one.old.unit].pair.old;
            Some((one.old.unit, object.owner(one.old.atom)?))
        });
        Self {
            patch,
            taken: HashSet::new(),
            nameless: 0,
            replaced: replaced.collect(),
        }
    }

    /// The order in which names are given out.
    pub(super) fn rank(&self, key: Key<'d>) -> (u8, Key<'d>) {
        let rank = match key {
            Key::New(_) => 0,
            Key::External(_) => 1,
            Key::Running(_) => 2,
            Key::Old(_) => 3,
        };
        (rank, key)
    }

    /// A name that no other symbol has.
    pub(super) fn name(&mut self, key: Key<'d>) -> String {
        let (base, origin) = self.base(key);
        let suffix = self.suffix(key);
        let qualified = format!("{base}@{origin}");
        let mut candidate = [format!("{base}{suffix}"), format!("{qualified}{suffix}")]
            .into_iter()
            .find(|name| !self.taken.contains(name));
        let mut count = 2;
        while candidate.is_none() {
            let name = format!("{qualified}.{count}{suffix}");
            candidate = Some(name).filter(|name| !self.taken.contains(name));
            count += 1;
        }
        let name = candidate.expect("the loop ends with a name");
        self.taken.insert(name.clone());
        name
    }

    fn suffix(&self, key: Key<'d>) -> &'static str {
        match key {
            Key::Old(_) => "@old",
            Key::Running(atom) => {
                let object = &self.patch.program.units[atom.unit].pair.old;
                let owner = object.owner(atom.atom);
                let replaced =
                    owner.is_some_and(|owner| self.replaced.contains(&(atom.unit, owner)));
                if replaced { "@running" } else { "" }
            }
            _ => "",
        }
    }

    /// The natural name, and the file that tells it from others.
    fn base(&mut self, key: Key<'d>) -> (String, String) {
        let (unit, id, object): (_, _, fn(&'p Patch<'p, 'd>, usize) -> &'p Object<'d>) = match key {
            Key::External(name) => return (name.to_owned(), "external".to_owned()),
            Key::New(atom) => (atom.unit, atom.atom, |p, unit| {
                &p.program.units[unit].pair.new
            }),
            Key::Old(atom) | Key::Running(atom) => (atom.unit, atom.atom, |p, unit| {
                &p.program.units[unit].pair.old
            }),
        };
        let object = object(self.patch, unit);
        let atom = object.atom(id);
        let file = &self.patch.program.units[unit].pair.name;
        let file = file.rsplit('/').next().unwrap_or(file);
        let origin = object.source(atom).unwrap_or(file).to_owned();
        if !atom.name.is_empty() {
            return (atom.name.to_owned(), origin);
        }
        if !atom.kind.is_anonymous() {
            return (object.label(id), origin);
        }
        self.nameless += 1;
        (format!("{}@{}", noun(atom), self.nameless), origin)
    }
}

fn noun(atom: &Atom<'_>) -> &'static str {
    match atom.kind {
        AtomKind::String => "string",
        AtomKind::JumpTable => "switch",
        AtomKind::Constant => "constant",
        AtomKind::ExceptionTable => "exceptions",
        _ => "literal",
    }
}
