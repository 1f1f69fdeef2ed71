//! Variables that changed functions used and that no new object has, although the source still has them.
//!
//! Compilers take a static variable that nothing writes any more for a constant: they put its initial value into the code that
//! reads it, and the variable goes away. The running one may hold another value. Whether it was removed from the source
//! instead is told by debug information, in which a variable that is declared stays, without a place (DWARF 5, 4.1:
//! no `DW_AT_location`). The same is told of one that is only written, and of one that is declared and not used: those are refused, too.
//! A variable that becomes read-only is seen when its contents are compared.

use super::Objection;
use crate::hooks;
use crate::object::{Atom, AtomId, AtomKind, FunctionId, Object, names, places, rust};
use crate::pair::{Pair, Users};
use crate::program::{Program, Unit};
use crate::types::{self, Key, Types};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

/// The lost variables of the `index`-th pair; `allowed` names those that may be.
pub(super) fn variables(program: &Program<'_>, index: usize, allowed: &[String]) -> Vec<Objection> {
    let unit = &program.units[index];
    let pair = &unit.pair;
    if unit.comparison.changed().is_empty() {
        return Vec::new();
    }
    let users = LazyCell::new(|| Users::of(&pair.old));
    let sources = LazyCell::new(|| Sources::of(pair));
    let fresh = LazyCell::new(|| Fresh::of(unit));
    let mut found = Vec::new();
    for (id, atom) in pair.old.enumerate() {
        let candidate = is_variable(atom)
            && !allowed.iter().any(|name| name == atom.name)
            && unit.correlation.new_of(id).is_none();
        let changed = match candidate {
            true => changed_users(unit, &users, id),
            false => BTreeSet::new(),
        };
        let gone = candidate && changed.is_empty() && is_used_by_gone(unit, &users, id);
        if changed.is_empty() && !gone {
            continue;
        }
        let reason = match fresh.namesakes(atom) {
            _ if atom.is_global() => None,
            [] if gone => None,
            [] => fresh.other_form(atom).or_else(|| sources.reason(atom)),
            namesakes => fresh.reason(atom, namesakes),
        };
        let reason = reason.or_else(|| moved(program, index, atom));
        let reason = reason.or_else(|| fresh.other_name(atom, &changed));
        found.extend(reason.map(|reason| Objection {
            name: atom.name.to_owned(),
            reason: format!(
                "{reason}: what the running one holds would be ignored (`--allow-data` accepts that)"
            ),
        }));
    }
    found
}

/// Why a variable may live on in another object.
fn moved(program: &Program<'_>, index: usize, old: &Atom<'_>) -> Option<String> {
    let name = source_name(old.name);
    let is_it = |(_, new): (AtomId, &Atom<'_>)| {
        new.kind == old.kind
            && new.size == old.size
            && !new.is_global()
            && source_name(new.name) == name
    };
    let others = program.units.iter().enumerate();
    let mut others = others.filter(|(other, _)| *other != index);
    let (_, unit) = others.find(|(_, unit)| new_variables(unit).any(is_it))?;
    Some(format!(
        "it may be the same one in `{}` now",
        unit.pair.name
    ))
}

/// Variables of the new object that are none of the old one.
fn new_variables<'u, 'd>(unit: &'u Unit<'d>) -> impl Iterator<Item = (AtomId, &'u Atom<'d>)> {
    let new = unit.pair.new.enumerate();
    new.filter(|(id, atom)| {
        atom.kind.is_variable()
            && !atom.name.is_empty()
            && !atom.fleeting
            && unit.correlation.old_of(*id).is_none()
    })
}

fn is_variable(atom: &Atom<'_>) -> bool {
    matches!(atom.kind, AtomKind::Data | AtomKind::Tls) && !atom.name.is_empty() && !atom.fleeting
}

/// The replacements of functions that used a variable.
fn changed_users(unit: &Unit<'_>, users: &Users, variable: AtomId) -> BTreeSet<FunctionId> {
    let (old, new) = (&unit.pair.old, &unit.pair.new);
    let changed = |user: &AtomId| {
        let entry = old.owner(*user).map(|owner| old.function(owner).entry());
        let function = new.owner(unit.correlation.new_of(entry?)?)?;
        unit.comparison.change(function).map(|_| function)
    };
    users.of_atom(variable).iter().filter_map(changed).collect()
}

/// Whether a function used it that the new object does not have.
fn is_used_by_gone(unit: &Unit<'_>, users: &Users, variable: AtomId) -> bool {
    let old = &unit.pair.old;
    let mut owners = users
        .of_atom(variable)
        .iter()
        .filter_map(|user| old.owner(*user));
    owners.any(|owner| {
        let entry = old.function(owner).entry();
        unit.correlation.new_of(entry).is_none()
    })
}

/// New variables that were none before.
struct Fresh<'u, 'd> {
    unit: &'u Unit<'d>,
    users: Users,
    by_name: BTreeMap<String, Vec<AtomId>>,
}

impl<'u, 'd> Fresh<'u, 'd> {
    fn of(unit: &'u Unit<'d>) -> Self {
        let object = &unit.pair.new;
        let mut by_name: BTreeMap<String, Vec<AtomId>> = BTreeMap::new();
        for (id, atom) in new_variables(unit).filter(|(id, _)| !hooks::is_of_header(object, *id)) {
            by_name.entry(source_name(atom.name)).or_default().push(id);
        }
        Self {
            unit,
            users: Users::of(object),
            by_name,
        }
    }

    fn atom(&self, id: AtomId) -> &Atom<'d> {
        self.unit.pair.new.atom(id)
    }

    /// Those that the source calls as it called the old one.
    fn namesakes(&self, old: &Atom<'_>) -> &[AtomId] {
        let found = self.by_name.get(&source_name(old.name));
        found.map_or(&[], Vec::as_slice)
    }

    /// Why one that clang keeps in another form may be the old one: `p.body` and `p.init` for `p`, `s.0` for a field of `s`.
    fn other_form(&self, old: &Atom<'_>) -> Option<String> {
        let parts = |name: &str| name.contains('.') && !name.starts_with("_Z");
        let origin = names::origin(old.name);
        let mut fresh = self
            .by_name
            .values()
            .flatten()
            .map(|id| self.atom(*id).name);
        let new =
            fresh.find(|new| names::origin(new) == origin && (parts(old.name) || parts(new)))?;
        Some(format!("`{new}` may be the same one in another form"))
    }

    /// Why one of the same name may be the old one.
    fn reason(&self, old: &Atom<'_>, namesakes: &[AtomId]) -> Option<String> {
        namesakes.iter().find_map(|id| {
            let new = self.atom(*id);
            if (new.kind == AtomKind::Tls) != (old.kind == AtomKind::Tls) {
                return Some(format!("it was a {} and is a {} now", old.kind, new.kind));
            }
            // Whether it is another one of the same place was asked when they were paired.
            let moved = place(old.name) != place(new.name);
            moved.then(|| format!("`{}` may be the same one in another place", new.name))
        })
    }

    /// Why one of another name may be the old one: a function uses it that used the old one.
    fn other_name(&self, old: &Atom<'_>, changed: &BTreeSet<FunctionId>) -> Option<String> {
        let object = &self.unit.pair.new;
        let uses = |user: &&AtomId| {
            object
                .owner(**user)
                .is_some_and(|one| changed.contains(&one))
        };
        let alike = self.by_name.values().flatten();
        let alike = alike.filter(|id| self.atom(**id).kind == old.kind);
        let shared = alike.map(|id| (self.users.of_atom(*id).iter().filter(uses).count(), id));
        let (_, new) = shared.filter(|(uses, _)| *uses > 0).max()?;
        let name = self.atom(*new).name;
        Some(format!(
            "it is gone, and `{name}`, which is new where it was used, may be the same one by another name"
        ))
    }
}

/// What is left of a name without what tells variables of one place apart.
fn place(name: &str) -> String {
    match rust::path(name) {
        Some(path) => path,
        None => places::cxx_base(name).unwrap_or_else(|| names::base(name)),
    }
}

/// What debug information says of both versions.
struct Sources {
    old: Option<Types>,
    new: Option<Types>,
}

impl Sources {
    fn of(pair: &Pair<'_>) -> Self {
        let read = |object: &Object<'_>| types::read(object).ok();
        Self {
            old: read(&pair.old),
            new: read(&pair.new),
        }
    }

    /// Why a variable that no new object has is not merely removed.
    fn reason(&self, atom: &Atom<'_>) -> Option<String> {
        let Some(new) = &self.new else {
            return Some(
                "it is gone, and without debug information it cannot be told whether the compiler takes it for a constant now \
                 (compile with `-g`)"
                    .to_owned(),
            );
        };
        let name = source_name(atom.name);
        let is_it = |key: &&Key| key.name.rsplit("::").next() == Some(&name);
        let was = |key: &&Key| {
            let mut known = self.old.iter().flat_map(|old| &old.variables);
            self.old.is_none() || known.any(|variable| variable.key == **key)
        };
        let mut placeless = new.placeless.iter();
        placeless
            .any(|key| is_it(&key) && was(&key))
            .then(|| "the compiler takes it for a constant now".to_owned())
    }
}

/// What the source calls a variable: `n` for `n.1234`, clang's `f.n`, and `_ZZ1fvE1n`.
fn source_name(symbol: &str) -> String {
    let last = |path: &str, by: &str| path.rsplit(by).next().unwrap_or(path).to_owned();
    if let Some(path) = rust::path(symbol) {
        return last(&path, "::");
    }
    let mangled = symbol.strip_prefix("_Z").and_then(last_identifier);
    mangled.map_or_else(|| last(&names::base(symbol), "."), str::to_owned)
}

/// The last `<length><identifier>` of a mangled name (Itanium C++ ABI, 5.1.2).
fn last_identifier(mangled: &str) -> Option<&str> {
    let (mut rest, mut found) = (mangled, None);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[start..];
        let Some(end) = digits.find(|c: char| !c.is_ascii_digit()) else {
            break;
        };
        let (number, behind) = digits.split_at(end);
        let len = number.parse::<usize>().ok().filter(|len| *len > 0);
        let identifier = len.and_then(|len| behind.get(..len));
        found = identifier.or(found);
        rest = &behind[identifier.map_or(0, str::len)..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_have_the_names_of_the_source() {
        for (symbol, name) in [
            ("limit", "limit"),
            ("n.1234", "n"),
            ("f.n", "n"),
            ("_ZL5level", "level"),
            ("_ZN3boxL5limitE", "limit"),
            ("_ZZ1fiE1n", "n"),
            ("_ZZ1fiE1n_0", "n"),
            ("_ZN5patch5LIMIT17h71290cfcff07be60E", "LIMIT"),
        ] {
            assert_eq!(source_name(symbol), name, "{symbol}");
        }
    }
}
