//! Strings of the running program that new code uses, too.
//!
//! A program may keep the address of a string and compare it (`state = "idle"`, `state == "idle"`): new code must then use
//! the program's own. Where that is, its old code tells: the copy of a string that proves an old function is compared
//! with what the running function leads to.

use crate::anchors::{self, Anchor};
use crate::object::{Atom, AtomId, AtomKind, FunctionId, Object};
use crate::pair::Pair;
use crate::program::{OldAtom, Program};
use crate::proof::{Origin, origin};
use std::collections::{BTreeMap, BTreeSet};

/// Alignment and contents of a string.
type Key<'d> = (u64, &'d [u8]);

/// The strings of an old object to which code leads that can be proven, with that code.
#[derive(Debug, Default)]
pub(crate) struct Texts<'d>(BTreeMap<Key<'d>, Vec<(AtomId, FunctionId)>>);

impl<'d> Texts<'d> {
    /// Those of a unit.
    pub(crate) fn of(program: &Program<'d>, unit: usize) -> Self {
        let mut found = Self::default();
        let object = &program.units[unit].pair.old;
        if object.is_kernel {
            return found;
        }
        for (function, _) in object.enumerate_functions() {
            let anchor = Anchor { unit, function };
            if anchors::is_sound(program, anchor) {
                for text in told_by(program, anchor) {
                    let users = found.0.entry(key(object, text.atom)).or_default();
                    users.push((text.atom, function));
                }
            }
        }
        found
    }

    /// The old string that is the new `text`; of several the one that the old version of a function uses.
    pub(crate) fn running(
        &self,
        pair: &Pair<'d>,
        text: AtomId,
        user: Option<FunctionId>,
    ) -> Option<AtomId> {
        if !is_whole(pair.new.atom(text)) {
            return None;
        }
        let same = self.0.get(&key(&pair.new, text))?;
        let own = same.iter().find(|(_, function)| Some(*function) == user);
        own.or(same.first()).map(|(text, _)| *text)
    }

    /// The functions that tell of a string of the old object.
    pub(crate) fn users(&self, old: &Object<'d>, text: AtomId) -> impl Iterator<Item = FunctionId> {
        let same = self.0.get(&key(old, text)).into_iter().flatten();
        let users = same.filter(move |(other, _)| *other == text);
        users.map(|(_, function)| *function)
    }
}

/// Whether it is a string from its first character on.
fn is_whole(atom: &Atom<'_>) -> bool {
    atom.is_text() && !atom.continues
}

/// Strings with other alignments are others to the linker, which merges equal ones.
fn key<'d>(object: &Object<'d>, text: AtomId) -> Key<'d> {
    let atom = object.atom(text);
    let align = match atom.kind {
        AtomKind::String => object.align(text),
        _ => 1,
    };
    (align, atom.bytes)
}

/// The strings to which a function leads, itself or by tables of its own.
pub(crate) fn told_by(program: &Program<'_>, anchor: Anchor) -> BTreeSet<OldAtom> {
    let object = &program.units[anchor.unit].pair.old;
    let function = object.function(anchor.function);
    // The linker may have taken another object's copy of the function, with strings of its own where it merges none.
    let is_shared = object.atom(function.entry()).weak;
    let mut queue: Vec<AtomId> = function.pieces().collect();
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(from) = queue.pop() {
        if !seen.insert(from) {
            continue;
        }
        let old = |atom| OldAtom {
            unit: anchor.unit,
            atom,
        };
        for link in object.atom(from).references() {
            let Origin::Copy(to) = origin(program, old(from), anchor.function, link) else {
                continue;
            };
            let atom = object.atom(to.atom);
            if is_whole(atom) && (atom.kind == AtomKind::String || !is_shared) {
                found.insert(to);
            }
            queue.push(to.atom);
        }
    }
    found
}
