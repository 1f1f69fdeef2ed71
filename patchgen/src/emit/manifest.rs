//! The manifest of a bundle.

use super::Patch;
use super::distant::Distant;
use super::table::{Key, Table};
use crate::object::{Atom, AtomId, AtomKind, FunctionId};
use crate::program::{NewAtom, OldAtom};
use livepatch_bundle::{Function, Hook, Manifest, Piece, Reference, SCHEMA, Scope, SymbolKind};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The manifest, without what only a target can tell.
pub(super) fn of<'d>(
    patch: &Patch<'_, 'd>,
    table: &Table<'d>,
    distant: &BTreeMap<NewAtom, Distant>,
    quiesce: &BTreeSet<OldAtom>,
) -> Manifest {
    let names = Names::new(patch);
    let replaced = patch.closure.replaced.iter().filter_map(|replaced| {
        let function = owner(patch, replaced.old)?;
        let mut entry = self::function(patch, &names, table, replaced.old.unit, function);
        entry.new = Some(table.name(Key::New(replaced.new)).to_owned());
        entry.reason.clone_from(&replaced.reason);
        Some(entry)
    });
    let anchors = patch.anchors.iter();
    Manifest {
        schema: SCHEMA,
        tool: concat!("patchgen ", env!("CARGO_PKG_VERSION")).to_owned(),
        name: patch.labels.name.clone(),
        description: patch.labels.description.clone(),
        supersedes: patch.labels.supersedes.clone(),
        modules: Vec::new(),
        functions: replaced.collect(),
        anchors: anchors
            .map(|a| function(patch, &names, table, a.unit, a.function))
            .collect(),
        references: table
            .references()
            .map(|entry| reference(patch, &names, entry))
            .collect(),
        quiesce: quiesce
            .iter()
            .map(|atom| table.name(Key::Running(*atom)).to_owned())
            .collect(),
        hooks: patch
            .closure
            .hooks
            .iter()
            .map(|hook| Hook {
                phase: hook.phase,
                function: table.name(Key::New(hook.function)).to_owned(),
            })
            .collect(),
        lines: super::lines::of(patch, table, distant),
        warnings: patch.warnings.clone(),
    }
}

fn owner(patch: &Patch<'_, '_>, old: OldAtom) -> Option<FunctionId> {
    patch.program.units[old.unit].pair.old.owner(old.atom)
}

fn function<'d>(
    patch: &Patch<'_, 'd>,
    names: &Names<'d>,
    table: &Table<'d>,
    unit: usize,
    function: FunctionId,
) -> Function {
    let pair = &patch.program.units[unit].pair;
    let own = pair.old.function(function);
    let entry = pair.old.atom(own.entry());
    let piece = |atom: AtomId| {
        let old = OldAtom { unit, atom };
        Piece {
            old: table.name(Key::Old(old)).to_owned(),
            running: table.name(Key::Running(old)).to_owned(),
        }
    };
    Function {
        name: entry.name.to_owned(),
        aliases: names.aliases(entry),
        scope: entry.scope,
        object: pair.name.clone(),
        source: pair.old.source(entry).map(str::to_owned),
        pieces: own.pieces().map(piece).collect(),
        new: None,
        reason: String::new(),
    }
}

fn reference(
    patch: &Patch<'_, '_>,
    names: &Names<'_>,
    (key, symbol, kind): (Key<'_>, &str, SymbolKind),
) -> Reference {
    let symbol = symbol.to_owned();
    let old = match key {
        Key::Running(old) => old,
        Key::External(name) => {
            return Reference {
                hidden: names.hidden.contains(name),
                ..external(symbol, name, kind, !names.required.contains(name))
            };
        }
        Key::New(_) | Key::Old(_) => unreachable!("definitions are no references"),
    };
    let object = &patch.program.units[old.unit].pair.old;
    let atom = object.atom(old.atom);
    Reference {
        symbol,
        name: object.label(old.atom),
        scope: atom.scope,
        kind,
        size: atom.size,
        defined: true,
        weak: false,
        hidden: atom.scope == Scope::Global && names.hidden.contains(atom.name),
        source: object.source(atom).map(str::to_owned),
        located: Vec::new(),
    }
}

/// What all objects say of names.
struct Names<'d> {
    /// Symbols of other files without which nothing is linked.
    required: HashSet<&'d str>,
    /// Global symbols that no other module can define: the linker takes the strictest visibility of all objects.
    hidden: HashSet<&'d str>,
    /// Other names of weak symbols that an old object defines: the linker may take the code of any of them.
    copies: HashMap<&'d str, BTreeSet<&'d str>>,
}

impl<'d> Names<'d> {
    fn new(patch: &Patch<'_, 'd>) -> Self {
        let units = patch.program.units.iter();
        let old = units.clone().flat_map(|unit| &unit.pair.old.atoms);
        let mut copies: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for atom in old.filter(|atom| atom.weak && atom.aliases().next().is_some()) {
            copies.entry(atom.name).or_default().extend(atom.aliases());
        }
        let atoms = units.flat_map(|unit| unit.pair.old.atoms.iter().chain(&unit.pair.new.atoms));
        let required = atoms
            .clone()
            .filter(|atom| atom.kind == AtomKind::Undefined && !atom.weak);
        let hidden = atoms.filter(|atom| atom.hidden && atom.scope == Scope::Global);
        Self {
            required: required.map(|atom| atom.name).collect(),
            hidden: hidden.map(|atom| atom.name).collect(),
            copies,
        }
    }

    /// Other names of an old function; of a weak one also those that another object's copy has.
    fn aliases(&self, own: &Atom<'d>) -> Vec<String> {
        let copies = self.copies.get(own.name).filter(|_| own.weak);
        let copies = copies.into_iter().flatten().copied();
        let aliases: BTreeSet<&str> = own.aliases().chain(copies).collect();
        aliases.into_iter().map(str::to_owned).collect()
    }
}

fn external(symbol: String, name: &str, kind: SymbolKind, weak: bool) -> Reference {
    Reference {
        symbol,
        name: name.to_owned(),
        scope: Scope::Global,
        kind,
        size: 0,
        defined: false,
        weak,
        hidden: false,
        source: None,
        located: Vec::new(),
    }
}

/// The entries of the functions to quiesce.
///
/// # Errors
/// Those that the old objects do not define.
pub(super) fn quiesced(patch: &Patch<'_, '_>) -> Result<Vec<OldAtom>, Vec<String>> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for name in &patch.labels.quiesce {
        let before = found.len();
        for (unit, analysed) in patch.program.units.iter().enumerate() {
            let atoms = analysed.pair.old.enumerate();
            let named = atoms.filter(|(_, atom)| {
                atom.kind == AtomKind::Function
                    && (atom.name == name || atom.aliases().any(|alias| alias == name))
            });
            found.extend(named.map(|(atom, _)| OldAtom { unit, atom }));
        }
        if found.len() == before {
            unknown.push(name.clone());
        }
    }
    if unknown.is_empty() {
        Ok(found)
    } else {
        Err(unknown)
    }
}
