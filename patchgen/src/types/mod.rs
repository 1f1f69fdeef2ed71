//! Types that live data and new code share (DESIGN, section 3): a changed layout is refused.
//!
//! Which types count? Every named type, and the type of every variable, that an object describes whose new code
//! travels. That is more than what the changed functions mention: `((struct conn *) argument)->state` leaves no trace
//! of `conn` in what the debug information says of a function, only in what it says of its file. It is hardly ever too
//! much, since compilers describe the types that a file uses, and since a changed type changes the code that uses what
//! changed. So a type that looks as if it were only ever on the stacks of changed functions is refused, too: debug
//! information cannot tell that no pointer of another type leads to one.
//!
//! Fine are types that the old objects do not have, and types of the same contents. Without debug information nothing is
//! compared, and the patch says so.

mod attributes;
mod compare;
mod model;
mod read;
mod sections;
mod vtables;

pub use compare::Comparer;
pub use model::{Encoding, Family, Field, Key, Shape, Type, TypeId, TypeRef, Types, Variable};
pub use read::{TypesError, read};
pub(crate) use vtables::vtables;

use crate::closure::Closure;
use crate::pair::Pair;
use crate::parallel;
use crate::program::Program;
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What comes of the comparison.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Changed layouts.
    pub refusals: Vec<Refusal>,
    /// What was not compared, and why.
    pub advice: Vec<String>,
    /// The names that may change and that no object has. Empty where no object describes its types, so that nobody knows.
    pub unknown: Vec<String>,
}

/// Compares the types of all objects whose code travels. `allowed` names types that may change.
#[must_use]
pub fn check(program: &Program<'_>, closure: &Closure<'_>, allowed: &[String]) -> Verdict {
    let units: BTreeSet<usize> = closure.carried.iter().map(|atom| atom.unit).collect();
    let compared: Vec<usize> = units
        .into_iter()
        .filter(|unit| !program.units[*unit].pair.old.sections.is_empty())
        .collect();
    let size = |unit: &usize| size(&program.units[*unit].pair);
    let read: Vec<(usize, Result<[Types; 2], TypesError>)> =
        parallel::map(&compared, size, |unit| (*unit, both(program, *unit)));
    let mut verdict = Verdict::default();
    let mut unread = Vec::new();
    let mut found = Changes::default();
    let mut described = Vec::new();
    for (unit, types) in &read {
        match types {
            Ok([old, new]) => {
                let unknown = found.compare(program, *unit, old, new);
                described.push(Described {
                    unit: *unit,
                    new,
                    unknown,
                });
            }
            Err(why) => unread.push((&program.units[*unit].pair.name, why)),
        }
    }
    let missing = found.look_elsewhere(program, &described);
    verdict.refusals = found.refusals(allowed);
    let described: Vec<&[Types; 2]> = read
        .iter()
        .filter_map(|(_, types)| types.as_ref().ok())
        .collect();
    verdict.unknown = unknown(&described, allowed);
    verdict.advice = advice(&unread);
    verdict.advice.extend(incomplete(&missing));
    verdict
}

/// The names of `allowed` that no type and no variable has.
fn unknown(described: &[&[Types; 2]], allowed: &[String]) -> Vec<String> {
    let keys = |types: &'_ Types, name: &str| {
        let mut variables = types.variables.iter().map(|variable| &variable.key);
        let is_named = |key: &Key| key.is_called(name);
        types.named.keys().chain(&types.elsewhere).any(is_named) || variables.any(is_named)
    };
    let names = allowed.iter().filter(|name| {
        let mut all = described.iter().copied().flatten();
        !described.is_empty() && !all.any(|types| keys(types, name))
    });
    names.cloned().collect()
}

fn both(program: &Program<'_>, unit: usize) -> Result<[Types; 2], TypesError> {
    let pair = &program.units[unit].pair;
    let (old, new) = parallel::join(size(pair), || read(&pair.old), || read(&pair.new));
    Ok([old?, new?])
}

/// Bytes of both versions' sections.
fn size(pair: &Pair<'_>) -> usize {
    let sections = pair.old.sections.iter().chain(&pair.new.sections);
    sections.map(|section| section.data.len()).sum()
}

fn advice(unread: &[(&String, &TypesError)]) -> Vec<String> {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, why) in unread {
        by_reason.entry(why.to_string()).or_default().push(name);
    }
    let texts = by_reason.into_iter().map(|(why, names)| {
        let more = match names.len() {
            1 => String::new(),
            len => format!(" and {} more", len - 1),
        };
        format!(
            "`{}`{more}: {why}, so it was not checked whether the layout of a type changed that live data has \
             (compile old and new with `-g`)",
            names[0]
        )
    });
    texts.collect()
}

/// Pointers to what is never looked into are common: so many names are told.
const NAMED: usize = 4;

fn incomplete(missing: &BTreeSet<Key>) -> Option<String> {
    let names: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|key| format!("`{}`", key.name))
        .collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| {
        format!(
            "no object describes {}{more}, so it was not checked whether their layout changed (pass all objects, or \
             compile with `-femit-class-debug-always`, with clang `-fstandalone-debug`)",
            names.join(", ")
        )
    })
}

/// Changed types and variables, with the objects that have them.
#[derive(Debug, Default)]
struct Changes(BTreeMap<(Key, Vec<String>), Vec<String>>);

/// A new type whose name no old type of the same object has.
#[derive(Debug)]
struct Unknown {
    key: Key,
    definition: TypeId,
    /// The file that declares it.
    file: Option<String>,
}

/// What the new version of an object describes.
#[derive(Debug)]
struct Described<'t> {
    unit: usize,
    new: &'t Types,
    unknown: Vec<Unknown>,
}

/// Both versions of an object, as far as they describe what is wanted.
fn wanted_of(program: &Program<'_>, unit: usize, wanted: &HashSet<&Key>) -> [Option<Types>; 2] {
    let pair = &program.units[unit].pair;
    [&pair.old, &pair.new].map(|object| {
        let types = read(object).ok()?;
        let any = types.named.keys().any(|key| wanted.contains(key));
        any.then_some(types)
    })
}

impl Changes {
    /// Compares one object; returns the types that its old version does not describe.
    fn compare(
        &mut self,
        program: &Program<'_>,
        unit: usize,
        old: &Types,
        new: &Types,
    ) -> Vec<Unknown> {
        let mut comparer = Comparer::new(old, new);
        let object = &program.units[unit].pair.name;
        let mut unknown = Vec::new();
        for (key, definitions) in &new.named {
            if comparer.means_several(key) {
                continue;
            }
            let Some(before) = old.named.get(key) else {
                let one = definitions[0];
                let file = new.get(one).file.clone();
                unknown.push(Unknown {
                    key: key.clone(),
                    definition: one,
                    file,
                });
                continue;
            };
            for (index, definition) in definitions.iter().enumerate() {
                let differences = best(&mut comparer, before, *definition, index);
                self.add(key, differences, object);
            }
        }
        self.variables(&mut comparer, object, old, new);
        unknown
    }

    fn variables(&mut self, comparer: &mut Comparer<'_>, object: &str, old: &Types, new: &Types) {
        let mut before: BTreeMap<&Key, &Variable> = BTreeMap::new();
        before.extend(
            old.variables
                .iter()
                .map(|variable| (&variable.key, variable)),
        );
        for variable in &new.variables {
            let Some(was) = before.get(&variable.key) else {
                continue;
            };
            if let (Some(before), Some(now)) = (&was.form, &variable.form)
                && before != now
            {
                let what = "the compiler keeps it in another form than before".to_owned();
                self.add(&variable.key, vec![what], object);
            }
            let size = |types: &Types, of| types.find(of).and_then(|id| types.size(id));
            // A changed size is refused by what the symbol table says.
            let same_size = size(old, was.of) == size(new, variable.of);
            if same_size && !comparer.is_same(was.of, variable.of) {
                let (was, is) = (old.describe(was.of), new.describe(variable.of));
                self.add(
                    &variable.key,
                    vec![format!("it was `{was}`, and is `{is}`")],
                    object,
                );
            }
        }
    }

    fn add(&mut self, key: &Key, differences: Vec<String>, object: &str) {
        if !differences.is_empty() {
            let objects = self.0.entry((key.clone(), differences)).or_default();
            if objects.last().is_none_or(|last| last != object) {
                objects.push(object.to_owned());
            }
        }
    }

    /// What an object does not describe, or did not before, as the other objects describe it. Returns the types that
    /// none describes.
    fn look_elsewhere(
        &mut self,
        program: &Program<'_>,
        described: &[Described<'_>],
    ) -> BTreeSet<Key> {
        let unknown = described.iter().flat_map(|one| one.unknown.iter());
        let opaque = described.iter().flat_map(|one| one.new.elsewhere.iter());
        let opaque: BTreeSet<&Key> = opaque.collect();
        let wanted: HashSet<&Key> = unknown
            .map(|one| &one.key)
            .chain(opaque.iter().copied())
            .collect();
        if wanted.is_empty() {
            return BTreeSet::new();
        }
        let units: Vec<usize> = (0..program.units.len()).collect();
        let all: Vec<(usize, [Option<Types>; 2])> = parallel::map(
            &units,
            |unit| size(&program.units[*unit].pair),
            |unit| (*unit, wanted_of(program, *unit, &wanted)),
        );
        for one in described {
            for old in all.iter().filter_map(|(_, [old, _])| old.as_ref()) {
                self.compare_unknown(program, one, old);
            }
        }
        let mut missing: BTreeSet<Key> = opaque.iter().map(|key| (*key).clone()).collect();
        for (unit, versions) in &all {
            if let [Some(old), Some(new)] = versions {
                let mut comparer = Comparer::new(old, new);
                for key in &opaque {
                    if let (Some(before), Some(now)) = (old.named.get(key), new.named.get(key)) {
                        missing.remove(key);
                        let differences = best(&mut comparer, before, now[0], 0);
                        self.add(key, differences, &program.units[*unit].pair.name);
                    }
                }
            }
        }
        missing
    }

    fn compare_unknown(&mut self, program: &Program<'_>, one: &Described<'_>, old: &Types) {
        let mut comparer = Comparer::new(old, one.new);
        for Unknown {
            key,
            definition,
            file,
        } in &one.unknown
        {
            let same_file = |id: &&TypeId| old.get(**id).file == *file;
            if let Some(before) = old
                .named
                .get(key)
                .and_then(|ids| ids.iter().find(same_file))
            {
                let differences = comparer.differences(*before, *definition);
                self.add(key, differences, &program.units[one.unit].pair.name);
            }
        }
    }

    fn refusals(self, allowed: &[String]) -> Vec<Refusal> {
        let is_allowed = |key: &Key| allowed.iter().any(|name| key.is_called(name));
        let changes = self.0.into_iter().filter(|((key, _), _)| !is_allowed(key));
        let refusals = changes.map(|((key, differences), objects)| {
            let others = match objects.len() {
                1 => String::new(),
                len => format!(", and in {} other object(s)", len - 1),
            };
            Refusal {
                object: objects.into_iter().next().unwrap_or_default(),
                symbol: format!("{} {}", key.family.word(), key.name),
                reason: format!(
                    "its layout changed{others}, and live data may have the old one (`--allow-layout` goes on): {}",
                    differences.join("; ")
                ),
            }
        });
        refusals.collect()
    }
}

/// The differences from the definition that is most likely the same one.
fn best(comparer: &mut Comparer<'_>, before: &[TypeId], new: TypeId, index: usize) -> Vec<String> {
    /// So many definitions of one name are tried; one file has hardly more than one.
    const TRIED: usize = 8;
    let own = before.get(index).copied().unwrap_or(before[0]);
    let differences = comparer.differences(own, new);
    if differences.is_empty() {
        return differences;
    }
    let mut others = before.iter().take(TRIED);
    if others.any(|other| comparer.differences(*other, new).is_empty()) {
        return Vec::new();
    }
    differences
}
