//! Whether an old and a new reference lead to the same thing.

use super::Judge;
use super::function::Spot;
use crate::object::{Atom, AtomId, AtomKind};

impl Judge<'_, '_> {
    /// Whether two places are the same to whoever accesses `size` bytes there, or does what is not known if `size` is 0;
    /// the difference otherwise.
    pub(super) fn same_target(&self, old: Spot, new: Spot, size: u64) -> Result<(), String> {
        let (a, b) = (self.pair.old.atom(old.0), self.pair.new.atom(new.0));
        if a.fleeting && old.1 == new.1 && a.fleeting_name() == b.fleeting_name() {
            return Ok(());
        }
        if a.is_private() && b.is_private() {
            return self.same_private(old, new, size);
        }
        if !self.is_same_thing(old.0, new.0) {
            return Err(self.differ(old, new));
        }
        if a.kind.is_code() && b.kind.is_code() && self.is_inside(old) {
            return self.same_place_inside(old, new);
        }
        if old.1 != new.1 {
            return Err(self.differ(old, new));
        }
        if a.kind == AtomKind::ReadOnly && self.different.contains(&(old.0, new.0)) {
            let name = self.pair.new.label(new.0);
            return Err(format!("it uses `{name}`, whose contents changed"));
        }
        Ok(())
    }

    /// Whether both are one function, variable or symbol of another file.
    fn is_same_thing(&self, old: AtomId, new: AtomId) -> bool {
        if let Some(counterpart) = self.correlation.new_of(old) {
            return counterpart == new;
        }
        let (a, b) = (self.pair.old.atom(old), self.pair.new.atom(new));
        let free = self.correlation.old_of(new).is_none();
        free && share_a_global_name(a, b)
    }

    /// Whether the place is not the start of a function.
    fn is_inside(&self, (atom, offset): Spot) -> bool {
        offset != 0 || self.piece(atom).is_some_and(|(_, piece)| piece > 0)
    }

    /// Places inside a function: the same instruction of a function that stays.
    ///
    /// Code of no function must stay as it is, or the patch is refused: there, the same place.
    fn same_place_inside(&self, old: Spot, new: Spot) -> Result<(), String> {
        let code = |atom: &Atom<'_>| atom.kind == AtomKind::Code;
        let nobodys = code(self.pair.old.atom(old.0)) && code(self.pair.new.atom(new.0));
        if nobodys && old.1 == new.1 {
            return Ok(());
        }
        let index = self.piece(old.0);
        let stays = index.is_some_and(|(function, piece)| {
            let aligned = self.functions[function].aligned.as_ref();
            !self.changed.contains_key(&function)
                && aligned.is_ok_and(|aligned| aligned.has(piece, old.1, new.1))
        });
        if stays {
            Ok(())
        } else {
            Err(self.differ(old, new))
        }
    }

    fn differ(&self, old: Spot, new: Spot) -> String {
        let text = |name: String, offset: i64| match offset {
            0 => format!("`{name}`"),
            1.. => format!("`{name}`+{offset:#x}"),
            _ => format!("`{name}`-{:#x}", offset.unsigned_abs()),
        };
        let was = text(self.pair.old.label(old.0), old.1);
        let is = text(self.pair.new.label(new.0), new.1);
        format!("it refers to {is} instead of {was}")
    }
}

fn share_a_global_name(a: &Atom<'_>, b: &Atom<'_>) -> bool {
    a.globals()
        .any(|name| b.globals().any(|other| other == name))
}
