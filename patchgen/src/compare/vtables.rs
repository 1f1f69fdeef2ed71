//! Vtables of Rust, which have no names of their own: compared by the type and the trait that they are for.
//!
//! Objects that live keep the address of the vtable that they were made with. A slot whose function is replaced leads on to
//! the new code; a slot with another function does not.

use super::Judge;
use super::view::View;
use crate::object::{AtomId, AtomKind, Link, Object, rust};
use crate::types;

/// How far calls of functions that only have another name are followed.
const DEPTH: usize = 4;

/// A vtable whose contents changed.
#[derive(Debug)]
pub struct Vtable {
    /// `<Square as Shape>::{vtable}`.
    pub name: String,
    /// The old one.
    pub old: AtomId,
    /// How the new one differs.
    pub difference: String,
}

impl Judge<'_, '_> {
    /// The vtables that both objects describe and that differ.
    pub(super) fn vtables(&self) -> Vec<Vtable> {
        if self.changed.is_empty() || !is_rust(&self.pair.old) {
            return Vec::new();
        }
        let new = types::vtables(&self.pair.new);
        let mut found = Vec::new();
        for (name, olds) in types::vtables(&self.pair.old) {
            let Some(news) = new.get(&name) else {
                continue;
            };
            for old in olds {
                let differs = |new: &AtomId| self.same_vtable(old, *new).err();
                let differences: Option<Vec<String>> = news.iter().map(differs).collect();
                found.extend(differences.and_then(|all| {
                    Some(Vtable {
                        name: name.clone(),
                        old,
                        difference: all.into_iter().next()?,
                    })
                }));
            }
        }
        found
    }

    /// Whether two vtables are the same but for slots whose old function does what the new one does: the optimiser keeps one
    /// of several equal functions.
    fn same_vtable(&self, old: AtomId, new: AtomId) -> Result<(), String> {
        let difference = match self.same_rest((old, 0), (new, 0)) {
            Ok(()) => return Ok(()),
            Err(difference) => difference,
        };
        let same = self.same_but_copies((&self.pair.old, old), (&self.pair.new, new), DEPTH);
        if same { Ok(()) } else { Err(difference) }
    }

    /// Whether bytes and links agree, where links lead to the same or to copies.
    fn same_but_copies(
        &self,
        old: (&Object<'_>, AtomId),
        new: (&Object<'_>, AtomId),
        depth: usize,
    ) -> bool {
        let views = (View::of(old.0, old.1, 0), View::of(new.0, new.1, 0));
        let (Some(left), Some(right)) = views else {
            return false;
        };
        let links = || left.links.iter().zip(&right.links);
        left.size == right.size
            && left.first_difference(&right).is_none()
            && left.links.len() == right.links.len()
            && links().all(|((a, one), (b, other))| (a, one.kind) == (b, other.kind))
            && links().all(|((_, one), (_, other))| self.same_slot(one, other, depth))
    }

    fn same_slot(&self, old: &Link, new: &Link, depth: usize) -> bool {
        let spots = ((old.target, old.at()), (new.target, new.at()));
        self.same_target(spots.0, spots.1, 0).is_ok()
            || old.at() == new.at() && depth > 0 && self.is_copy(old.target, new.target, depth)
    }

    /// Whether two functions do the same, and the old one stays as it is.
    fn is_copy(&self, old: AtomId, new: AtomId, depth: usize) -> bool {
        let (left, right) = (&self.pair.old, &self.pair.new);
        let function = |object: &Object<'_>, id| object.atom(id).kind == AtomKind::Function;
        let unhandled =
            |object: &Object<'_>, id| object.frame(id).is_none_or(|f| f.handler.is_none());
        let stays = self
            .piece(old)
            .is_none_or(|(function, _)| !self.changed.contains_key(&function));
        stays
            && function(left, old)
            && function(right, new)
            && unhandled(left, old)
            && unhandled(right, new)
            && self.same_but_copies((left, old), (right, new), depth - 1)
    }
}

fn is_rust(object: &Object<'_>) -> bool {
    let mut named = object.atoms.iter();
    named.any(|atom| rust::path(atom.name).is_some())
}
