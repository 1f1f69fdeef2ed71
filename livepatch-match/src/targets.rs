//! After the walk: do references inside both pieces lead to instructions that were paired?

use crate::{Mismatch, RefPair, Target, Via, compare::Found};

/// An instruction pair: where, how long, and the prefixes that a branch may jump over.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// Offsets in the two pieces.
    pub(crate) at: (usize, usize),
    /// Lengths.
    pub(crate) len: (usize, usize),
    /// How many legacy prefixes start both alike (glibc jumps over `lock`).
    pub(crate) prefixes: usize,
}

/// What the walk learned about places.
pub(crate) struct Places {
    /// Paired instructions, ascending.
    pub(crate) pairs: Vec<Pair>,
    /// Offsets of no-operations that were left out, ascending.
    pub(crate) padding: (Vec<u64>, Vec<u64>),
    /// Bytes consumed.
    pub(crate) lengths: (u64, u64),
    /// Address of the second piece when it is linked code.
    pub(crate) base: Option<u64>,
}

/// A place in terms of the pairs: the pair and the distance from its start. One past the last pair is the end.
type Place = (usize, u64);

impl Places {
    /// The reference if the caller has to judge it; `None` when it is settled.
    ///
    /// # Errors
    /// When the two lead to different places in the pieces.
    pub(crate) fn settle(&self, found: Found) -> Result<Option<RefPair>, Mismatch> {
        let pair = found.pair;
        if !matches!(pair.via, Via::Branch | Via::Direct) {
            return Ok(Some(pair));
        }
        let (inside, other) = (inside(pair.target), inside(pair.other));
        match (inside, other, self.offset_in_second(pair.other)) {
            (Some(target), _, Some(target_other)) if target_other <= self.lengths.1 => {
                let same = self.left(target) == self.right(target_other);
                let place = self.left(target).filter(|_| same);
                place.map_or_else(|| Err(elsewhere(&pair, target, target_other)), |_| Ok(None))
            }
            (Some(0), _, _) if found.relocated.0 => Ok(Some(pair)),
            (None, Some(0), _) if found.relocated.1 => Ok(Some(pair)),
            (None, None, _) => Ok(Some(pair)),
            (target, _, _) => Err(self.differs(&pair, target)),
        }
    }

    fn offset_in_second(&self, target: Target) -> Option<u64> {
        match (target, self.base) {
            (Target::Address(address), Some(base)) => Some(address.wrapping_sub(base)),
            _ => inside(target),
        }
    }

    fn left(&self, target: u64) -> Option<Place> {
        self.place(target, &self.padding.0, |pair| (pair.at.0, pair.len.0))
    }

    fn right(&self, target: u64) -> Option<Place> {
        self.place(target, &self.padding.1, |pair| (pair.at.1, pair.len.1))
    }

    fn place(
        &self,
        target: u64,
        padding: &[u64],
        side: impl Fn(&Pair) -> (usize, usize),
    ) -> Option<Place> {
        let start = |pair: &Pair| side(pair).0 as u64;
        let next = self.pairs.partition_point(|pair| start(pair) < target);
        if self
            .pairs
            .get(next)
            .is_some_and(|pair| start(pair) == target)
        {
            return Some((next, 0));
        }
        let previous = next.checked_sub(1).and_then(|index| self.pairs.get(index));
        let (at, len, prefixes) = previous.map_or((0, 0, 0), |pair| {
            let (at, len) = side(pair);
            (at as u64, len as u64, pair.prefixes as u64)
        });
        if target < at + len {
            let delta = target - at;
            return (delta <= prefixes).then_some((next - 1, delta));
        }
        let is_end = next == self.pairs.len() && target == at + len;
        (is_end || padding.binary_search(&target).is_ok()).then_some((next, 0))
    }

    fn differs(&self, pair: &RefPair, target: Option<u64>) -> Mismatch {
        let distance = |target: Target, base: u64| match target {
            Target::Inside(offset) => offset.cast_signed(),
            Target::Outside(offset) | Target::Symbol { offset, .. } => offset,
            Target::Address(address) => address.wrapping_sub(base).cast_signed(),
        };
        Mismatch::Branch {
            at: pair.at,
            at_other: pair.at_other,
            target: target.map_or_else(|| distance(pair.target, 0), u64::cast_signed),
            target_other: distance(pair.other, self.base.unwrap_or(0)),
        }
    }
}

fn inside(target: Target) -> Option<u64> {
    match target {
        Target::Inside(offset) => Some(offset),
        _ => None,
    }
}

fn elsewhere(pair: &RefPair, target: u64, target_other: u64) -> Mismatch {
    Mismatch::Branch {
        at: pair.at,
        at_other: pair.at_other,
        target: target.cast_signed(),
        target_other: target_other.cast_signed(),
    }
}
