//! Comparing data by what it holds.

use super::Judge;
use super::function::Spot;
use super::paths::{is_same_but_line, is_same_source};
use super::times::{is_dated, is_same_but_time};
use super::view::View;
use crate::object::{Atom, AtomId, AtomKind};

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
                    if self.same_but_build(a, b) {
                        Ok(())
                    } else {
                        Err(difference)
                    }
                })
        } else if literals {
            self.same_rest(old, new)
        } else {
            Err("it uses another place in a constant".to_owned())
        }
    }

    /// Whether two strings differ only in where or when the objects were built; of the kernel, also in line numbers.
    fn same_but_build(&self, a: &Atom<'_>, b: &Atom<'_>) -> bool {
        let [old_sources, new_sources] = self.sources();
        is_same_source((old_sources, a), (new_sources, b))
            || self.pair.new.is_kernel && is_same_but_line((old_sources, a), (new_sources, b))
            || is_same_but_time(a, b) && is_dated(&self.pair.old) && is_dated(&self.pair.new)
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

    pub(super) fn same_rest(&self, old: Spot, new: Spot) -> Result<(), String> {
        let left = View::of(&self.pair.old, old.0, old.1);
        let right = View::of(&self.pair.new, new.0, new.1);
        let (Some(left), Some(right)) = (left, right) else {
            return Err("it uses a constant that is not understood".to_owned());
        };
        let kind = self.pair.old.atom(old.0).kind;
        // The size of a literal is not known: zeros at its end may be padding.
        if kind != AtomKind::Literal && left.size != right.size {
            return Err(format!("its size was {} and is {}", left.size, right.size));
        }
        if let Some(at) = left.first_difference(&right) {
            let anonymous = kind.is_anonymous();
            let what = anonymous.then(|| kind.to_string());
            let what = what.unwrap_or_else(|| "its value".to_owned());
            return Err(format!("{what} differs at +{at:#x}"));
        }
        let places = |view: &View<'_>| -> Vec<_> {
            view.links
                .iter()
                .map(|(offset, link)| (*offset, link.kind))
                .collect()
        };
        if places(&left) != places(&right) {
            return Err("its pointers changed".to_owned());
        }
        left.links
            .iter()
            .zip(&right.links)
            .try_for_each(|((_, one), (_, other))| {
                self.same_target((one.target, one.at()), (other.target, other.at()), 0)
            })
    }
}

/// Whether two places hold the same `size` bytes, none of them a pointer.
fn same_bytes((a, at_a): (&Atom<'_>, i64), (b, at_b): (&Atom<'_>, i64), size: u64) -> bool {
    let bytes = |atom: &Atom<'_>, at: i64| -> Option<Vec<u8>> {
        let start = u64::try_from(at).ok()?;
        let end = start.checked_add(size)?;
        let plain = !atom.unlinked
            && !atom.links.iter().any(|link| {
                link.offset() < end && start < link.offset() + link.kind.width() as u64
            });
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        atom.bytes.get(range).filter(|_| plain).map(<[u8]>::to_vec)
    };
    size > 0 && bytes(a, at_a).is_some_and(|one| Some(one) == bytes(b, at_b))
}
