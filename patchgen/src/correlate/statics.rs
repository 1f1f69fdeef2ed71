//! Static locals of C++ of one name in one function, which have numbers: `_ZZ1fiE1n`, `_ZZ1fiE1n_0`.
//!
//! As long as old and new have the same, the number tells which is which. Where one was added or removed it does not:
//! all that follow have other numbers.

use crate::object::{AtomId, AtomKind, Object, places};
use crate::pair::Pair;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Old and new variables whose numbers say nothing, by their names without them.
#[derive(Debug, Default)]
pub(super) struct Shifted {
    old: HashMap<AtomId, String>,
    new: HashMap<AtomId, String>,
}

impl Shifted {
    /// Those of which the pair has other ones now.
    pub(super) fn of(pair: &Pair<'_>) -> Self {
        let mut found = Self::default();
        if pair.new.is_kernel {
            return found;
        }
        let mut news = families(&pair.new);
        for (base, olds) in families(&pair.old) {
            let Some(news) = news.remove(&base) else {
                continue;
            };
            if names(&pair.old, &olds) != names(&pair.new, &news) {
                found
                    .old
                    .extend(olds.into_iter().map(|id| (id, base.clone())));
                found
                    .new
                    .extend(news.into_iter().map(|id| (id, base.clone())));
            }
        }
        found
    }

    /// The name without the number, of an old variable whose number says nothing.
    pub(super) fn of_old(&self, id: AtomId) -> Option<&str> {
        self.old.get(&id).map(String::as_str)
    }

    /// The same of a new variable.
    pub(super) fn of_new(&self, id: AtomId) -> Option<&str> {
        self.new.get(&id).map(String::as_str)
    }
}

fn families(object: &Object<'_>) -> BTreeMap<String, Vec<AtomId>> {
    let mut found: BTreeMap<String, Vec<AtomId>> = BTreeMap::new();
    for (id, atom) in object.enumerate() {
        if matches!(atom.kind, AtomKind::Data | AtomKind::Tls)
            && let Some(base) = places::cxx_base(atom.name)
        {
            found.entry(base).or_default().push(id);
        }
    }
    found
}

fn names<'d>(object: &Object<'d>, ids: &[AtomId]) -> BTreeSet<&'d str> {
    ids.iter().map(|id| object.atom(*id).name).collect()
}
