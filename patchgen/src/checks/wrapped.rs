//! `ld --wrap=SYMBOL`: code that refers to `SYMBOL` gets `__wrap_SYMBOL`, unless its own object defines it (ld(1)).

use crate::closure::{Closure, Destination};
use crate::program::{NewAtom, Program};
use crate::proof::{Origin, Proof};
use crate::refusal::Refusal;
use crate::target::Image;
use std::collections::BTreeSet;

/// New references to symbols that have a wrapper in the old objects or the targets, where no old code of the proof tells what they
/// lead to.
#[must_use]
pub fn wrapped<'d>(
    program: &Program<'d>,
    closure: &Closure<'d>,
    proof: &Proof<'d>,
    targets: &[Image],
) -> Vec<Refusal> {
    let known: BTreeSet<Origin<'d>> = proof.all().collect();
    let units = program.units.iter();
    let atoms = units.flat_map(|unit| &unit.pair.old.atoms);
    let marks: BTreeSet<&str> = atoms
        .map(|atom| atom.name)
        .filter(|name| name.starts_with("__wrap_") || name.starts_with("__real_"))
        .collect();
    let is_wrapped = |name: &str| {
        let wrapper = format!("__wrap_{name}");
        marks.contains(wrapper.as_str())
            || marks.contains(format!("__real_{name}").as_str())
            || targets
                .iter()
                .any(|target| !target.definitions(&wrapper).is_empty())
    };
    let mut found = Vec::new();
    for (from, destinations) in &closure.destinations {
        let unknown = destinations
            .iter()
            .filter(|one| origin(**one).is_some_and(|origin| !known.contains(&origin)));
        let names = unknown.flat_map(|one| names(program, *from, *one));
        found.extend(names.filter(|name| is_wrapped(name)).map(|name| {
            let reason = format!(
                "it uses `{name}`, for which there is `__wrap_{name}` (`ld --wrap`), and no old code tells what runs in its place: \
                 give an old object that uses `{name}`, too"
            );
            Refusal::new(program, *from, reason)
        }));
    }
    found.sort();
    found.dedup();
    found
}

fn origin(destination: Destination<'_>) -> Option<Origin<'_>> {
    match destination {
        Destination::Carried(_) => None,
        Destination::Running(atom) => Some(Origin::Running(atom)),
        Destination::Told(atom) => Some(Origin::Copy(atom)),
        Destination::External(name) => Some(Origin::External(name)),
    }
}

/// The names by which the linker may have found what an atom refers to; none if its own object defines it.
fn names<'d>(program: &Program<'d>, from: NewAtom, destination: Destination<'d>) -> Vec<&'d str> {
    match destination {
        Destination::External(name) => vec![name],
        Destination::Running(old) if old.unit != from.unit => {
            let atom = program.units[old.unit].pair.old.atom(old.atom);
            atom.globals().collect()
        }
        _ => Vec::new(),
    }
}
