//! Who defines which global symbol.

use crate::object::{AtomId, AtomKind, Object};
use std::collections::HashMap;

/// Global symbols of many objects, each with its place.
#[derive(Debug)]
pub struct Globals<'d, T>(HashMap<&'d str, Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    place: T,
    weak: bool,
    several: bool,
}

impl<'d, T: Copy> Globals<'d, T> {
    /// Collects the definitions of `objects`; `place` names an atom of the `index`-th.
    pub fn of<'o>(
        objects: impl Iterator<Item = &'o Object<'d>>,
        place: impl Fn(usize, AtomId) -> T,
    ) -> Self
    where
        'd: 'o,
    {
        let mut globals = Self(HashMap::new());
        for (index, object) in objects.enumerate() {
            for (atom, name, weak) in definitions(object) {
                globals.enter(name, place(index, atom), weak);
            }
        }
        globals
    }

    /// The definition of `name`; of several the first, and a weak one only where there is no other.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<T> {
        self.0.get(name).map(|entry| entry.place)
    }

    /// Whether several objects define `name`, none of them weakly: they are not of one program.
    #[must_use]
    pub fn has_several(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|entry| entry.several)
    }

    /// All names with their places, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&'d str, T)> {
        self.0.iter().map(|(name, entry)| (*name, entry.place))
    }

    fn enter(&mut self, name: &'d str, place: T, weak: bool) {
        let fresh = Entry {
            place,
            weak,
            several: false,
        };
        match self.0.get_mut(name) {
            Some(entry) if !entry.weak => entry.several |= !weak,
            Some(entry) if !weak => *entry = fresh,
            Some(_) => {}
            None => {
                self.0.insert(name, fresh);
            }
        }
    }
}

/// Global symbols that an object defines: the atom, the name, and whether it gives way to others.
fn definitions<'o, 'd>(
    object: &'o Object<'d>,
) -> impl Iterator<Item = (AtomId, &'d str, bool)> + 'o {
    let defined = object.enumerate().filter(|(_, atom)| {
        !matches!(
            atom.kind,
            AtomKind::Undefined | AtomKind::Absolute | AtomKind::Common
        )
    });
    defined.flat_map(|(id, atom)| atom.globals().map(move |name| (id, name, atom.weak)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_definitions_win_and_doubles_are_told() {
        let mut globals = Globals(HashMap::new());
        globals.enter("weak", 1, true);
        globals.enter("weak", 2, true);
        globals.enter("both", 1, true);
        globals.enter("both", 2, false);
        globals.enter("both", 3, true);
        globals.enter("double", 1, false);
        globals.enter("double", 2, false);
        assert_eq!(
            (globals.get("weak"), globals.has_several("weak")),
            (Some(1), false)
        );
        assert_eq!(
            (globals.get("both"), globals.has_several("both")),
            (Some(2), false)
        );
        assert_eq!(
            (globals.get("double"), globals.has_several("double")),
            (Some(1), true)
        );
        assert_eq!(globals.get("none"), None);
    }
}
