//! Code that has run and will not run again: constructors, and initialisers of static locals.
//!
//! New code that expects what they do now would not find it: a static table of forbidden names would stay empty.

use super::Objection;
use super::guarded::guarded;
use super::unit::{AT_START, is_of_family};
use crate::object::{AtomId, Object};
use crate::pair::Users;
use crate::program::Unit;
use std::collections::{BTreeMap, BTreeSet};

/// What begins the names of the functions in which compilers gather initialisers.
const GATHERED: [&str; 4] = [
    "_GLOBAL__sub_I_",
    "_GLOBAL__I_",
    "_Z41__static_initialization_and_destruction_0",
    "__cxx_global_var_init",
];

/// What begins the names of functions that initialise variables of a thread (`_ZTH`: Itanium C++ ABI, 5.1.4.5).
const OF_THREAD: [&str; 2] = ["__tls_init", "_ZTH"];

/// Everything that changed too late; `allowed` names functions and variables of which that does not matter.
pub(super) fn late(unit: &Unit<'_>, allowed: &[String]) -> Vec<Objection> {
    if unit.pair.new.is_kernel {
        return Vec::new();
    }
    let changed = unit.comparison.changed();
    if changed.is_empty() {
        return Vec::new();
    }
    let is_allowed = |name: &str| allowed.iter().any(|other| other == name);
    let new = &unit.pair.new;
    let at_start = called_at_start(new);
    let mut found = BTreeMap::new();
    for function in changed {
        let entry = new.function(function).entry();
        let name = new.atom(entry).name;
        let gathered = GATHERED.iter().any(|prefix| name.starts_with(prefix));
        if at_start.contains(&entry) || gathered {
            found.insert(
                name.to_owned(),
                "it runs when the program starts, and changed: what it does now would never be done (`--allow-data` accepts that)",
            );
        }
        if OF_THREAD.iter().any(|prefix| name.starts_with(prefix)) {
            found.insert(
                name.to_owned(),
                "it initialises variables of each thread, and changed: threads that run keep what they have (`--allow-data` accepts that)",
            );
        }
        let guarded = guarded(unit, entry).into_iter();
        found.extend(guarded.map(|variable| {
            let reason = "it is initialised when it is first used, and the initialiser changed: what lives keeps its value \
                          (`--allow-data` accepts that)";
            (variable, reason)
        }));
    }
    let late = found.into_iter().filter(|(name, _)| !is_allowed(name));
    late.map(|(name, reason)| Objection {
        name,
        reason: reason.to_owned(),
    })
    .collect()
}

/// Functions that only run when the program starts: what constructors' sections lead to, and what only such functions use.
fn called_at_start(object: &Object<'_>) -> BTreeSet<AtomId> {
    let tables = object
        .enumerate()
        .filter(|(id, _)| is_of_family(object.section_name(*id), &AT_START));
    let roots = tables.flat_map(|(_, atom)| atom.references().map(|link| link.target));
    let mut found: BTreeSet<AtomId> = roots.collect();
    if found.is_empty() {
        return found;
    }
    let users = Users::of(object);
    let mut queue: Vec<AtomId> = found.iter().copied().collect();
    while let Some(caller) = queue.pop() {
        let pieces = object
            .owner(caller)
            .map(|function| object.function(function).pieces());
        let links = pieces
            .into_iter()
            .flatten()
            .flat_map(|piece| object.references(piece));
        let callees = links.filter_map(|link| object.owner(link.target));
        let callees = callees.map(|function| object.function(function).entry());
        let new: Vec<AtomId> = callees
            .filter(|callee| {
                !found.contains(callee) && only_used_by(object, &users, *callee, &found)
            })
            .collect();
        found.extend(new.iter().copied());
        queue.extend(new);
    }
    found
}

/// Whether a function that no other file sees is used by these functions only, and by itself.
fn only_used_by(
    object: &Object<'_>,
    users: &Users,
    function: AtomId,
    callers: &BTreeSet<AtomId>,
) -> bool {
    let own = object.owner(function);
    let is_known = |user: &AtomId| {
        let owner = object.owner(*user);
        let entry = owner.map(|owner| object.function(owner).entry());
        owner == own || entry.is_some_and(|entry| callers.contains(&entry))
    };
    !object.atom(function).is_global() && users.of_atom(function).iter().all(is_known)
}
