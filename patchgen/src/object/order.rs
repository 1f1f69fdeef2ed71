//! Atoms in the order in which they lie in their sections.

use super::{Atom, AtomId};
use std::ops::Range;

/// All atoms by section and start, and the place of each in that order.
#[derive(Debug, Default)]
pub(super) struct Order {
    sorted: Vec<AtomId>,
    position: Vec<u32>,
    /// By section: where its atoms begin; one more for the end.
    sections: Vec<u32>,
}

impl Order {
    /// Sorts the atoms of a file with so many sections.
    pub(super) fn of(atoms: &[Atom<'_>], sections: usize) -> Self {
        let mut sorted: Vec<AtomId> = (0..atoms.len() as u32).map(AtomId).collect();
        sorted.sort_unstable_by_key(|id| {
            let atom = &atoms[id.0 as usize];
            (atom.section, atom.start, *id)
        });
        let mut position = vec![0; atoms.len()];
        for (index, id) in sorted.iter().enumerate() {
            position[id.0 as usize] = index as u32;
        }
        let mut starts = Vec::with_capacity(sections + 1);
        for section in 0..=sections {
            let from = starts.last().copied().unwrap_or(0);
            let rest = &sorted[from as usize..];
            let before = rest
                .iter()
                .take_while(|id| atoms[id.0 as usize].section() < section);
            starts.push(from + before.count() as u32);
        }
        Self {
            sorted,
            position,
            sections: starts,
        }
    }

    /// The atoms before and after one, of whatever section.
    pub(super) fn beside(&self, id: AtomId) -> (Option<AtomId>, Option<AtomId>) {
        let position = self.position[id.0 as usize] as usize;
        let at = |position: Option<usize>| self.sorted.get(position?).copied();
        (at(position.checked_sub(1)), at(position.checked_add(1)))
    }

    /// Whether the section has several atoms.
    pub(super) fn is_shared(&self, section: usize) -> bool {
        self.range(section).len() > 1
    }

    /// The atom at this place: the one that holds it, or the one before it (an end pointer, padding), or the first
    /// one (a pointer to before an array).
    pub(super) fn find(&self, atoms: &[Atom<'_>], section: usize, offset: i64) -> Option<AtomId> {
        let list = &self.sorted[self.range(section)];
        let after = list.partition_point(|id| {
            i64::try_from(atoms[id.0 as usize].start).is_ok_and(|start| start <= offset)
        });
        list.get(after.saturating_sub(1)).copied()
    }

    /// Where the atoms of a section are in `sorted`.
    fn range(&self, section: usize) -> Range<usize> {
        match self.sections.get(section..).unwrap_or_default() {
            [start, end, ..] => *start as usize..*end as usize,
            _ => 0..0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{AtomKind, Object};

    fn object() -> Object<'static> {
        let mut object = Object::default();
        for (section, start) in [(1, 16), (1, 0), (2, 8), (1, 8)] {
            let place = start..start + 4;
            object
                .atoms
                .push(Atom::new(AtomKind::Data, section, place, &[]));
        }
        object.order = Order::of(&object.atoms, 3);
        object
    }

    #[test]
    fn neighbours_are_the_nearest_of_the_section() {
        let object = object();
        let found = object.neighbours(AtomId(3));
        assert_eq!(found, (Some(AtomId(1)), Some(AtomId(0))));
        assert_eq!(object.neighbours(AtomId(2)), (None, None));
    }

    #[test]
    fn places_belong_to_the_atom_before_them() {
        let object = object();
        let find = |section, offset| object.order.find(&object.atoms, section, offset);
        assert_eq!(find(1, 12), Some(AtomId(3)));
        assert_eq!(find(1, -4), Some(AtomId(1)));
        assert_eq!(find(2, 100), Some(AtomId(2)));
        assert_eq!((find(0, 0), find(7, 0)), (None, None));
        assert!(object.order.is_shared(1) && !object.order.is_shared(2));
    }
}
