//! Unchanged functions whose running code tells where things are in a program without symbols.

use crate::closure::{Closure, Destination};
use crate::object::{AtomKind, FunctionId};
use crate::program::{OldAtom, Program};
use crate::proof::{Origin, Proof, origin};
use crate::texts;
use std::collections::{BTreeMap, BTreeSet};

/// An unchanged old function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// Index of the unit.
    pub unit: usize,
    /// The function.
    pub function: FunctionId,
}

/// A good anchor is long enough to be like no other and short enough to be cheap, in bytes.
const GOOD_SIZE: std::ops::RangeInclusive<u64> = 48..=512;

/// Of so many good candidates the one with the fewest references is taken.
const CONSIDERED: usize = 32;

/// Chooses anchors for what the patch refers to and no replaced function does, and adds them to the proof.
pub fn choose<'d>(
    program: &Program<'d>,
    closure: &Closure<'d>,
    proof: &mut Proof<'d>,
) -> Vec<Anchor> {
    let known: BTreeSet<Origin<'d>> = proof.all().collect();
    let mut wanted: BTreeSet<Origin<'d>> = wanted(closure)
        .filter(|origin| !known.contains(origin))
        .collect();
    let mut anchors = Vec::new();
    if wanted.is_empty() {
        return anchors;
    }
    let candidates = Candidates::of(program, closure);
    while let Some(one) = wanted.pop_first() {
        let Some(anchor) = candidates.best(program, one) else {
            continue;
        };
        proof.add(program, anchor.unit, anchor.function);
        for found in candidates.tells(program, anchor) {
            wanted.remove(&found);
        }
        anchors.push(anchor);
    }
    anchors.sort_unstable();
    anchors.dedup();
    anchors
}

fn wanted<'c, 'd: 'c>(closure: &'c Closure<'d>) -> impl Iterator<Item = Origin<'d>> + 'c {
    let destinations = closure.destinations.values().flatten();
    destinations.filter_map(|destination| match destination {
        Destination::Carried(_) => None,
        Destination::Running(atom) => Some(Origin::Running(*atom)),
        Destination::Told(atom) => Some(Origin::Copy(*atom)),
        Destination::External(name) => Some(Origin::External(name)),
    })
}

/// Functions by what their code refers to.
struct Candidates<'d> {
    by_reference: BTreeMap<Origin<'d>, Vec<Anchor>>,
    unchanged: BTreeSet<Anchor>,
    /// What other code or data leads to: the linker may leave out the rest (`--gc-sections`).
    used: BTreeSet<Origin<'d>>,
}

impl<'d> Candidates<'d> {
    fn of(program: &Program<'d>, closure: &Closure<'d>) -> Self {
        let mut replaced = BTreeSet::new();
        for one in &closure.replaced {
            let owner = program.units[one.old.unit].pair.old.owner(one.old.atom);
            replaced.extend(owner.map(|function| Anchor {
                unit: one.old.unit,
                function,
            }));
        }
        let mut candidates = Self {
            by_reference: BTreeMap::new(),
            unchanged: BTreeSet::new(),
            used: used(program),
        };
        for (unit, analysed) in program.units.iter().enumerate() {
            for (function, _) in analysed.pair.old.enumerate_functions() {
                let anchor = Anchor { unit, function };
                if replaced.contains(&anchor) || !is_sound(program, anchor) {
                    continue;
                }
                candidates.unchanged.insert(anchor);
                for reference in references(program, anchor) {
                    candidates
                        .by_reference
                        .entry(reference)
                        .or_default()
                        .push(anchor);
                }
            }
        }
        candidates
    }

    /// The function itself, or the best one that refers to it.
    fn best(&self, program: &Program<'d>, wanted: Origin<'d>) -> Option<Anchor> {
        let rank = |anchor: &Anchor| {
            let size = size(program, *anchor);
            (
                !self.is_used(program, *anchor),
                !GOOD_SIZE.contains(&size),
                size.abs_diff(*GOOD_SIZE.start()),
                *anchor,
            )
        };
        let own = own(program, wanted).filter(|anchor| self.unchanged.contains(anchor));
        let mut best: Vec<Anchor> = own.into_iter().chain(self.users(program, wanted)).collect();
        best.sort_by_cached_key(rank);
        best.truncate(CONSIDERED);
        // What an anchor refers to must be found, too: the fewer, the better.
        best.into_iter().min_by_key(|anchor| {
            (
                !self.is_used(program, *anchor),
                !GOOD_SIZE.contains(&size(program, *anchor)),
                references(program, *anchor).len(),
            )
        })
    }

    /// The candidates whose match tells of it.
    fn users(&self, program: &Program<'d>, wanted: Origin<'d>) -> Vec<Anchor> {
        match wanted {
            Origin::Copy(text) => {
                let mut users = program.text_users(text);
                users.retain(|anchor| self.unchanged.contains(anchor));
                users
            }
            _ => self.by_reference.get(&wanted).cloned().unwrap_or_default(),
        }
    }

    fn is_used(&self, program: &Program<'d>, anchor: Anchor) -> bool {
        self.used.contains(&entry(program, anchor))
    }

    /// What a match of the anchor tells.
    fn tells(&self, program: &Program<'d>, anchor: Anchor) -> BTreeSet<Origin<'d>> {
        let mut told = told(program, anchor);
        told.insert(entry(program, anchor));
        told
    }
}

/// Where a function begins.
fn entry<'d>(program: &Program<'d>, anchor: Anchor) -> Origin<'d> {
    let object = &program.units[anchor.unit].pair.old;
    Origin::Running(OldAtom {
        unit: anchor.unit,
        atom: object.function(anchor.function).entry(),
    })
}

/// All to which another function or data leads.
fn used<'d>(program: &Program<'d>) -> BTreeSet<Origin<'d>> {
    let mut found = BTreeSet::new();
    for (unit, analysed) in program.units.iter().enumerate() {
        let object = &analysed.pair.old;
        for (id, atom) in object.enumerate() {
            let targets = atom.references().map(|link| link.target);
            let others = targets.filter(|to| {
                object
                    .owner(*to)
                    .is_none_or(|to| object.owner(id) != Some(to))
            });
            found.extend(others.filter_map(|to| match object.atom(to).kind {
                AtomKind::Undefined => program.old_global(object.atom(to).name),
                _ => Some(OldAtom { unit, atom: to }),
            }));
        }
    }
    found.into_iter().map(Origin::Running).collect()
}

/// The anchor that is the wanted function.
fn own(program: &Program<'_>, wanted: Origin<'_>) -> Option<Anchor> {
    let Origin::Running(atom) = wanted else {
        return None;
    };
    let object = &program.units[atom.unit].pair.old;
    let function = object.owner(atom.atom)?;
    (object.function(function).entry() == atom.atom).then_some(Anchor {
        unit: atom.unit,
        function,
    })
}

/// Whether all of the function is understood.
pub(crate) fn is_sound(program: &Program<'_>, anchor: Anchor) -> bool {
    let object = &program.units[anchor.unit].pair.old;
    let mut pieces = object
        .function(anchor.function)
        .pieces()
        .map(|id| object.atom(id));
    pieces.all(|atom| {
        atom.kind == AtomKind::Function
            && atom.flaws().is_empty()
            && atom.size > 0
            && !atom.indirect
    })
}

/// What a match of the function tells beside its own place.
fn told<'d>(program: &Program<'d>, anchor: Anchor) -> BTreeSet<Origin<'d>> {
    let mut told = references(program, anchor);
    let texts = texts::told_by(program, anchor);
    told.extend(texts.into_iter().map(Origin::Copy));
    told
}

fn references<'d>(program: &Program<'d>, anchor: Anchor) -> BTreeSet<Origin<'d>> {
    let object = &program.units[anchor.unit].pair.old;
    let pieces = object.function(anchor.function).pieces();
    let links = pieces.flat_map(|piece| {
        let from = OldAtom {
            unit: anchor.unit,
            atom: piece,
        };
        object
            .atom(piece)
            .references()
            .map(move |link| (from, link))
    });
    links
        .map(|(from, link)| origin(program, from, anchor.function, link))
        .filter(|origin| !matches!(origin, Origin::Copy(_)))
        .collect()
}

fn size(program: &Program<'_>, anchor: Anchor) -> u64 {
    let object = &program.units[anchor.unit].pair.old;
    let pieces = object.function(anchor.function).pieces();
    pieces
        .map(|id| object.atom(id).size)
        .fold(0, u64::saturating_add)
}
