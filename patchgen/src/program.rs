//! All object pairs together: who defines which global symbol, and what becomes of each new function.

use crate::anchors::Anchor;
use crate::compare::Comparison;
use crate::copies::Copies;
use crate::correlate::Correlation;
use crate::globals::Globals;
use crate::object::{AtomId, AtomKind, FunctionId};
use crate::pair::Pair;
use crate::texts::Texts;
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

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
        let mut comparison = Comparison::of(&pair, &correlation);
        if pair.old.is_kernel {
            comparison.ignore(&pair);
            comparison.spread_to_callers(&pair, &correlation);
        }
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
    old_globals: Globals<'d, OldAtom>,
    new_globals: Globals<'d, NewAtom>,
    /// Global functions and variables that another object defines now.
    moved: BTreeMap<NewAtom, OldAtom>,
    copies: Copies<'d>,
    /// Names of the old objects' common symbols.
    commons: HashSet<&'d str>,
    /// By unit: strings that old code tells.
    texts: Vec<OnceLock<Texts<'d>>>,
}

impl<'d> Program<'d> {
    /// Joins the units.
    #[must_use]
    pub fn new(units: Vec<Unit<'d>>) -> Self {
        let olds = units.iter().map(|unit| &unit.pair.old);
        let old_globals = Globals::of(olds, |unit, atom| OldAtom { unit, atom });
        let news = units.iter().map(|unit| &unit.pair.new);
        let new_globals = Globals::of(news, |unit, atom| NewAtom { unit, atom });
        let moved = moved(&units, &old_globals, &new_globals);
        let copies = Copies::of(&units);
        let atoms = units.iter().flat_map(|unit| &unit.pair.old.atoms);
        let commons = atoms.filter(|atom| atom.kind == AtomKind::Common);
        Self {
            commons: commons.map(|atom| atom.name).collect(),
            copies,
            texts: units.iter().map(|_| OnceLock::new()).collect(),
            units,
            old_globals,
            new_globals,
            moved,
        }
    }

    /// The old definition of a global symbol.
    #[must_use]
    pub fn old_global(&self, name: &str) -> Option<OldAtom> {
        self.old_globals.get(name)
    }

    /// The new definitions of all global symbols, by name.
    pub fn new_globals(&self) -> impl Iterator<Item = (&'d str, NewAtom)> {
        self.new_globals.iter()
    }

    /// Whether the objects are the kernel's.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.units.iter().any(|unit| unit.pair.new.is_kernel)
    }

    /// The new definition of a global symbol.
    #[must_use]
    pub fn new_global(&self, name: &str) -> Option<NewAtom> {
        self.new_globals.get(name)
    }

    /// Whether several objects of one version define the symbol.
    #[must_use]
    pub fn has_several(&self, name: &str) -> bool {
        self.old_globals.has_several(name) || self.new_globals.has_several(name)
    }

    /// Where a new atom was defined, if it was defined in another object.
    #[must_use]
    pub fn moved_from(&self, new: NewAtom) -> Option<OldAtom> {
        self.moved.get(&new).copied()
    }

    /// Whether an old object has a common symbol of this name.
    #[must_use]
    pub fn has_common(&self, name: &str) -> bool {
        self.commons.contains(name)
    }

    /// The atom that stands for all of its kind: several objects may hold copies of an inline function of C++, of which
    /// one runs.
    #[must_use]
    pub fn representative(&self, new: NewAtom) -> NewAtom {
        self.copies.representative(&self.units, new)
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

    /// The string of the running program that `text` is, which `user` uses.
    #[must_use]
    pub fn running_text(&self, user: NewAtom, text: NewAtom) -> Option<OldAtom> {
        let unit = &self.units[text.unit];
        let user = unit
            .pair
            .new
            .owner(user.atom)
            .filter(|_| user.unit == text.unit);
        let user = user.map(|user| unit.pair.new.function(user).entry());
        let user = user.and_then(|user| unit.correlation.old_of(user));
        let user = user.and_then(|user| unit.pair.old.owner(user));
        let atom = self.texts(text.unit).running(&unit.pair, text.atom, user)?;
        Some(OldAtom {
            unit: text.unit,
            atom,
        })
    }

    /// The old functions whose proof tells where a string runs.
    pub(crate) fn text_users(&self, text: OldAtom) -> Vec<Anchor> {
        let unit = text.unit;
        let users = self
            .texts(unit)
            .users(&self.units[unit].pair.old, text.atom);
        users.map(|function| Anchor { unit, function }).collect()
    }

    fn texts(&self, unit: usize) -> &Texts<'d> {
        self.texts[unit].get_or_init(|| Texts::of(self, unit))
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
                let (from, to) = (&self.units[old.unit].pair.name, &analysed.pair.name);
                Fate::Changed(old, format!("it moved from `{from}` to `{to}`"))
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
                let new = NewAtom {
                    unit,
                    atom: analysed.pair.new.function(function).entry(),
                };
                if self.representative(new) != new {
                    continue;
                }
                if let Fate::Changed(old, reason) = self.fate(unit, function) {
                    changed.push((unit, function, old, reason));
                }
            }
        }
        changed
    }
}

/// Global functions and variables that are gone from one object and appear in another.
fn moved(
    units: &[Unit<'_>],
    old_globals: &Globals<'_, OldAtom>,
    new_globals: &Globals<'_, NewAtom>,
) -> BTreeMap<NewAtom, OldAtom> {
    let both = new_globals
        .iter()
        .filter_map(|(name, new)| Some((new, old_globals.get(name)?)));
    both.filter(|(new, old)| {
        let stays = units[old.unit].correlation.new_of(old.atom).is_some();
        let known = units[new.unit].correlation.old_of(new.atom).is_some();
        !stays && !known && old.unit != new.unit
    })
    .collect()
}
