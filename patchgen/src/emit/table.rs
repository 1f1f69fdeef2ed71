//! The symbol table of a bundle: what is new, what is proof, and what is referred to.

use super::Patch;
use super::naming::Namer;
use crate::closure::Destination;
use crate::object::{Atom, AtomKind};
use crate::program::{NewAtom, OldAtom};
use crate::proof::Origin;
use livepatch_bundle::{Definition, Symbol, SymbolId, SymbolKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a symbol of the bundle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key<'d> {
    /// New code or data.
    New(NewAtom),
    /// The copy of old code or read-only data.
    Old(OldAtom),
    /// Something of the old objects, where it runs.
    Running(OldAtom),
    /// Something that no given object defines.
    External(&'d str),
}

impl<'d> From<Destination<'d>> for Key<'d> {
    fn from(destination: Destination<'d>) -> Self {
        match destination {
            Destination::Carried(atom) => Self::New(atom),
            Destination::Running(atom) => Self::Running(atom),
            Destination::Told(atom) => Self::Old(atom),
            Destination::External(name) => Self::External(name),
        }
    }
}

impl<'d> From<Origin<'d>> for Key<'d> {
    fn from(origin: Origin<'d>) -> Self {
        match origin {
            Origin::Copy(atom) => Self::Old(atom),
            Origin::Running(atom) => Self::Running(atom),
            Origin::External(name) => Self::External(name),
        }
    }
}

/// All symbols with their names and numbers.
pub(super) struct Table<'d> {
    keys: Vec<Key<'d>>,
    names: Vec<String>,
    kinds: Vec<SymbolKind>,
    ids: HashMap<Key<'d>, SymbolId>,
    /// Strings and constants that stand for equal ones.
    same: HashMap<Key<'d>, Key<'d>>,
}

impl<'d> Table<'d> {
    pub(super) fn of(patch: &Patch<'_, 'd>, quiesce: &BTreeSet<OldAtom>) -> Self {
        let same = equal_constants(patch);
        let definitions = patch.closure.carried.iter().map(|atom| Key::New(*atom));
        let definitions = definitions.chain(patch.proof.copies.iter().map(|atom| Key::Old(*atom)));
        let mut keys: Vec<Key<'d>> = definitions.filter(|key| !same.contains_key(key)).collect();
        keys.extend(references(patch, quiesce));
        let mut namer = Namer::new(patch);
        // Names go to what people look for first; the order of the symbols is another one.
        let mut by_rank: Vec<usize> = (0..keys.len()).collect();
        by_rank.sort_by_key(|index| namer.rank(keys[*index]));
        let mut names = vec![String::new(); keys.len()];
        for index in by_rank {
            names[index] = namer.name(keys[index]);
        }
        let ids = keys
            .iter()
            .enumerate()
            .map(|(index, key)| (*key, SymbolId(index)));
        let kinds = kinds(patch, &keys);
        Self {
            ids: ids.collect(),
            kinds,
            names,
            same,
            keys,
        }
    }

    /// The symbol of a key that the table was made with.
    pub(super) fn id(&self, key: Key<'d>) -> SymbolId {
        let key = self.same.get(&key).copied().unwrap_or(key);
        *self
            .ids
            .get(&key)
            .expect("the table has every destination and origin")
    }

    /// Whether the key has a symbol of its own, rather than that of an equal constant.
    pub(super) fn has(&self, key: Key<'d>) -> bool {
        self.ids.contains_key(&key)
    }

    /// The symbol's name.
    pub(super) fn name(&self, key: Key<'d>) -> &str {
        &self.names[self.id(key).0]
    }

    /// The references to the running program with their names.
    pub(super) fn references(&self) -> impl Iterator<Item = (Key<'d>, &str, SymbolKind)> {
        let all = self.keys.iter().zip(&self.names).zip(&self.kinds);
        all.filter(|((key, _), _)| matches!(key, Key::Running(_) | Key::External(_)))
            .map(|((key, name), kind)| (*key, name.as_str(), *kind))
    }

    /// The bundle's symbols, with definitions from `places`.
    pub(super) fn symbols(&self, places: &HashMap<Key<'d>, Definition>) -> Vec<Symbol> {
        let all = self.keys.iter().zip(&self.names).zip(&self.kinds);
        all.map(|((key, name), kind)| Symbol {
            name: name.clone(),
            kind: *kind,
            definition: places.get(key).copied(),
        })
        .collect()
    }
}

fn references<'d>(patch: &Patch<'_, 'd>, quiesce: &BTreeSet<OldAtom>) -> BTreeSet<Key<'d>> {
    let personalities = patch.closure.personalities.values();
    let destinations = patch.closure.destinations.values().flatten();
    let destinations = destinations.chain(personalities);
    let origins = patch.proof.origins.values().flatten();
    let pieces = patch.proof.copies.iter().filter(|copy| {
        patch.program.units[copy.unit]
            .pair
            .old
            .atom(copy.atom)
            .kind
            .is_code()
    });
    let linked = destinations
        .map(|to| Key::from(*to))
        .chain(origins.map(|to| Key::from(*to)));
    let named = pieces.chain(quiesce).map(|piece| Key::Running(*piece));
    let outside = |key: &Key<'_>| matches!(key, Key::Running(_) | Key::External(_));
    linked.chain(named).filter(outside).collect()
}

/// Strings and constants of equal contents share a symbol.
fn equal_constants<'d>(patch: &Patch<'_, 'd>) -> HashMap<Key<'d>, Key<'d>> {
    let destinations = patch.closure.destinations.values().flatten();
    let told: BTreeSet<OldAtom> = destinations
        .filter_map(|destination| match destination {
            Destination::Told(atom) => Some(*atom),
            _ => None,
        })
        .collect();
    let mut first = HashMap::new();
    let mut same = HashMap::new();
    let program = patch.program;
    let new = patch.closure.carried.iter();
    let new = new.map(|atom| {
        (
            Key::New(*atom),
            program.units[atom.unit].pair.new.atom(atom.atom),
        )
    });
    // What new code leads to has one place, whatever the linker did with equal ones.
    let old = patch
        .proof
        .copies
        .iter()
        .filter(|atom| !told.contains(atom));
    let old = old.map(|atom| {
        (
            Key::Old(*atom),
            program.units[atom.unit].pair.old.atom(atom.atom),
        )
    });
    for (key, atom) in new.chain(old) {
        if is_pooled(atom) {
            let is_new = matches!(key, Key::New(_));
            let one = *first.entry((is_new, atom.kind, atom.bytes)).or_insert(key);
            if one != key {
                same.insert(key, one);
            }
        }
    }
    same
}

/// Whether the atom shares a section with others of its kind.
pub(super) fn is_pooled(atom: &Atom<'_>) -> bool {
    matches!(atom.kind, AtomKind::String | AtomKind::Constant) && atom.links.is_empty()
}

fn kinds(patch: &Patch<'_, '_>, keys: &[Key<'_>]) -> Vec<SymbolKind> {
    let mut external = BTreeMap::new();
    for unit in &patch.program.units {
        for atom in unit.pair.old.atoms.iter().chain(&unit.pair.new.atoms) {
            if atom.section() == 0 && atom.symbol_kind != SymbolKind::Unknown {
                external.insert(atom.name, atom.symbol_kind);
            }
        }
    }
    let kind = |key: &Key<'_>| match key {
        Key::New(atom) => of_atom(patch.program.units[atom.unit].pair.new.atom(atom.atom)),
        Key::Old(atom) | Key::Running(atom) => {
            of_atom(patch.program.units[atom.unit].pair.old.atom(atom.atom))
        }
        Key::External(name) => external.get(name).copied().unwrap_or(SymbolKind::Unknown),
    };
    keys.iter().map(kind).collect()
}

fn of_atom(atom: &Atom<'_>) -> SymbolKind {
    match atom.kind {
        AtomKind::Function | AtomKind::Code => SymbolKind::Function,
        AtomKind::Tls => SymbolKind::Tls,
        _ => SymbolKind::Object,
    }
}
