//! Pairing the instructions of two versions of a function, with all its pieces.

use crate::correlate::Correlation;
use crate::object::{Atom, AtomId, FunctionId, Object};
use crate::pair::Pair;
use livepatch_match::{Code, Field, RefPair, Target, align};

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
    let functions = pair
        .old
        .enumerate_functions()
        .filter_map(|(old, function)| {
            let new = correlation
                .new_of(function.entry())
                .and_then(|entry| pair.new.owner(entry))?;
            Some(FunctionPair {
                old,
                new,
                aligned: aligned(pair, old, new),
            })
        });
    functions.collect()
}

fn aligned(pair: &Pair<'_>, old: FunctionId, new: FunctionId) -> Result<Aligned, String> {
    let (old, new) = (pair.old.function(old), pair.new.function(new));
    if old.pieces.len() != new.pieces.len() {
        return Err("it is split into other pieces".to_owned());
    }
    let mut aligned = Aligned {
        maps: Vec::new(),
        references: Vec::new(),
    };
    for (old, new) in old.pieces.iter().zip(&new.pieces) {
        piece(pair, *old, *new, &mut aligned)?;
    }
    Ok(aligned)
}

fn piece(pair: &Pair<'_>, old: AtomId, new: AtomId, out: &mut Aligned) -> Result<(), String> {
    let (left, right) = (pair.old.atom(old), pair.new.atom(new));
    if is_same_code(left, right) {
        let links = left.links.iter().zip(&right.links);
        out.references.extend(links.map(|(a, b)| Reference {
            at: a.site.start,
            old: (a.target, a.at),
            new: (b.target, b.at),
        }));
        out.maps.push(Map::Identity);
        return Ok(());
    }
    let fields = [fields(left, old), fields(right, new)];
    let alignment = align(&code(left, &fields[0]), &code(right, &fields[1]))
        .map_err(|difference| difference.to_string())?;
    for reference in &alignment.references {
        out.references
            .push(reference_of(pair, (old, new), reference)?);
    }
    out.maps.push(Map::Pairs(alignment.instructions));
    Ok(())
}

/// Whether bytes and relocations agree; what the relocations lead to is another question.
fn is_same_code(left: &Atom<'_>, right: &Atom<'_>) -> bool {
    left.bytes == right.bytes
        && left.links.len() == right.links.len()
        && left.flaws.is_empty()
        && right.flaws.is_empty()
        && left
            .links
            .iter()
            .zip(&right.links)
            .all(|(a, b)| (a.offset, a.kind, a.site.role) == (b.offset, b.kind, b.site.role))
}

fn code<'a>(atom: &Atom<'a>, fields: &'a [Field]) -> Code<'a> {
    Code {
        bytes: atom.bytes,
        base: 0,
        fields: Some(fields),
    }
}

fn fields(atom: &Atom<'_>, id: AtomId) -> Vec<Field> {
    let links = atom.links.iter();
    links
        .map(|link| Field {
            offset: link.offset,
            kind: link.kind,
            symbol: link.target.0,
            addend: link.addend,
            inside: link.target == id,
        })
        .collect()
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
    let spots = spot(reference.target, old, &pair.old).zip(spot(reference.other, new, &pair.new));
    let unclear = || {
        format!(
            "the instruction at +{:#x} refers to no symbol",
            reference.at
        )
    };
    let (old, new) = spots.ok_or_else(unclear)?;
    Ok(Reference {
        at: reference.at,
        old,
        new,
    })
}
