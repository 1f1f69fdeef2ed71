//! Linker sets: sections named like variables of C, whose bounds `__start_NAME` and `__stop_NAME` the linker tells to code
//! that walks them. Entries come when the program is linked: one in a patch would never be seen.

use crate::object::{Atom, AtomId, AtomKind, Object};
use crate::pair::Users;
use crate::program::{Program, Unit};
use std::cell::LazyCell;

/// Sections that compilers fill for tools; they say nothing about what code does.
const OF_TOOLS: [&str; 4] = [
    "__patchable_function_entries",
    "__mcount_loc",
    "__llvm_",
    "__sancov_",
];

/// Which object of a pair.
const OLD: usize = 0;
const NEW: usize = 1;

/// An entry that is not as it was linked.
pub(super) enum Entry {
    /// A new atom, and what is said about it.
    New(AtomId, String),
    /// An old atom that is gone.
    Gone(AtomId, String),
}

/// The entries of linker sets that were added, changed or removed.
pub(super) fn entries(program: &Program<'_>, unit: &Unit<'_>) -> Vec<Entry> {
    let (pair, correlation) = (&unit.pair, &unit.correlation);
    if pair.old.sections.is_empty() || pair.new.sections.is_empty() || pair.new.is_kernel {
        return Vec::new();
    }
    let users = [&pair.old, &pair.new].map(|object| LazyCell::new(|| Users::of(object)));
    // Nothing in the object refers to it, so that it can be there for a walk only.
    let is_alone = |which: usize, id| users[which].of_atom(id).is_empty();
    let mut found = Vec::new();
    for (id, set) in in_sets(&pair.new) {
        let known = correlation.old_of(id).is_some();
        if !known && (is_alone(NEW, id) || is_walked(program, set)) {
            let reason =
                format!("it was added to the linker set `{set}`: whoever walks that never sees it");
            found.push(Entry::New(id, reason));
        }
        if unit.comparison.is_different(id) && is_entry(program, pair.new.atom(id), set) {
            let reason = format!("an entry of the linker set `{set}` changed");
            found.push(Entry::New(id, reason));
        }
    }
    for (id, set) in in_sets(&pair.old) {
        let gone = correlation.new_of(id).is_none() && is_alone(OLD, id);
        if gone && is_entry(program, pair.old.atom(id), set) {
            let reason = format!("it was removed from the linker set `{set}`");
            found.push(Entry::Gone(id, reason));
        }
    }
    found
}

/// Named data in sections that are named like variables, with the section's name.
fn in_sets<'o, 'd>(object: &'o Object<'d>) -> impl Iterator<Item = (AtomId, &'d str)> + 'o {
    let data = object.enumerate().filter(|(_, atom)| {
        matches!(atom.kind, AtomKind::Data | AtomKind::ReadOnly) && !atom.name.is_empty()
    });
    let named = data.map(|(id, _)| (id, object.section_name(id)));
    named.filter(|(_, section)| is_set(section))
}

fn is_set(section: &str) -> bool {
    let mut letters = section.bytes();
    let first = letters.next();
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    first.is_some_and(|byte| is_letter(byte) && !byte.is_ascii_digit())
        && letters.all(is_letter)
        && !OF_TOOLS.iter().any(|tool| section.starts_with(tool))
}

/// Whether it is more than a text that somebody may look for in the file.
fn is_entry(program: &Program<'_>, atom: &Atom<'_>, set: &str) -> bool {
    !atom.links.is_empty() || is_walked(program, set)
}

/// Whether code refers to the bounds of the set.
fn is_walked(program: &Program<'_>, set: &str) -> bool {
    let bounds = [format!("__start_{set}"), format!("__stop_{set}")];
    let refers = |object: &Object<'_>| {
        let mut atoms = object.atoms.iter();
        atoms.any(|atom| bounds.iter().any(|bound| bound == atom.name))
    };
    let mut units = program.units.iter();
    units.any(|unit| refers(&unit.pair.old) || refers(&unit.pair.new))
}
