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
pub(super) enum Aligned {
    /// One piece with the same bytes: what remains to be judged are its links, in their order.
    Same,
    /// Anything else.
    Paired(Box<Paired>),
}

/// Two functions with the same instructions, one by one.
#[derive(Debug, Default)]
pub(super) struct Paired {
    /// By piece: which instruction is which.
    maps: Vec<Map>,
    /// What remains to be judged.
    references: Vec<Reference>,
}

impl Aligned {
    /// Whether the instruction at `old` of a piece is the one at `new`.
    pub(super) fn has(&self, piece: usize, old: i64, new: i64) -> bool {
        match self {
            Self::Same => piece == 0 && old == new,
            Self::Paired(paired) => paired.maps[piece].has(old, new),
        }
    }
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
    fn has(&self, old: i64, new: i64) -> bool {
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

impl FunctionPair {
    /// Judges what the functions refer to until `judge` finds a difference.
    pub(super) fn try_references(
        &self,
        pair: &Pair<'_>,
        judge: impl Fn(&Reference) -> Result<(), String>,
    ) -> Result<(), String> {
        match &self.aligned {
            Err(_) => Ok(()),
            Ok(Aligned::Paired(paired)) => paired.references.iter().try_for_each(judge),
            Ok(Aligned::Same) => {
                let entries = (
                    pair.old.function(self.old).entry(),
                    pair.new.function(self.new).entry(),
                );
                let (old, new) = (pair.old.atom(entries.0), pair.new.atom(entries.1));
                same_references(old, new).try_for_each(|reference| judge(&reference))
            }
        }
    }
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
        if old.piece_count() != new.piece_count() {
            return Err("it is split into other pieces".to_owned());
        }
        if old.piece_count() == 1 && self.is_same(old.entry(), new.entry()) {
            return Ok(Aligned::Same);
        }
        let mut paired = Box::<Paired>::default();
        for (old, new) in old.pieces().zip(new.pieces()) {
            self.piece(old, new, &mut paired)?;
            self.handlers(old, new, &mut paired)?;
        }
        Ok(Aligned::Paired(paired))
    }

    /// Whether two pieces have the same code, and nobody handles exceptions in them.
    fn is_same(&self, old: AtomId, new: AtomId) -> bool {
        let unhandled =
            |object: &Object<'_>, id| object.frame(id).is_none_or(|f| f.handler.is_none());
        is_same_code(self.pair.old.atom(old), self.pair.new.atom(new))
            && unhandled(&self.pair.old, old)
            && unhandled(&self.pair.new, new)
    }

    fn piece(&self, old: AtomId, new: AtomId, out: &mut Paired) -> Result<(), String> {
        let (left, right) = (self.pair.old.atom(old), self.pair.new.atom(new));
        if is_same_code(left, right) {
            out.references.extend(same_references(left, right));
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

    /// Who handles exceptions, and how, is to be judged like any other reference.
    fn handlers(&self, old: AtomId, new: AtomId, out: &mut Paired) -> Result<(), String> {
        let handler = |object: &Object<'_>, id| {
            let frame = object.frame(id)?;
            frame.handler.copied()
        };
        let pair = (handler(&self.pair.old, old), handler(&self.pair.new, new));
        let (one, other) = match pair {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) => (one, other),
            _ => return Err("it handles exceptions, or does no more".to_owned()),
        };
        let reference = |old, new| Reference {
            at: 0,
            old: (old, 0),
            new: (new, 0),
            size: 0,
        };
        out.references
            .push(reference(one.personality, other.personality));
        match (one.table, other.table) {
            (None, None) => Ok(()),
            (Some((one, _)), Some((other, _))) => {
                out.references.push(reference(one, other));
                Ok(())
            }
            _ => Err("it handles exceptions, or does no more".to_owned()),
        }
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
        let one = blanked(left, old_lines, old)?;
        let other = blanked(right, new_lines, new)?;
        align(&code(&one, &fields[0]), &code(&other, &fields[1])).ok()
    }
}

/// Whether bytes and relocations agree; what the relocations lead to is another question.
fn is_same_code(left: &Atom<'_>, right: &Atom<'_>) -> bool {
    left.bytes == right.bytes
        && left.links.len() == right.links.len()
        && left.shorts().len() == right.shorts().len()
        && !left.unlinked
        && !right.unlinked
        && left
            .links
            .iter()
            .zip(&right.links)
            .all(|(a, b)| (a.offset(), a.kind, a.site.role) == (b.offset(), b.kind, b.site.role))
}

/// What two pieces with the same code refer to.
fn same_references<'a>(
    left: &'a Atom<'_>,
    right: &'a Atom<'_>,
) -> impl Iterator<Item = Reference> + 'a {
    let links = left.references().zip(right.references());
    links.map(|(a, b)| Reference {
        at: a.site_start(),
        old: (a.target, a.at()),
        new: (b.target, b.at()),
        size: a.site.size.into(),
    })
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
    let first = links.partition_point(|link| link.site_start() < at);
    let mut own = links[first..]
        .iter()
        .take_while(|link| link.site_start() == at);
    match (own.next(), own.next()) {
        (Some(link), None) => link.site.size.into(),
        _ => 0,
    }
}
