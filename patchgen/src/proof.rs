//! What proves that the running code is the old code: old functions with the read-only data they use.
//!
//! Their relocations refer to the running program by the same symbols as the new code's, so that matching them
//! tells where those are. Places inside a function, and its own pieces, are referred to by its copy: the linked
//! function may be laid out a little differently (short against near jumps).

use crate::object::{AtomId, AtomKind, FunctionId, Link};
use crate::program::{OldAtom, Program};
use std::collections::{BTreeMap, BTreeSet};

/// What a field of old code or data leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin<'d> {
    /// Something that travels as proof.
    Copy(OldAtom),
    /// Something of the old objects, where it runs.
    Running(OldAtom),
    /// Something that no given object defines.
    External(&'d str),
}

/// Old functions and constants.
#[derive(Debug, Default)]
pub struct Proof<'d> {
    /// All that travels.
    pub copies: BTreeSet<OldAtom>,
    /// By copy: where each of its links leads.
    pub origins: BTreeMap<OldAtom, Vec<Origin<'d>>>,
}

impl<'d> Proof<'d> {
    /// Adds a function with everything that its proof needs.
    pub fn add(&mut self, program: &Program<'d>, unit: usize, function: FunctionId) {
        let pieces = program.units[unit].pair.old.function(function).pieces();
        let mut queue: Vec<OldAtom> = pieces.map(|atom| OldAtom { unit, atom }).collect();
        while let Some(from) = queue.pop() {
            if !self.copies.insert(from) {
                continue;
            }
            let links = program.units[unit].pair.old.atom(from.atom).references();
            let origins: Vec<_> = links
                .map(|link| origin(program, from, function, link))
                .collect();
            queue.extend(origins.iter().filter_map(|origin| match origin {
                Origin::Copy(atom) => Some(*atom),
                _ => None,
            }));
            self.origins.insert(from, origins);
        }
    }

    /// All that it leads to.
    pub fn all(&self) -> impl Iterator<Item = Origin<'d>> {
        self.origins.values().flatten().copied()
    }
}

/// Where a link of an old function, or of a constant that it uses, leads.
pub fn origin<'d>(
    program: &Program<'d>,
    from: OldAtom,
    function: FunctionId,
    link: &Link,
) -> Origin<'d> {
    let unit = &program.units[from.unit];
    let object = &unit.pair.old;
    let target = object.atom(link.target);
    let atom = OldAtom {
        unit: from.unit,
        atom: link.target,
    };
    match target.kind {
        AtomKind::Undefined | AtomKind::Common | AtomKind::Absolute => program
            .old_global(target.name)
            .map_or(Origin::External(target.name), Origin::Running),
        AtomKind::Function => {
            let own = object.owner(link.target) == Some(function);
            let entry = object.function(function).entry();
            // A table of functions holds the function's own address as anybody's.
            let by_address =
                link.target == entry && link.at() == 0 && !object.atom(from.atom).kind.is_code();
            if own && !by_address {
                Origin::Copy(atom)
            } else {
                Origin::Running(atom)
            }
        }
        AtomKind::Data | AtomKind::Tls | AtomKind::Code => Origin::Running(atom),
        AtomKind::ReadOnly if !target.is_private() && stays(program, from.unit, link.target) => {
            Origin::Running(atom)
        }
        _ => Origin::Copy(atom),
    }
}

/// Whether a named constant is the same in the new object.
fn stays(program: &Program<'_>, unit: usize, old: AtomId) -> bool {
    let unit = &program.units[unit];
    let new = unit.correlation.new_of(old);
    new.is_some_and(|new| !unit.comparison.is_different(new))
}
