//! Data that lies beside other data in one section.
//!
//! Code may hold the address of `table - 4` to index from 1; without a symbol in the relocation that is a place in
//! whatever lies before `table`. It makes no difference as long as both lie where they lay in the old object.

use crate::object::{AtomId, Object};
use crate::program::{NewAtom, Program};

/// Whether the atom and what lies before and after it are at the same distances in the old object.
pub(super) fn are_firm(program: &Program<'_>, new: NewAtom) -> bool {
    let unit = &program.units[new.unit];
    let (old_object, new_object) = (&unit.pair.old, &unit.pair.new);
    let Some(old) = unit.correlation.old_of(new.atom) else {
        return false;
    };
    let keeps_distance = |neighbour: Option<AtomId>| {
        let Some(neighbour) = neighbour else {
            return true;
        };
        let Some(before) = unit.correlation.old_of(neighbour) else {
            return false;
        };
        old_object.atom(before).section == old_object.atom(old).section
            && distance(old_object, before, old) == distance(new_object, neighbour, new.atom)
    };
    let (before, after) = new_object.neighbours(new.atom);
    keeps_distance(before) && keeps_distance(after)
}

fn distance(object: &Object<'_>, from: AtomId, to: AtomId) -> u64 {
    object.atom(to).start.wrapping_sub(object.atom(from).start)
}
