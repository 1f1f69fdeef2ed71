//! Closures and local classes, which are named by their place: where one was added before others, each of these has the name
//! of the next one, and what lives would get another one's code.

use crate::object::{Atom, AtomId, AtomKind, Object, names, places};
use crate::pair::Pair;
use std::collections::BTreeMap;

/// A function that has the name of another one now, and why that is thought.
pub(super) struct Shifted {
    pub(super) name: String,
    pub(super) reason: String,
}

/// The functions of a name but for the place, by name.
type Family<'d> = BTreeMap<&'d str, AtomId>;

/// Functions whose family has other members now, and whose own code is another.
pub(super) fn shifted(pair: &Pair<'_>) -> Vec<Shifted> {
    if pair.new.is_kernel {
        return Vec::new();
    }
    let news = families(&pair.new);
    let mut found = Vec::new();
    for (base, olds) in families(&pair.old) {
        let Some(news) = news.get(&base).filter(|_| !is_of_std(&base)) else {
            continue;
        };
        if olds.keys().eq(news.keys()) {
            continue;
        }
        let both = olds
            .iter()
            .filter_map(|(name, old)| Some((name, *old, *news.get(name)?)));
        let other = |old, new| meaning(&pair.old, old) != meaning(&pair.new, new);
        let changed = both.filter(|(_, old, new)| other(*old, *new));
        found.extend(changed.map(|(name, ..)| Shifted {
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
        let whole = !names::is_clone(atom.name) && names::cold_parent(atom.name).is_none();
        if atom.kind == AtomKind::Function
            && whole
            && let Some(base) = places::base(atom.name)
        {
            found.entry(base).or_default().insert(atom.name, id);
        }
    }
    found
}

/// What code does, as far as bytes tell: its own without relocated fields, and what the fields lead to.
type Meaning<'d> = (Vec<u8>, Vec<(u64, i64, Goal<'d>)>);

/// What a field leads to: a name, or contents. Of constants with pointers only that they are such: places in the source,
/// which panics tell, have line numbers.
#[derive(PartialEq, Eq)]
enum Goal<'d> {
    Name(&'d str),
    Bytes(&'d [u8]),
    Pointers,
}

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

fn goal<'d>(atom: &Atom<'d>) -> Goal<'d> {
    match atom.name {
        _ if atom.is_private() && !atom.links.is_empty() => Goal::Pointers,
        _ if atom.is_private() => Goal::Bytes(atom.bytes),
        name => Goal::Name(name),
    }
}
