//! Which old function or variable is which new one.
//!
//! Names decide where they can: of global symbols always, of local ones when nothing else in the object has the name.
//! Compilers number clones and static locals in the order in which they meet them, so numbers say nothing
//! ([`names`]); what is left is told apart by contents and by who uses it. What cannot be told apart
//! is correlated with nothing: for a function that only means that more code travels, since its callers are then
//! changed, too; for a variable it is [ambiguous](Correlation::ambiguous), and a patch that needs it is refused.

mod groups;
mod statics;
mod variables;

use crate::object::mapping::Mapping;
use crate::object::raw::SourceId;
use crate::object::{Atom, AtomId, AtomKind, Object, names, rust};
use crate::pair::Pair;
use groups::{Group, groups};
use statics::Shifted;
use std::collections::{BTreeSet, HashMap};

/// One-to-one, between named atoms of a pair.
#[derive(Debug, Default)]
pub struct Correlation {
    to_new: Mapping,
    to_old: Mapping,
    /// New variables that may be an existing one or another.
    pub ambiguous: BTreeSet<AtomId>,
    /// New variables that are taken for an existing one though another function uses them; the author is told.
    pub followed: BTreeSet<AtomId>,
}

impl Correlation {
    /// Correlates the atoms of a pair.
    #[must_use]
    pub fn of(pair: &Pair<'_>) -> Self {
        let mut correlation = Self {
            to_new: Mapping::new(pair.old.atoms.len()),
            to_old: Mapping::new(pair.new.atoms.len()),
            ambiguous: BTreeSet::new(),
            followed: BTreeSet::new(),
        };
        let shifted = Shifted::of(pair);
        correlation.globals(pair, &shifted);
        correlation.exact(pair, &shifted);
        correlation.nameless(pair);
        let left = groups(pair, &correlation, &shifted);
        for group in left.iter().filter(|group| group.is_code(pair)) {
            correlation.clones(pair, group);
        }
        variables::correlate(pair, &left, &mut correlation);
        correlation.externals(pair);
        correlation.pieces(pair);
        correlation
    }

    /// The new version of an old atom.
    #[must_use]
    pub fn new_of(&self, old: AtomId) -> Option<AtomId> {
        self.to_new.get(old.0).map(AtomId)
    }

    /// The old version of a new atom.
    #[must_use]
    pub fn old_of(&self, new: AtomId) -> Option<AtomId> {
        self.to_old.get(new.0).map(AtomId)
    }

    /// Correlates the two, unless one already is.
    fn join(&mut self, old: AtomId, new: AtomId) {
        if self.new_of(old).is_none() && self.old_of(new).is_none() {
            self.to_new.set(old.0, new.0);
            self.to_old.set(new.0, old.0);
        }
    }

    fn globals(&mut self, pair: &Pair<'_>, shifted: &Shifted) {
        let mut by_name = HashMap::new();
        let new = pair.new.enumerate().filter(|(_, atom)| is_named(atom));
        for (id, atom) in new.filter(|(id, _)| shifted.of_new(*id).is_none()) {
            by_name.extend(atom.globals().map(|name| ((class(atom), name), id)));
        }
        let old = pair.old.enumerate().filter(|(_, atom)| is_named(atom));
        for (id, atom) in old.filter(|(id, _)| shifted.of_old(*id).is_none()) {
            for name in atom.globals() {
                if let Some(new) = by_name.get(&(class(atom), name)) {
                    self.join(id, *new);
                }
            }
        }
    }

    /// Local symbols whose name says all, and symbols that became local or global.
    fn exact(&mut self, pair: &Pair<'_>, shifted: &Shifted) {
        let several = [&pair.old, &pair.new].map(has_several_sources);
        let in_old = |id: &AtomId| name(&pair.old, *id, several[0]);
        let in_new = |id: &AtomId| name(&pair.new, *id, several[1]);
        let free = |id| self.new_of(id).is_none() && shifted.of_old(id).is_none();
        let old = unique_names(&pair.old, in_old, free);
        let free = |id| self.old_of(id).is_none() && shifted.of_new(id).is_none();
        let new = unique_names(&pair.new, in_new, free);
        let mut rest = new.into_iter().peekable();
        for old in old {
            let name = in_old(&old);
            while rest.next_if(|id| in_new(id) < name).is_some() {}
            if let Some(new) = rest.next_if(|id| in_new(id) == name) {
                self.join(old, new);
            }
        }
    }

    /// Variables and code without a name: the n-th of its section.
    fn nameless(&mut self, pair: &Pair<'_>) {
        let (old, new) = (unnamed(&pair.old), unnamed(&pair.new));
        for (key, id) in old {
            if let Some(new) = new.get(&key) {
                self.join(id, *new);
            }
        }
    }

    /// Clones that the optimiser made. Which is which matters to nobody but their callers, whose code tells when it
    /// calls another one: any pairing is right, and equal contents make the smallest patch.
    fn clones(&mut self, pair: &Pair<'_>, group: &Group) {
        let all_clones = group
            .old
            .iter()
            .all(|id| names::is_clone(pair.old.atom(*id).name));
        if let ([old], [new]) = (&group.old[..], &group.new[..]) {
            self.join(*old, *new);
            return;
        }
        for (old, new) in group.by_contents(pair) {
            self.join(old, new);
        }
        if all_clones {
            for old in &group.old {
                let name = pair.old.atom(*old).name;
                let same = group
                    .new
                    .iter()
                    .find(|new| pair.new.atom(**new).name == name);
                if let Some(new) = same {
                    self.join(*old, *new);
                }
            }
        }
    }

    /// Functions and variables of other crates whose hash is another in the new object: known by their path.
    fn externals(&mut self, pair: &Pair<'_>) {
        if !rust::is_hash_changed(&pair.old, &pair.new) {
            return;
        }
        let known = |object: &Object<'_>| -> BTreeSet<String> {
            let undefined = object.atoms.iter().filter(|atom| is_undefined(atom));
            undefined.map(|atom| atom.name.to_owned()).collect()
        };
        let (in_old, in_new) = (known(&pair.old), known(&pair.new));
        let old = unique_paths(&pair.old, |atom| !in_new.contains(atom.name));
        let new = unique_paths(&pair.new, |atom| !in_old.contains(atom.name));
        for (path, id) in old {
            if let (Some(old), Some(Some(new))) = (id, new.get(&path)) {
                self.join(old, *new);
            }
        }
    }

    /// Pieces that were split off correlated functions.
    fn pieces(&mut self, pair: &Pair<'_>) {
        for function in &pair.old.functions {
            let new = self
                .new_of(function.entry())
                .and_then(|entry| pair.new.owner(entry));
            let Some(new) = new.map(|new| pair.new.function(new)) else {
                continue;
            };
            if new.piece_count() == function.piece_count() {
                for (old, new) in function.pieces().zip(new.pieces()).skip(1) {
                    self.join(old, new);
                }
            }
        }
    }
}

/// Kinds of atoms that may correlate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Class {
    Code,
    Object,
    Tls,
}

fn class(atom: &Atom<'_>) -> Class {
    match atom.kind {
        AtomKind::Function | AtomKind::Code => Class::Code,
        AtomKind::Tls => Class::Tls,
        _ => Class::Object,
    }
}

/// Whether the atom is defined here under a name that means something.
fn is_named(atom: &Atom<'_>) -> bool {
    let kinds = matches!(
        atom.kind,
        AtomKind::Function | AtomKind::Data | AtomKind::ReadOnly | AtomKind::Tls
    );
    kinds && !atom.name.is_empty() && !atom.is_private() && names::cold_parent(atom.name).is_none()
}

type Name<'d> = (Class, &'d str, Option<&'d str>);

/// Atoms whose names have no numbers and are no other's, by name.
fn unique_names<'d>(
    object: &Object<'d>,
    name: impl Fn(&AtomId) -> Name<'d>,
    free: impl Fn(AtomId) -> bool,
) -> Vec<AtomId> {
    let named = object
        .enumerate()
        .filter(|(id, atom)| is_named(atom) && free(*id) && !names::is_numbered(atom.name));
    let mut ids: Vec<AtomId> = named.map(|(id, _)| id).collect();
    ids.sort_unstable_by_key(&name);
    let same = |one: &AtomId, other: &AtomId| name(one) == name(other);
    let alone = ids.chunk_by(same).filter(|chunk| chunk.len() == 1);
    alone.flatten().copied().collect()
}

/// What an atom is called; source files count only in an object that was linked from several.
fn name<'d>(object: &Object<'d>, id: AtomId, several: bool) -> Name<'d> {
    let atom = object.atom(id);
    let source = object.source(atom).filter(|_| several);
    (class(atom), atom.name, source)
}

fn is_undefined(atom: &Atom<'_>) -> bool {
    atom.kind == AtomKind::Undefined
}

/// Symbols of other files by their path in Rust; `None` for a path that several have.
fn unique_paths(
    object: &Object<'_>,
    wanted: impl Fn(&Atom<'_>) -> bool,
) -> HashMap<String, Option<AtomId>> {
    let mut found = HashMap::new();
    for (id, atom) in object.enumerate() {
        if is_undefined(atom)
            && wanted(atom)
            && let Some(path) = rust::path(atom.name)
        {
            let entry = found.entry(path);
            entry.and_modify(|id| *id = None).or_insert(Some(id));
        }
    }
    found
}

fn has_several_sources(object: &Object<'_>) -> bool {
    let sources = object.atoms.iter().map(|atom| atom.source);
    let sources: BTreeSet<_> = sources.filter(|id| *id != SourceId::NONE).collect();
    sources.len() > 1
}

fn unnamed<'d>(object: &Object<'d>) -> std::collections::BTreeMap<(&'d str, usize), AtomId> {
    let mut counts = HashMap::new();
    let mut found = std::collections::BTreeMap::new();
    for (id, atom) in object.enumerate() {
        let mute = matches!(atom.kind, AtomKind::Code | AtomKind::Data | AtomKind::Tls);
        if mute && atom.name.is_empty() {
            let section = object.section_name(id);
            let count: &mut usize = counts.entry(section).or_default();
            found.insert((section, *count), id);
            *count += 1;
        }
    }
    found
}
