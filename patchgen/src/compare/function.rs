//! Pairing the instructions of two versions of a function, with all its pieces.

use super::lines::blanked;
use crate::correlate::Correlation;
use crate::object::code_view::{code, fields};
use crate::object::lines::Lines;
use crate::object::{Atom, AtomId, FunctionId, Link, Object};
use crate::pair::Pair;
use livepatch_match::{Alignment, Field, RefPair, Target, align};
use std::cell::OnceCell;

/// A place in an atom.
pub(super) type Spot = (AtomId, i64);

/// A reference of the old function and its counterpart in the new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// Offset of the old instruction in its piece.
    pub at: u64,
    /// Where the old one leads.
    pub old: Spot,
    /// Where the new one leads.
    pub new: Spot,
    /// How many bytes there matter; 0 when that is not known.
    pub size: u64,
}

/// Two functions with the same instructions.
#[derive(Debug)]
pub(super) struct Aligned {
    /// By piece: which instruction is which.
    pub maps: Vec<Map>,
    /// What remains to be judged.
    pub references: Vec<Reference>,
}

/// Which old instruction is which new one.
#[derive(Debug)]
pub(super) enum Map {
    /// Each at its old offset.
    Identity,
    /// Offsets, ascending.
    Pairs(Vec<(u64, u64)>),
}

impl Map {
    /// Whether the instruction at `old` is the one at `new`.
    pub(super) fn has(&self, old: i64, new: i64) -> bool {
        match self {
            Self::Identity => old == new,
            Self::Pairs(pairs) => {
                let (Ok(old), Ok(new)) = (u64::try_from(old), u64::try_from(new)) else {
                    return false;
                };
                pairs.binary_search(&(old, new)).is_ok()
            }
        }
    }
}

/// Two correlated functions.
#[derive(Debug)]
pub(super) struct FunctionPair {
    pub old: FunctionId,
    pub new: FunctionId,
    /// How they align, or the first difference.
    pub aligned: Result<Aligned, String>,
}

/// All correlated functions of a pair, aligned.
pub(super) fn pairs(pair: &Pair<'_>, correlation: &Correlation) -> Vec<FunctionPair> {
    let aligner = Aligner {
        pair,
        lines: OnceCell::new(),
    };
    let functions = pair
        .old
        .enumerate_functions()
        .filter_map(|(old, function)| {
            let new = correlation
                .new_of(function.entry())
                .and_then(|entry| pair.new.owner(entry))?;
            let aligned = aligner.function(old, new);
            Some(FunctionPair { old, new, aligned })
        });
    functions.collect()
}

struct Aligner<'p, 'd> {
    pair: &'p Pair<'d>,
    /// Line tables of old and new, read when they are needed.
    lines: OnceCell<[Lines; 2]>,
}

impl Aligner<'_, '_> {
    fn function(&self, old: FunctionId, new: FunctionId) -> Result<Aligned, String> {
        let (old, new) = (self.pair.old.function(old), self.pair.new.function(new));
        if old.pieces.len() != new.pieces.len() {
            return Err("it is split into other pieces".to_owned());
        }
        let mut aligned = Aligned {
            maps: Vec::new(),
            references: Vec::new(),
        };
        for (old, new) in old.pieces.iter().zip(&new.pieces) {
            self.piece(*old, *new, &mut aligned)?;
        }
        Ok(aligned)
    }

    fn piece(&self, old: AtomId, new: AtomId, out: &mut Aligned) -> Result<(), String> {
        let (left, right) = (self.pair.old.atom(old), self.pair.new.atom(new));
        if is_same_code(left, right) {
            let links = left.references().zip(right.references());
            out.references.extend(links.map(|(a, b)| Reference {
                at: a.site.start,
                old: (a.target, a.at),
                new: (b.target, b.at),
                size: a.site.size,
            }));
            out.maps.push(Map::Identity);
            return Ok(());
        }
        let fields = [fields(left, old), fields(right, new)];
        let exact = align(
            &code(left.bytes, &fields[0]),
            &code(right.bytes, &fields[1]),
        );
        let alignment = exact.or_else(|difference| {
            self.without_lines(left, right, &fields)
                .ok_or_else(|| difference.to_string())
        })?;
        for reference in &alignment.references {
            out.references
                .push(reference_of(self.pair, (old, new), reference)?);
        }
        let mut pairs = alignment.instructions;
        // Jumps to the end, which `__builtin_unreachable()` leaves behind, are alike, too.
        pairs.push(alignment.lengths);
        out.maps.push(Map::Pairs(pairs));
        Ok(())
    }

    /// The alignment of two pieces that differ in line numbers only.
    fn without_lines(
        &self,
        left: &Atom<'_>,
        right: &Atom<'_>,
        fields: &[Vec<Field>; 2],
    ) -> Option<Alignment> {
        let (old, new) = (&self.pair.old, &self.pair.new);
        let [old_lines, new_lines] = self.lines.get_or_init(|| [Lines::of(old), Lines::of(new)]);
        let one = blanked(left, old_lines, |link| old.label(link.target))?;
        let other = blanked(right, new_lines, |link| new.label(link.target))?;
        align(&code(&one, &fields[0]), &code(&other, &fields[1])).ok()
    }
}

/// Whether bytes and relocations agree; what the relocations lead to is another question.
fn is_same_code(left: &Atom<'_>, right: &Atom<'_>) -> bool {
    left.bytes == right.bytes
        && left.links.len() == right.links.len()
        && left.shorts.len() == right.shorts.len()
        && !left.unlinked
        && !right.unlinked
        && left
            .links
            .iter()
            .zip(&right.links)
            .all(|(a, b)| (a.offset, a.kind, a.site.role) == (b.offset, b.kind, b.site.role))
}

fn reference_of(
    pair: &Pair<'_>,
    (old, new): (AtomId, AtomId),
    reference: &RefPair,
) -> Result<Reference, String> {
    let spot = |target: Target, own: AtomId, object: &Object<'_>| match target {
        Target::Symbol { symbol, offset } if (symbol as usize) < object.atoms.len() => {
            Some((AtomId(symbol), offset))
        }
        Target::Inside(offset) => i64::try_from(offset).ok().map(|offset| (own, offset)),
        _ => None,
    };
    let other = spot(reference.other, new, &pair.new);
    let spots = spot(reference.target, old, &pair.old).zip(other);
    let unclear = || {
        format!(
            "the instruction at +{:#x} refers to no symbol",
            reference.at
        )
    };
    let (to_old, to_new) = spots.ok_or_else(unclear)?;
    Ok(Reference {
        at: reference.at,
        old: to_old,
        new: to_new,
        size: size_at(&pair.old.atom(old).links, reference.at),
    })
}

/// How many bytes the only link of the instruction at `at` accesses.
fn size_at(links: &[Link], at: u64) -> u64 {
    let first = links.partition_point(|link| link.site.start < at);
    let mut own = links[first..]
        .iter()
        .take_while(|link| link.site.start == at);
    match (own.next(), own.next()) {
        (Some(link), None) => link.site.size,
        _ => 0,
    }
}
