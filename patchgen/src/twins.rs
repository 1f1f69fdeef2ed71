//! Unchanged functions that are equal to replaced ones: a linker that folds such functions (`--icf` of gold and lld) keeps one
//! for all. They travel as anchors, and where one is found at the same address, they were folded.

use crate::anchors::{Anchor, is_sound};
use crate::closure::Closure;
use crate::object::{Atom, AtomKind, Link, Object};
use crate::program::{OldAtom, Program};
use livepatch_bundle::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// Of many functions that are equal to one, so many are asked: a linker that folds folds them all.
const ASKED: usize = 16;

/// The twins of all replaced functions.
pub(crate) fn of(program: &Program<'_>, closure: &Closure<'_>) -> Vec<Anchor> {
    let replaced: BTreeSet<OldAtom> = closure.replaced.iter().map(|one| one.old).collect();
    let mut found = Vec::new();
    let by_size = by_size(program, &replaced);
    for own in &replaced {
        let same_size = by_size.get(&atom(program, *own).size).into_iter().flatten();
        let twins = same_size.filter(|(other, _)| {
            !is_copy(program, *own, *other) && Equal::new(program).atoms(*own, *other)
        });
        found.extend(twins.take(ASKED).map(|(_, anchor)| *anchor));
    }
    found
}

/// Functions that are not replaced, of the sizes of those that are.
fn by_size(
    program: &Program<'_>,
    replaced: &BTreeSet<OldAtom>,
) -> BTreeMap<u64, Vec<(OldAtom, Anchor)>> {
    let mut found: BTreeMap<u64, Vec<(OldAtom, Anchor)>> = replaced
        .iter()
        .map(|own| (atom(program, *own).size, Vec::new()))
        .collect();
    for (unit, analysed) in program.units.iter().enumerate() {
        for (function, parts) in analysed.pair.old.enumerate_functions() {
            let entry = OldAtom {
                unit,
                atom: parts.entry(),
            };
            let anchor = Anchor { unit, function };
            if let Some(same) = found.get_mut(&atom(program, entry).size)
                && !replaced.contains(&entry)
                && is_sound(program, anchor)
            {
                same.push((entry, anchor));
            }
        }
    }
    found
}

/// Whether both are one function, which several objects define.
fn is_copy(program: &Program<'_>, one: OldAtom, other: OldAtom) -> bool {
    let (one, other) = (atom(program, one), atom(program, other));
    one.globals()
        .any(|name| other.globals().any(|other| other == name))
}

fn atom<'p, 'd>(program: &'p Program<'d>, old: OldAtom) -> &'p Atom<'d> {
    object(program, old).atom(old.atom)
}

fn object<'p, 'd>(program: &'p Program<'d>, old: OldAtom) -> &'p Object<'d> {
    &program.units[old.unit].pair.old
}

/// Compares code and constants: what they are, and what they lead to.
struct Equal<'p, 'd> {
    program: &'p Program<'d>,
    /// Pairs that were compared, or are.
    seen: BTreeSet<(OldAtom, OldAtom)>,
}

impl<'p, 'd> Equal<'p, 'd> {
    fn new(program: &'p Program<'d>) -> Self {
        Self {
            program,
            seen: BTreeSet::new(),
        }
    }

    fn atoms(&mut self, one: OldAtom, other: OldAtom) -> bool {
        if one == other || !self.seen.insert((one, other)) {
            return true;
        }
        let (a, b) = (atom(self.program, one), atom(self.program, other));
        if a.kind != b.kind {
            return false;
        }
        if is_named(a) || is_named(b) {
            return a.scope == Scope::Global && b.scope == Scope::Global && a.name == b.name;
        }
        let mut pairs = a.references().zip(b.references());
        a.size == b.size
            && without_fields(a) == without_fields(b)
            && a.references().count() == b.references().count()
            && pairs.all(|(a, b)| self.links((one.unit, a), (other.unit, b)))
    }

    fn links(&mut self, one: (usize, &Link), other: (usize, &Link)) -> bool {
        let target = |(unit, link): (usize, &Link)| {
            let atom = link.target;
            let found = self.program.units[unit].pair.old.atom(atom);
            let elsewhere = Some(found).filter(|atom| atom.kind == AtomKind::Undefined);
            let defined = elsewhere.and_then(|atom| self.program.old_global(atom.name));
            defined.unwrap_or(OldAtom { unit, atom })
        };
        let (from, to) = (target(one), target(other));
        let place = |link: &Link| (link.offset(), link.kind, link.at());
        place(one.1) == place(other.1) && self.atoms(from, to)
    }
}

/// Whether only its name tells what it is: it lies elsewhere, or is a variable, which is like no other whatever it holds.
fn is_named(atom: &Atom<'_>) -> bool {
    atom.kind.is_variable() || matches!(atom.kind, AtomKind::Undefined | AtomKind::Absolute)
}

fn without_fields(atom: &Atom<'_>) -> Vec<u8> {
    let mut bytes = atom.bytes.to_vec();
    for link in atom.references() {
        let start = usize::try_from(link.offset()).unwrap_or(usize::MAX);
        let end = start.saturating_add(link.kind.width()).min(bytes.len());
        bytes[start.min(end)..end].fill(0);
    }
    bytes
}
