//! Who defines which global symbol.

use crate::object::{AtomId, AtomKind, Object};

/// Global symbols of many objects, each with its place; sorted by name, for there are many.
#[derive(Debug)]
pub struct Globals<'d, T>(Vec<Definition<'d, T>>);

#[derive(Clone, Copy, Debug)]
struct Definition<'d, T> {
    name: &'d str,
    place: T,
    weak: bool,
    several: bool,
}

impl<'d, T: Copy + Ord> Globals<'d, T> {
    /// Collects the definitions of `objects`; `place` names an atom of the `index`-th.
    pub fn of<'o>(
        objects: impl Iterator<Item = &'o Object<'d>> + Clone,
        place: impl Fn(usize, AtomId) -> T,
    ) -> Self
    where
        'd: 'o,
    {
        let count = objects.clone().flat_map(definitions).count();
        let mut all = Vec::with_capacity(count);
        for (index, object) in objects.enumerate() {
            let own = definitions(object);
            all.extend(own.map(|(atom, name, weak)| Definition {
                name,
                place: place(index, atom),
                weak,
                several: false,
            }));
        }
        Self::sorted(all)
    }

    /// Keeps one definition of each name: the first, and a weak one only where there is no other.
    fn sorted(mut definitions: Vec<Definition<'d, T>>) -> Self {
        definitions.sort_unstable_by_key(|one| (one.name, one.weak, one.place));
        definitions.dedup_by(|later, first| {
            let same = later.name == first.name;
            first.several |= same && !later.weak;
            same
        });
        Self(definitions)
    }

    fn find(&self, name: &str) -> Option<&Definition<'d, T>> {
        let found = self.0.binary_search_by_key(&name, |one| one.name);
        found.ok().map(|index| &self.0[index])
    }

    /// The definition of `name`; of several the first, and a weak one only where there is no other.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<T> {
        self.find(name).map(|entry| entry.place)
    }

    /// Whether several objects define `name`, none of them weakly: they are not of one program.
    #[must_use]
    pub fn has_several(&self, name: &str) -> bool {
        self.find(name).is_some_and(|entry| entry.several)
    }

    /// All names with their places, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'d str, T)> {
        self.0.iter().map(|entry| (entry.name, entry.place))
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
        let all = [
            ("weak", 1, true),
            ("weak", 2, true),
            ("both", 1, true),
            ("both", 2, false),
            ("both", 3, true),
            ("double", 1, false),
            ("double", 2, false),
        ];
        let definitions = all.map(|(name, place, weak)| Definition {
            name,
            place,
            weak,
            several: false,
        });
        let globals = Globals::sorted(definitions.to_vec());
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
