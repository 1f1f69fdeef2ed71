//! Closures and local classes, which are named by their place: where one was added before others, each of these has the name
//! of the next one, and what lives would get another one's code.

use super::Objection;
use super::goal::{Goal, goal};
use crate::object::{AtomId, AtomKind, Object, Role, names, places};
use crate::pair::Pair;
use livepatch_bundle::Scope;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

/// The functions of a name but for the place: by the name in the source those that the compiler made of it, with their names.
type Family<'d> = BTreeMap<&'d str, BTreeMap<&'d str, AtomId>>;

/// Functions whose family has other members now, whose own code is another, and that something which lives on may call.
pub(super) fn shifted(pair: &Pair<'_>) -> Vec<Objection> {
    if pair.new.is_kernel {
        return Vec::new();
    }
    let news = families(&pair.new);
    let lasting = LazyCell::new(|| lasting(&pair.old));
    let mut found = Vec::new();
    for (base, olds) in families(&pair.old) {
        let Some(news) = news.get(&base).filter(|_| !is_of_std(&base)) else {
            continue;
        };
        if olds.keys().eq(news.keys()) {
            continue;
        }
        let both = olds.iter().flat_map(|(name, olds)| {
            let news = news.get(name);
            let made = olds.iter();
            made.filter_map(move |(name, old)| Some((name, *old, *news?.get(name)?)))
        });
        let other = |old, new| meaning(&pair.old, old) != meaning(&pair.new, new);
        let changed = both.filter(|(_, old, new)| other(*old, *new) && lasting.contains(old));
        found.extend(changed.map(|(name, ..)| Objection {
            name: (*name).to_owned(),
            reason: reason(&base, olds.len(), news.len()),
        }));
    }
    found
}

fn reason(base: &str, before: usize, now: usize) -> String {
    let what = match (now.checked_sub(before), before.checked_sub(now)) {
        (Some(1), _) => "1 was added".to_owned(),
        (Some(added @ 2..), _) => format!("{added} were added"),
        (_, Some(1)) => "1 was removed".to_owned(),
        (_, Some(removed @ 2..)) => format!("{removed} were removed"),
        _ => "they have other numbers now".to_owned(),
    };
    let of = base.strip_suffix("::{{closure}}").unwrap_or(base);
    format!(
        "closures and local classes of `{of}` are numbered by place, and {what}: live ones would get another one's code"
    )
}

/// Whether it is generic code of Rust's library, of which there is one for each type that it is used with.
fn is_of_std(base: &str) -> bool {
    let path = base.trim_start_matches(['<', '&']);
    let library = ["core::", "alloc::", "std::"];
    library.iter().any(|one| path.starts_with(one)) || base.contains(" as core::")
}

fn families<'d>(object: &Object<'d>) -> BTreeMap<String, Family<'d>> {
    let mut found: BTreeMap<String, Family<'d>> = BTreeMap::new();
    for (id, atom) in object.enumerate() {
        let whole = atom.kind == AtomKind::Function && names::cold_parent(atom.name).is_none();
        let name = source_name(atom.name);
        if whole && let Some(base) = places::base(name) {
            let family = found.entry(base).or_default();
            family.entry(name).or_default().insert(atom.name, id);
        }
    }
    found
}

/// Functions named by their place that a closure or object may lead to which lives on: those whose address the object or, for
/// what other files see, another one takes, and those of such names that they call. The others are called by name, and the
/// code that does so is replaced along with them. In Rust all: names do not tell which generic code belongs to a closure.
fn lasting(object: &Object<'_>) -> BTreeSet<AtomId> {
    let named = |id: &AtomId| {
        let atom = object.atom(*id);
        atom.kind.is_code() && places::base(atom.name).is_some()
    };
    let taken = taken(object);
    let lives = |id: &AtomId| {
        let atom = object.atom(*id);
        taken.contains(id) || atom.scope != Scope::Local || places::cxx_base(atom.name).is_none()
    };
    let all = object.enumerate().map(|(id, _)| id).filter(named);
    let mut queue: Vec<AtomId> = all.filter(lives).collect();
    let mut found: BTreeSet<AtomId> = queue.iter().copied().collect();
    while let Some(id) = queue.pop() {
        let callees = object.references(id).map(|link| link.target).filter(named);
        let new: Vec<AtomId> = callees.filter(|callee| found.insert(*callee)).collect();
        queue.extend(new);
    }
    found
}

/// Atoms that another function leads to by something else than calls of their start. Jumps count: the function that does so
/// has left the stack, so that nothing would wait for the end of what it began.
fn taken(object: &Object<'_>) -> BTreeSet<AtomId> {
    let mut found = BTreeSet::new();
    for (id, _) in object.enumerate() {
        let owner = object.owner(id);
        let own = |target| owner.is_some() && object.owner(target) == owner;
        let called = |target, at, role| role == Role::Call && at == 0 || own(target);
        let links = object.references(id);
        let taken = links.filter(|link| !called(link.target, link.at(), link.site.role));
        found.extend(taken.map(|link| link.target));
    }
    found
}

/// The name without what gcc adds for what it made of a function. Rust's names have dots of their own.
fn source_name(name: &str) -> &str {
    match names::is_clone(name) {
        true => names::origin(name),
        false => name,
    }
}

/// What code does, as far as bytes tell: its own without relocated fields, and what the fields lead to.
type Meaning<'d> = (Vec<u8>, Vec<(u64, i64, Goal<'d>)>);

fn meaning<'d>(object: &Object<'d>, id: AtomId) -> Meaning<'d> {
    let atom = object.atom(id);
    let mut bytes = atom.bytes.to_vec();
    for link in &atom.links {
        let start = usize::try_from(link.offset()).unwrap_or(usize::MAX);
        let end = start.saturating_add(link.kind.width()).min(bytes.len());
        bytes[start.min(end)..end].fill(0);
    }
    let goals = atom.references();
    let goals = goals.map(|link| (link.offset(), link.at(), goal(object.atom(link.target))));
    (bytes, goals.collect())
}
