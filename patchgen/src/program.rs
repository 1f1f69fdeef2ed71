//! All object pairs together: who defines which global symbol, and what becomes of each new function.

use crate::compare::Comparison;
use crate::correlate::Correlation;
use crate::object::{AtomId, AtomKind, FunctionId};
use crate::pair::Pair;
use std::collections::{BTreeMap, HashMap};

/// A pair with what is known about it.
#[derive(Debug)]
pub struct Unit<'d> {
    /// The two versions.
    pub pair: Pair<'d>,
    /// Which is which.
    pub correlation: Correlation,
    /// What differs.
    pub comparison: Comparison,
}

impl<'d> Unit<'d> {
    /// Analyses a pair.
    #[must_use]
    pub fn new(pair: Pair<'d>) -> Self {
        let correlation = Correlation::of(&pair);
        let comparison = Comparison::of(&pair, &correlation);
        Self {
            pair,
            correlation,
            comparison,
        }
    }
}

/// An atom of an old object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OldAtom {
    /// Index of the unit.
    pub unit: usize,
    /// The atom.
    pub atom: AtomId,
}

/// An atom of a new object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NewAtom {
    /// Index of the unit.
    pub unit: usize,
    /// The atom.
    pub atom: AtomId,
}

/// What becomes of a function of a new object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It means the same as this old one.
    Unchanged(OldAtom),
    /// It replaces this old one, for this reason.
    Changed(OldAtom, String),
    /// Nothing like it runs.
    New,
}

/// All pairs.
#[derive(Debug)]
pub struct Program<'d> {
    /// The pairs, by name.
    pub units: Vec<Unit<'d>>,
    old_globals: HashMap<&'d str, OldAtom>,
    new_globals: HashMap<&'d str, NewAtom>,
    /// Global functions and variables that another object defines now.
    moved: BTreeMap<NewAtom, OldAtom>,
}

impl<'d> Program<'d> {
    /// Joins the units.
    #[must_use]
    pub fn new(units: Vec<Unit<'d>>) -> Self {
        let (mut old_globals, mut new_globals) = (HashMap::new(), HashMap::new());
        for (unit, analysed) in units.iter().enumerate() {
            for (atom, name, weak) in global_definitions(&analysed.pair.old) {
                enter(&mut old_globals, name, OldAtom { unit, atom }, weak);
            }
            for (atom, name, weak) in global_definitions(&analysed.pair.new) {
                enter(&mut new_globals, name, NewAtom { unit, atom }, weak);
            }
        }
        let mut moved = BTreeMap::new();
        for (name, (new, _)) in &new_globals {
            let old = old_globals.get(name).map(|(old, _)| *old);
            let unit: &Unit<'_> = &units[new.unit];
            if let Some(old) = old
                && unit.correlation.old_of(new.atom).is_none()
                && old.unit != new.unit
            {
                moved.insert(*new, old);
            }
        }
        let strip = |(place, _)| place;
        Self {
            units,
            old_globals: old_globals
                .into_iter()
                .map(|(name, entry)| (name, strip(entry)))
                .collect(),
            new_globals: new_globals
                .into_iter()
                .map(|(name, entry)| (name, entry.0))
                .collect(),
            moved,
        }
    }

    /// The old definition of a global symbol.
    #[must_use]
    pub fn old_global(&self, name: &str) -> Option<OldAtom> {
        self.old_globals.get(name).copied()
    }

    /// The new definition of a global symbol.
    #[must_use]
    pub fn new_global(&self, name: &str) -> Option<NewAtom> {
        self.new_globals.get(name).copied()
    }

    /// Where a new atom was defined, if it was defined in another object.
    #[must_use]
    pub fn moved_from(&self, new: NewAtom) -> Option<OldAtom> {
        self.moved.get(&new).copied()
    }

    /// The old atom that correlates with a new one of the same pair.
    #[must_use]
    pub fn old_of(&self, new: NewAtom) -> Option<OldAtom> {
        let atom = self.units[new.unit].correlation.old_of(new.atom)?;
        Some(OldAtom {
            unit: new.unit,
            atom,
        })
    }

    /// What becomes of a function.
    #[must_use]
    pub fn fate(&self, unit: usize, function: FunctionId) -> Fate {
        let analysed = &self.units[unit];
        let atom = analysed.pair.new.function(function).entry();
        let new = NewAtom { unit, atom };
        if let Some(old) = self.old_of(new) {
            return match analysed.comparison.change(function) {
                Some(reason) => Fate::Changed(old, reason.to_owned()),
                None => Fate::Unchanged(old),
            };
        }
        match self.moved_from(new) {
            Some(old) => {
                let from = &self.units[old.unit].pair.name;
                Fate::Changed(old, format!("it moved here from `{from}`"))
            }
            None => Fate::New,
        }
    }

    /// The changed functions in the order of units and functions: the unit, the new function, the old entry, why.
    #[must_use]
    pub fn changed(&self) -> Vec<(usize, FunctionId, OldAtom, String)> {
        let mut changed = Vec::new();
        for (unit, analysed) in self.units.iter().enumerate() {
            for (function, _) in analysed.pair.new.enumerate_functions() {
                if let Fate::Changed(old, reason) = self.fate(unit, function) {
                    changed.push((unit, function, old, reason));
                }
            }
        }
        changed
    }
}

/// Global symbols that an object defines: the atom, the name, and whether it gives way to others.
fn global_definitions<'o, 'd>(
    object: &'o crate::object::Object<'d>,
) -> impl Iterator<Item = (AtomId, &'d str, bool)> + 'o {
    let defined = object.enumerate().filter(|(_, atom)| {
        !matches!(
            atom.kind,
            AtomKind::Undefined | AtomKind::Absolute | AtomKind::Common
        )
    });
    defined.flat_map(|(id, atom)| atom.globals.iter().map(move |name| (id, *name, atom.weak)))
}

fn enter<'d, T>(map: &mut HashMap<&'d str, (T, bool)>, name: &'d str, place: T, weak: bool) {
    match map.get(name) {
        Some((_, false)) => {}
        Some((_, true)) if weak => {}
        _ => {
            map.insert(name, (place, weak));
        }
    }
}
