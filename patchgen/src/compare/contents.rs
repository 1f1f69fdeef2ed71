//! Comparing data by what it holds.

use super::Judge;
use super::function::Spot;
use super::paths::is_same_source;
use crate::object::{Atom, AtomId, AtomKind, Link};
use std::ops::Range;

impl Judge<'_, '_> {
    /// Whether two places in data without names hold the same `size` bytes, or all the same if `size` is 0.
    pub(super) fn same_private(&self, old: Spot, new: Spot, size: u64) -> Result<(), String> {
        let (a, b) = (self.pair.old.atom(old.0), self.pair.new.atom(new.0));
        if same_bytes((a, old.1), (b, new.1), size) {
            return Ok(());
        }
        // Nothing tells where in a literal something begins; all else begins at its start.
        let literals = a.kind == AtomKind::Literal && b.kind == AtomKind::Literal;
        if old.1 == new.1 {
            self.same_contents(old.0, new.0, old.1)
                .or_else(|difference| {
                    let [old_sources, new_sources] = self.sources();
                    let same = is_same_source((old_sources, a), (new_sources, b));
                    if same { Ok(()) } else { Err(difference) }
                })
        } else if literals {
            self.same_rest(old, new)
        } else {
            Err("it uses another place in a constant".to_owned())
        }
    }

    /// Whether two atoms hold the same, literals from `from` on. Each pair is looked at once a round.
    pub(super) fn same_contents(&self, old: AtomId, new: AtomId, from: i64) -> Result<(), String> {
        let literal = self.pair.old.atom(old).kind == AtomKind::Literal;
        let from = if literal { from } else { 0 };
        let key = (old, new, from);
        if let Some(same) = self.seen.borrow().get(&key) {
            return if *same {
                Ok(())
            } else {
                Err("it uses a constant that changed".to_owned())
            };
        }
        self.seen.borrow_mut().insert(key, true);
        let result = self.same_rest((old, from), (new, from));
        self.seen.borrow_mut().insert(key, result.is_ok());
        result
    }

    fn same_rest(&self, old: Spot, new: Spot) -> Result<(), String> {
        let (a, b) = (self.pair.old.atom(old.0), self.pair.new.atom(new.0));
        if a.unlinked || b.unlinked {
            return Err("it has relocations that are not understood".to_owned());
        }
        let (Some(left), Some(right)) = (extent(a, old.1), extent(b, new.1)) else {
            return Err("it uses a place outside a constant".to_owned());
        };
        let (left_len, right_len) = (left.end - left.start, right.end - right.start);
        let padded = a.kind == AtomKind::Literal;
        if !padded && left_len != right_len {
            return Err(format!("its size was {left_len} and is {right_len}"));
        }
        let (left_links, right_links) = (links(a, &left), links(b, &right));
        if left_links.len() != right_links.len() {
            return Err("its pointers changed".to_owned());
        }
        if let Some(at) = first_difference((a, &left, left_links), (b, &right, right_links)) {
            let what = if a.kind.is_anonymous() {
                a.kind.to_string()
            } else {
                "its value".into()
            };
            return Err(format!("{what} differs at +{at:#x}"));
        }
        for (one, other) in left_links.iter().zip(right_links) {
            let places =
                (one.offset - left.start, one.kind) == (other.offset - right.start, other.kind);
            if !places {
                return Err("its pointers changed".to_owned());
            }
            self.same_target((one.target, one.at), (other.target, other.at), 0)?;
        }
        Ok(())
    }
}

/// Whether two places hold the same `size` bytes, none of them a pointer.
fn same_bytes((a, at_a): (&Atom<'_>, i64), (b, at_b): (&Atom<'_>, i64), size: u64) -> bool {
    let bytes = |atom: &Atom<'_>, at: i64| -> Option<Vec<u8>> {
        let start = u64::try_from(at).ok()?;
        let end = start.checked_add(size)?;
        let plain = !atom.unlinked
            && !atom
                .links
                .iter()
                .any(|link| link.offset < end && start < link.offset + link.kind.width() as u64);
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        atom.bytes.get(range).filter(|_| plain).map(<[u8]>::to_vec)
    };
    size > 0 && bytes(a, at_a).is_some_and(|one| Some(one) == bytes(b, at_b))
}

/// What is compared of an atom: all, or a literal from `from` on without the padding after it.
fn extent(atom: &Atom<'_>, from: i64) -> Option<Range<u64>> {
    if atom.kind != AtomKind::Literal {
        return Some(0..atom.size);
    }
    let from = u64::try_from(from).ok().filter(|from| *from <= atom.size)?;
    Some(from..atom.len_without_padding().max(from))
}

fn links<'a>(atom: &'a Atom<'_>, range: &Range<u64>) -> &'a [Link] {
    let first = atom.links.partition_point(|link| link.offset < range.start);
    let last = atom.links.partition_point(|link| link.offset < range.end);
    &atom.links[first..last.max(first)]
}

type Side<'s, 'd> = (&'s Atom<'d>, &'s Range<u64>, &'s [Link]);

/// The first byte that differs, relocated fields left out. What the file does not hold is zero.
fn first_difference(left: Side<'_, '_>, right: Side<'_, '_>) -> Option<u64> {
    let (one, other) = (blanked(left), blanked(right));
    let len = one.len().max(other.len());
    let byte = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0);
    if one == other {
        return None;
    }
    (0..len)
        .find(|at| byte(&one, *at) != byte(&other, *at))
        .map(|at| at as u64)
}

fn blanked((atom, range, links): Side<'_, '_>) -> Vec<u8> {
    let len = atom.bytes.len() as u64;
    let (start, end) = (range.start.min(len) as usize, range.end.min(len) as usize);
    let mut bytes = atom.bytes[start..end].to_vec();
    for link in links {
        let at = (link.offset - range.start) as usize;
        let end = at.saturating_add(link.kind.width()).min(bytes.len());
        bytes[at.min(end)..end].fill(0);
    }
    bytes
}
