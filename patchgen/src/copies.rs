//! Weak definitions of which several objects have one each: inline functions and templates of C++ (COMDAT).
//!
//! The linker takes any of them. That they mean the same is a rule of the language (C++17, 6.2); which one runs is seen when
//! the old code is matched with it.

use crate::object::{Atom, AtomId};
use crate::program::{NewAtom, Unit};
use std::collections::HashMap;

/// The definition that stands for the others, by name.
#[derive(Debug)]
pub(crate) struct Copies<'d>(HashMap<&'d str, (Rank, NewAtom)>);

/// Changed ones go first, then those that are not new: a patch shall replace what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Changed,
    Known,
    New,
}

impl<'d> Copies<'d> {
    /// Collects the weak definitions of the new objects.
    pub(crate) fn of(units: &[Unit<'d>]) -> Self {
        let mut copies = Self(HashMap::new());
        for (index, unit) in units.iter().enumerate() {
            for (id, atom) in unit.pair.new.enumerate() {
                if let Some(name) = name(atom) {
                    let (rank, new) = (
                        rank(unit, id),
                        NewAtom {
                            unit: index,
                            atom: id,
                        },
                    );
                    let entry = copies.0.entry(name).or_insert((rank, new));
                    if rank < entry.0 {
                        *entry = (rank, new);
                    }
                }
            }
        }
        copies
    }

    /// The definition that stands for this one: itself unless it is weak.
    pub(crate) fn representative(&self, units: &[Unit<'d>], new: NewAtom) -> NewAtom {
        let atom = |new: NewAtom| units[new.unit].pair.new.atom(new.atom);
        let other = name(atom(new)).and_then(|name| self.0.get(name));
        let other = other.map(|(_, other)| *other);
        other
            .filter(|other| atom(*other).kind == atom(new).kind)
            .unwrap_or(new)
    }
}

/// The name under which the linker finds a weak definition; of several the same in every object.
fn name<'d>(atom: &Atom<'d>) -> Option<&'d str> {
    let defined = atom.weak && atom.section() != 0;
    atom.globals().min().filter(|_| defined)
}

fn rank(unit: &Unit<'_>, id: AtomId) -> Rank {
    let owner = unit.pair.new.owner(id);
    let changed = owner.is_some_and(|function| unit.comparison.change(function).is_some());
    if changed || unit.comparison.is_different(id) {
        Rank::Changed
    } else if unit.correlation.old_of(id).is_some() {
        Rank::Known
    } else {
        Rank::New
    }
}
