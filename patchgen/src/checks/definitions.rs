//! Global names that a link of the new objects would give to another definition than the running program has.
//!
//! Which of several definitions counts is decided by the linker for the whole program: a strong one before weak ones, the program's own
//! before a library's. Code that does not change goes on with what it was linked with.

use crate::object::{Atom, AtomId, AtomKind, Object};
use crate::program::{NewAtom, OldAtom, Program};
use crate::refusal::Refusal;
use crate::target::Image;
use std::cell::LazyCell;
use std::collections::HashSet;

/// Every name whose definition is another one now; `targets` are the linked files, if they were given.
pub(super) fn displaced(program: &Program<'_>, targets: &[Image]) -> Vec<Refusal> {
    let mut found = Vec::new();
    let wanted = LazyCell::new(|| wanted(program));
    for (name, new) in program.new_globals() {
        let atom = program.units[new.unit].pair.new.atom(new.atom);
        let reason = match program.old_global(name) {
            Some(old) if is_shared(&program.units[old.unit].pair.old, old.atom) => None,
            Some(old) if is_same(program, old, new) => None,
            Some(old) => Some(format!(
                "`{}` defined it, and code that does not change goes on with that",
                program.units[old.unit].pair.name
            )),
            None if is_shared(&program.units[new.unit].pair.new, new.atom) => None,
            None if wanted.contains(name) => Some(
                "other objects use a definition of the same name already, and go on with that".to_owned(),
            ),
            None if atom.weak && targets.is_empty() => Some(
                "it gives way to others, and whether the program has one cannot be told (`--target` tells)".to_owned(),
            ),
            None => defined(targets, name, atom).map(|file| {
                format!("`{file}` has something of that name already, and goes on with that")
            }),
        };
        found.extend(reason.map(|reason| {
            let reason = format!("it is another definition of that name: {reason}");
            Refusal::new(program, new, reason)
        }));
    }
    found.extend(overruled(program));
    found
}

/// Whether the old definition became the new one.
fn is_same(program: &Program<'_>, old: OldAtom, new: NewAtom) -> bool {
    let unit = &program.units[old.unit];
    let own = unit.correlation.new_of(old.atom);
    own == Some(new.atom) && old.unit == new.unit
        || program.moved_from(new) == Some(old)
        // Another thing under that name is refused, or allowed, elsewhere.
        || own.is_none() && old.unit == new.unit
}

/// Names that old objects use and do not define.
fn wanted<'p>(program: &'p Program<'_>) -> HashSet<&'p str> {
    let objects = program.units.iter().map(|unit| &unit.pair.old);
    let atoms = objects.flat_map(|object| &object.atoms);
    let undefined = atoms.filter(|atom| atom.kind == AtomKind::Undefined);
    undefined.map(|atom| atom.name).collect()
}

/// Whether all objects that use it bring it along (COMDAT), so that any of them will do.
pub(super) fn is_shared(object: &Object<'_>, id: AtomId) -> bool {
    let section = object.sections.get(object.atom(id).section());
    section.is_some_and(|section| section.has(object::elf::SHF_GROUP))
}

/// The file that defines or uses a global name already.
fn defined(targets: &[Image], name: &str, atom: &Atom<'_>) -> Option<String> {
    // Of variables that new code brings a second one of, others tell.
    let variable = atom.kind == AtomKind::Data;
    let has = |image: &Image| !variable && image.has_global(name) || image.imports(name);
    let known = |image: &&Image| !atom.hidden && has(image);
    let image = targets.iter().find(known)?;
    Some(image.module.file_name.clone())
}

/// New weak definitions that give way to others of the program.
fn overruled(program: &Program<'_>) -> Vec<Refusal> {
    let mut found = Vec::new();
    for (unit, analysed) in program.units.iter().enumerate() {
        let object = &analysed.pair.new;
        let new = object.enumerate().filter(|(id, atom)| {
            atom.section() != 0
                && atom.is_global()
                && atom.weak
                && analysed.correlation.old_of(*id).is_none()
                && !is_shared(object, *id)
        });
        for (id, atom) in new {
            let new = NewAtom { unit, atom: id };
            let mut others = atom.globals().filter_map(|name| program.new_global(name));
            if let Some(other) = others.find(|other| *other != new) {
                let name = &program.units[other.unit].pair.name;
                let reason = format!("`{name}` defines it, too, and is what others use");
                found.push(Refusal::new(program, new, reason));
            }
        }
    }
    found
}
