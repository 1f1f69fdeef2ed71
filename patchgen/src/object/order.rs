//! Atoms in the order in which they lie in their sections.

use super::model::{Atom, AtomId};

/// All atoms by section and start, and the place of each in that order.
#[derive(Debug, Default)]
pub(super) struct Order {
    sorted: Vec<AtomId>,
    position: Vec<u32>,
}

impl Order {
    /// Sorts the atoms.
    pub(super) fn of(atoms: &[Atom<'_>]) -> Self {
        let mut sorted: Vec<AtomId> = (0..atoms.len() as u32).map(AtomId).collect();
        sorted.sort_by_key(|id| {
            let atom = &atoms[id.0 as usize];
            (atom.section, atom.start, *id)
        });
        let mut position = vec![0; atoms.len()];
        for (index, id) in sorted.iter().enumerate() {
            position[id.0 as usize] = index as u32;
        }
        Self { sorted, position }
    }

    /// The atoms before and after one, of whatever section.
    pub(super) fn beside(&self, id: AtomId) -> (Option<AtomId>, Option<AtomId>) {
        let position = self.position[id.0 as usize] as usize;
        let at = |position: Option<usize>| self.sorted.get(position?).copied();
        (at(position.checked_sub(1)), at(position.checked_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{AtomKind, Object};

    #[test]
    fn neighbours_are_the_nearest_of_the_section() {
        let mut object = Object::default();
        for (section, start) in [(1, 16), (1, 0), (2, 8), (1, 8)] {
            let place = start..start + 4;
            object
                .atoms
                .push(Atom::new(AtomKind::Data, section, place, &[]));
        }
        object.order = Order::of(&object.atoms);
        let found = object.neighbours(AtomId(3));
        assert_eq!(found, (Some(AtomId(1)), Some(AtomId(0))));
        assert_eq!(object.neighbours(AtomId(2)), (None, None));
    }
}
