//! Atoms whose names differ only in numbers.

use super::statics::Shifted;
use super::{Class, Correlation, class, has_several_sources, is_named};
use crate::object::{Atom, AtomId, Object, names, rust};
use crate::pair::Pair;
use std::collections::{BTreeMap, HashMap};

/// Old and new atoms that share a base name and are not correlated yet.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub old: Vec<AtomId>,
    pub new: Vec<AtomId>,
}

impl Group {
    /// Whether it is a group of functions.
    pub(super) fn is_code(&self, pair: &Pair<'_>) -> bool {
        let old = self.old.first().map(|id| class(pair.old.atom(*id)));
        let new = self.new.first().map(|id| class(pair.new.atom(*id)));
        old.or(new) == Some(Class::Code)
    }

    /// Pairs whose contents are equal, and unlike those of all others.
    pub(super) fn by_contents(&self, pair: &Pair<'_>) -> Vec<(AtomId, AtomId)> {
        let old = unique(&pair.old, &self.old);
        let new = unique(&pair.new, &self.new);
        let both = old.into_iter().filter_map(|(contents, old)| {
            let new = new.get(&contents).copied().flatten();
            Some((old?, new?))
        });
        let mut pairs: Vec<_> = both.collect();
        pairs.sort_unstable();
        pairs
    }
}

/// Bytes with the relocated fields blanked.
type Contents = (u64, Vec<u8>, Vec<(u64, i64)>);

fn unique(object: &Object<'_>, ids: &[AtomId]) -> HashMap<Contents, Option<AtomId>> {
    let mut found = HashMap::new();
    for id in ids {
        let entry = found.entry(contents(object.atom(*id)));
        entry.and_modify(|id| *id = None).or_insert(Some(*id));
    }
    found
}

fn contents(atom: &Atom<'_>) -> Contents {
    let mut bytes = atom.bytes.to_vec();
    for link in &atom.links {
        let start = link.offset() as usize;
        let end = start.saturating_add(link.kind.width()).min(bytes.len());
        bytes[start.min(end)..end].fill(0);
    }
    let links = atom
        .links
        .iter()
        .map(|link| (link.offset(), link.at()))
        .collect();
    (atom.size, bytes, links)
}

/// Everything with a name that is not correlated yet, by base name.
pub(super) fn groups(pair: &Pair<'_>, correlation: &Correlation, shifted: &Shifted) -> Vec<Group> {
    let mut groups: BTreeMap<(Class, String, Option<&str>), Group> = BTreeMap::new();
    let several = has_several_sources(&pair.old) || has_several_sources(&pair.new);
    let rehashed = rust::is_hash_changed(&pair.old, &pair.new);
    let path = |atom: &Atom<'_>| rust::path(atom.name).filter(|_| rehashed);
    let key = |atom: &Atom<'_>, place: Option<&str>| {
        let name = place.map(str::to_owned).or_else(|| path(atom));
        (class(atom), name.unwrap_or_else(|| names::base(atom.name)))
    };
    for (id, atom) in pair.old.enumerate() {
        if is_named(atom) && correlation.new_of(id).is_none() {
            let (class, base) = key(atom, shifted.of_old(id));
            let source = pair.old.source(atom).filter(|_| several);
            groups
                .entry((class, base, source))
                .or_default()
                .old
                .push(id);
        }
    }
    for (id, atom) in pair.new.enumerate() {
        if is_named(atom) && correlation.old_of(id).is_none() {
            let (class, base) = key(atom, shifted.of_new(id));
            let source = pair.new.source(atom).filter(|_| several);
            groups
                .entry((class, base, source))
                .or_default()
                .new
                .push(id);
        }
    }
    let both = groups.into_values();
    both.filter(|group| !group.old.is_empty() && !group.new.is_empty())
        .collect()
}
