//! Data that lies beside other data in one section.
//!
//! Code may hold the address of `table - 4` to index from 1; without a symbol in the relocation that is a place in
//! whatever lies before `table`. It makes no difference as long as both lie where they lay in the old object. Beside
//! constants without a name it makes none either: they belong to the function that takes their address, and what begins
//! at the place in question is the named one.

use crate::object::{AtomId, AtomKind, Link, Object};
use crate::program::{NewAtom, Program};

/// Whether the atom and what lies before and after it are at the same distances in the old object, or what lies there is
/// nothing that code of `from` would reach from the atom.
pub(super) fn are_firm(program: &Program<'_>, from: NewAtom, new: NewAtom) -> bool {
    let unit = &program.units[new.unit];
    let (old_object, new_object) = (&unit.pair.old, &unit.pair.new);
    let Some(old) = unit.correlation.old_of(new.atom) else {
        return false;
    };
    let keeps_distance = |neighbour: AtomId| {
        let Some(before) = unit.correlation.old_of(neighbour) else {
            return false;
        };
        old_object.atom(before).section() == old_object.atom(old).section()
            && distance(old_object, before, old) == distance(new_object, neighbour, new.atom)
    };
    let uses = |neighbour: AtomId| from.unit == new.unit && uses(new_object, from.atom, neighbour);
    let (before, after) = new_object.neighbours(new.atom);
    before.is_none_or(|one| keeps_distance(one) || has_no_end(new_object, one) && !uses(one))
        && after.is_none_or(|one| keeps_distance(one) || new_object.atom(one).kind.is_anonymous())
}

/// The named data that a link may mean although it leads to what lies right before it, a constant without a name: the place is
/// that of `table - 8` as well. A text is one of its own.
pub(crate) fn may_mean_next(object: &Object<'_>, link: &Link) -> Option<AtomId> {
    let target = object.atom(link.target);
    if !link.is_loose() || link.at() < 0 || target.kind != AtomKind::Literal || target.is_text() {
        return None;
    }
    let next = object.neighbours(link.target).1?;
    let atom = object.atom(next);
    let touches = target.start + target.size == atom.start;
    (touches && !atom.kind.is_anonymous() && !atom.is_private()).then_some(next)
}

/// Whether nobody but one function could point to the atom's end. Constants without a name belong to the function that uses
/// them; nobody runs through a jump table.
fn has_no_end(object: &Object<'_>, id: AtomId) -> bool {
    object.atom(id).kind.is_anonymous()
}

/// Whether the function that an atom is a piece of refers to another atom; of a jump table, by more than its start.
fn uses(object: &Object<'_>, from: AtomId, other: AtomId) -> bool {
    if object.atom(other).kind == AtomKind::JumpTable {
        return false;
    }
    let refers = |piece: AtomId| {
        let mut links = object.atom(piece).references();
        links.any(|link| link.target == other)
    };
    match object.owner(from) {
        Some(owner) => object.function(owner).pieces().any(refers),
        None => refers(from),
    }
}

fn distance(object: &Object<'_>, from: AtomId, to: AtomId) -> u64 {
    object.atom(to).start.wrapping_sub(object.atom(from).start)
}
