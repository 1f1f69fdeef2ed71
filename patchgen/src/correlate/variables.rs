//! Static locals: variables that share a name with others and are told apart by who uses them.
//!
//! A wrong pairing would give a function somebody else's state, so two must agree in their users, and be alone in
//! that, to be taken for the same variable.

use super::Correlation;
use super::groups::Group;
use crate::object::{AtomId, AtomKind, Object, Role, names};
use crate::pair::{Pair, Users};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Correlates the variables of the groups.
pub(super) fn correlate(pair: &Pair<'_>, groups: &[Group], correlation: &mut Correlation) {
    let groups: Vec<&Group> = groups.iter().filter(|group| !group.is_code(pair)).collect();
    if groups.is_empty() {
        return;
    }
    let votes = Votes::count(pair, correlation);
    let sides = Sides {
        old: Names::of(&pair.old),
        new: Names::of(&pair.new),
    };
    for group in groups {
        for (old, new) in votes.agreed(group) {
            correlation.join(old, new);
        }
        sides.by_users(pair, group, correlation);
        leave(pair, group, correlation);
    }
}

/// What is left of a group is ambiguous, unless all old ones found their new one: then the rest is new. Constants have
/// no state, so that it does no harm to carry another copy of one.
fn leave(pair: &Pair<'_>, group: &Group, correlation: &mut Correlation) {
    let lost = group
        .old
        .iter()
        .any(|old| correlation.new_of(*old).is_none());
    for new in &group.new {
        if lost && pair.new.atom(*new).kind.is_variable() && correlation.old_of(*new).is_none() {
            correlation.ambiguous.insert(*new);
        }
    }
}

/// How often functions with equal code use an old variable where the new code uses a new one.
struct Votes(
    BTreeMap<AtomId, BTreeSet<AtomId>>,
    BTreeMap<AtomId, BTreeSet<AtomId>>,
);

impl Votes {
    fn count(pair: &Pair<'_>, correlation: &Correlation) -> Self {
        let mut votes = Self(BTreeMap::new(), BTreeMap::new());
        for (id, old) in pair.old.enumerate() {
            let Some(new) = correlation.new_of(id).map(|new| pair.new.atom(new)) else {
                continue;
            };
            let links = old.links.iter().zip(&new.links);
            let alike = old.bytes == new.bytes
                && old.links.len() == new.links.len()
                && links
                    .clone()
                    .all(|(a, b)| (a.offset(), a.kind, a.at()) == (b.offset(), b.kind, b.at()));
            if alike {
                for (a, b) in links {
                    votes.0.entry(a.target).or_default().insert(b.target);
                    votes.1.entry(b.target).or_default().insert(a.target);
                }
            }
        }
        votes
    }

    /// Pairs of the group that all votes agree on.
    fn agreed(&self, group: &Group) -> Vec<(AtomId, AtomId)> {
        let only = |map: &BTreeMap<AtomId, BTreeSet<AtomId>>, id| {
            map.get(&id)
                .filter(|set| set.len() == 1)
                .and_then(|set| set.first().copied())
        };
        let members: BTreeSet<AtomId> = group.new.iter().copied().collect();
        let pairs = group.old.iter().filter_map(|old| {
            let new = only(&self.0, *old)?;
            let back = only(&self.1, new)?;
            (back == *old && members.contains(&new)).then_some((*old, new))
        });
        pairs.collect()
    }
}

/// Names of the functions that use an atom, without numbers.
struct Names<'p, 'd> {
    object: &'p Object<'d>,
    users: Users,
}

impl<'p, 'd> Names<'p, 'd> {
    fn of(object: &'p Object<'d>) -> Self {
        Self {
            object,
            users: Users::of(object),
        }
    }

    fn of_atom(&self, id: AtomId) -> BTreeSet<String> {
        let users = self
            .users
            .of_atom(id)
            .iter()
            .map(|user| self.object.atom(*user));
        users
            .map(|user| {
                let base = names::base(user.name);
                // Clones and split-off parts are the function that they were made of.
                base.split('.').next().unwrap_or_default().to_owned()
            })
            .collect()
    }
}

impl Names<'_, '_> {
    /// What its users do with which places of a variable.
    fn uses(&self, id: AtomId) -> HashSet<(i64, Role)> {
        let users = self.users.of_atom(id).iter();
        let links = users.flat_map(|user| self.object.references(*user));
        links
            .filter(|link| link.target == id)
            .map(|link| (link.at(), link.site.role))
            .collect()
    }
}

struct Sides<'p, 'd> {
    old: Names<'p, 'd>,
    new: Names<'p, 'd>,
}

impl Sides<'_, '_> {
    /// Joins what agrees in size and kind and shares users with nobody else of the group.
    fn by_users(&self, pair: &Pair<'_>, group: &Group, correlation: &mut Correlation) {
        let mut old = group.old.clone();
        old.retain(|id| correlation.new_of(*id).is_none());
        let mut new = group.new.clone();
        new.retain(|id| correlation.old_of(*id).is_none());
        if let ([old], [new]) = (&old[..], &new[..]) {
            if self.may_be_one(pair, *old, *new) {
                correlation.join(*old, *new);
            } else if self.went_along(pair, *old, *new) {
                correlation.join(*old, *new);
                correlation.followed.insert(*new);
            }
            return;
        }
        let kin = Kin::of(self, &old, &new);
        let alike = |old: AtomId, new: AtomId| {
            let (a, b) = (pair.old.atom(old), pair.new.atom(new));
            (a.kind, a.size) == (b.kind, b.size)
        };
        for one in old {
            let new = only(kin.new_of(one).filter(|new| alike(one, *new)));
            let back = new.and_then(|new| only(kin.old_of(new).filter(|old| alike(*old, new))));
            if let (Some(new), Some(_)) = (new, back) {
                correlation.join(one, new);
            }
        }
    }

    /// Whether the only ones of a name are the same: they share users, or nothing in the name is a number.
    fn may_be_one(&self, pair: &Pair<'_>, old: AtomId, new: AtomId) -> bool {
        let (a, b) = (self.old.of_atom(old), self.new.of_atom(new));
        // A constant that nobody uses any more is nobody's state.
        let idle = pair.new.atom(new).kind == AtomKind::ReadOnly && b.is_empty();
        idle || !a.is_disjoint(&b) || !names::is_numbered(pair.old.atom(old).name)
    }

    /// Whether a variable of a kernel's function went into a new one that only that function calls. Kernel code is split so often
    /// that this is taken for the same variable if size and contents are the same and it is used alike; elsewhere it
    /// cannot be told. Another variable of the same name would pass for it only if new code did with it what the old did.
    fn went_along(&self, pair: &Pair<'_>, old: AtomId, new: AtomId) -> bool {
        let (before, after) = (pair.old.atom(old), pair.new.atom(new));
        let alike =
            (before.kind, before.size, before.bytes) == (after.kind, after.size, after.bytes);
        let users = self.old.of_atom(old);
        let known = |name: &str| pair.old.atoms.iter().any(|atom| atom.name == name);
        let followed = |user: &AtomId| {
            let callers = self.new.of_atom(*user);
            let is_new = !known(pair.new.atom(*user).name);
            is_new && !callers.is_empty() && callers.is_subset(&users)
        };
        let own = self.new.users.of_atom(new);
        let followed = pair.new.is_kernel && alike && !own.is_empty() && own.iter().all(followed);
        followed && self.old.uses(old) == self.new.uses(new)
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

/// Variables of a group by the functions that use them.
struct Kin {
    users: [BTreeMap<AtomId, BTreeSet<String>>; 2],
    used: [BTreeMap<String, BTreeSet<AtomId>>; 2],
}

impl Kin {
    fn of(sides: &Sides<'_, '_>, old: &[AtomId], new: &[AtomId]) -> Self {
        let mut kin = Self {
            users: [BTreeMap::new(), BTreeMap::new()],
            used: [BTreeMap::new(), BTreeMap::new()],
        };
        for (side, names, ids) in [(0, &sides.old, old), (1, &sides.new, new)] {
            for id in ids {
                let users = names.of_atom(*id);
                for user in &users {
                    kin.used[side].entry(user.clone()).or_default().insert(*id);
                }
                kin.users[side].insert(*id, users);
            }
        }
        kin
    }

    /// New variables that share a user with an old one.
    fn new_of(&self, old: AtomId) -> impl Iterator<Item = AtomId> {
        self.across(0, old).into_iter()
    }

    /// Old variables that share a user with a new one.
    fn old_of(&self, new: AtomId) -> impl Iterator<Item = AtomId> {
        self.across(1, new).into_iter()
    }

    fn across(&self, side: usize, id: AtomId) -> BTreeSet<AtomId> {
        let users = self.users[side].get(&id).into_iter().flatten();
        users
            .filter_map(|user| self.used[1 - side].get(user))
            .flatten()
            .copied()
            .collect()
    }
}
