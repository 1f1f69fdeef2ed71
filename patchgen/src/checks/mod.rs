//! What a patch may not do, and what its author should know.

mod advice;
mod lost;
mod places;
mod sets;
mod travel;
mod unit;
mod wrapped;

pub use advice::{split_off, warnings};
pub use wrapped::wrapped;

use crate::closure::Closure;
use crate::object::AtomKind;
use crate::program::{NewAtom, Program};
use crate::refusal::Refusal;
use crate::target::Image;
use livepatch_bundle::Scope;

/// Every reason against the patch; `allowed` names variables whose initial value may change.
#[must_use]
pub fn refusals(program: &Program<'_>, closure: &Closure<'_>, allowed: &[String]) -> Vec<Refusal> {
    let mut found = closure.refusals.clone();
    for (index, unit) in program.units.iter().enumerate() {
        found.extend(unit::refusals(program, index, unit, allowed));
    }
    for new in &closure.carried {
        found.extend(travel::carried(program, *new));
    }
    for replaced in &closure.replaced {
        found.extend(travel::replaced(program, replaced.old, replaced.new));
    }
    found.sort();
    found.dedup();
    found
}

/// The names of `--allow-data` that no object has.
#[must_use]
pub fn unknown_data(programs: &[&Program<'_>], names: &[String]) -> Vec<String> {
    let has = |name: &String| {
        let mut units = programs.iter().flat_map(|program| &program.units);
        units.any(|unit| {
            let objects = [&unit.pair.old, &unit.pair.new];
            let mut atoms = objects.into_iter().flat_map(|object| object.enumerate());
            atoms.any(|(_, atom)| atom.name == name)
        })
    };
    names.iter().filter(|name| !has(name)).cloned().collect()
}

/// Whether it is a variable that every object which uses it defines.
fn is_shared(program: &Program<'_>, new: NewAtom) -> bool {
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    atom.kind == AtomKind::Data && object.sections[atom.section()].has(object::elf::SHF_GROUP)
}

/// New variables that the targets have already, defined by objects that were not given: a second copy would
/// have a life of its own.
#[must_use]
pub fn doubled(program: &Program<'_>, closure: &Closure<'_>, targets: &[Image]) -> Vec<Refusal> {
    let mut found = Vec::new();
    for new in &closure.carried {
        let atom = program.units[new.unit].pair.new.atom(new.atom);
        if is_shared(program, *new) && targets.is_empty() {
            let reason = "other objects may have this variable, too (COMDAT), so that it may run already: \
                          `--target` tells";
            found.push(Refusal::new(program, *new, reason.to_owned()));
        }
        let defines = |image: &Image| {
            atom.globals()
                .flat_map(|name| image.definitions(name))
                .any(|one| one.scope == Scope::Global)
        };
        let running = targets
            .iter()
            .find(|image| atom.kind == AtomKind::Data && defines(image));
        found.extend(running.map(|image| {
            let file = &image.module.file_name;
            let reason = format!(
                "the target `{file}` has this variable already: pass the object that defined it"
            );
            Refusal::new(program, *new, reason)
        }));
    }
    found
}
