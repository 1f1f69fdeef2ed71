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
    let (before, after) = neighbours(new_object, new.atom);
    keeps_distance(before) && keeps_distance(after)
}

fn distance(object: &Object<'_>, from: AtomId, to: AtomId) -> u64 {
    object.atom(to).start.wrapping_sub(object.atom(from).start)
}

/// The atoms right before and right after one in its section.
fn neighbours(object: &Object<'_>, id: AtomId) -> (Option<AtomId>, Option<AtomId>) {
    let atom = object.atom(id);
    let beside = || {
        object
            .enumerate()
            .filter(|(_, other)| other.section == atom.section)
    };
    let before = beside().filter(|(_, other)| other.start < atom.start);
    let after = beside().filter(|(_, other)| other.start > atom.start);
    let before = before
        .max_by_key(|(_, other)| other.start)
        .map(|(id, _)| id);
    (
        before,
        after.min_by_key(|(_, other)| other.start).map(|(id, _)| id),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Atom, AtomKind};

    #[test]
    fn neighbours_are_the_nearest_of_the_section() {
        let mut object = Object::default();
        for (section, start) in [(1, 16), (1, 0), (2, 8), (1, 8)] {
            let place = start..start + 4;
            object
                .atoms
                .push(Atom::new(AtomKind::Data, section, place, &[]));
        }
        let found = neighbours(&object, AtomId(3));
        assert_eq!(found, (Some(AtomId(1)), Some(AtomId(0))));
        assert_eq!(neighbours(&object, AtomId(2)), (None, None));
    }
}
