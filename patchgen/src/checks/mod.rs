//! What a patch may not do, and what its author should know.

mod advice;
mod definitions;
mod goal;
mod guarded;
mod initial;
mod lost;
mod places;
mod sets;
mod strings;
mod travel;
mod unit;
mod wrapped;

pub use advice::{split_off, warnings};
pub use wrapped::wrapped;

use crate::closure::Closure;
use crate::object::{AtomKind, Role};
use crate::program::{NewAtom, Program};
use crate::refusal::Refusal;
use crate::target::Image;

/// A reason against one object, and the symbol that it is about.
struct Objection {
    name: String,
    reason: String,
}

/// Every reason against the patch; `allowed` names variables whose initial value may change.
#[must_use]
pub fn refusals(
    program: &Program<'_>,
    closure: &Closure<'_>,
    allowed: &[String],
    targets: &[Image],
) -> Vec<Refusal> {
    let mut found = closure.refusals.clone();
    if !program.is_kernel() {
        found.extend(definitions::displaced(program, targets));
    }
    for (index, unit) in program.units.iter().enumerate() {
        found.extend(unit::refusals(program, index, unit, allowed));
    }
    for new in &closure.carried {
        found.extend(travel::carried(program, *new));
        let compared = strings::compared(program, closure, *new);
        found.extend(compared.map(|reason| Refusal::new(program, *new, reason)));
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

/// Whether it is a function that other objects may have, too (COMDAT), and the old object had not.
fn is_new_to_object(program: &Program<'_>, function: NewAtom) -> bool {
    let unit = &program.units[function.unit];
    let object = &unit.pair.new;
    object.atom(function.atom).kind == AtomKind::Function
        && definitions::is_shared(object, function.atom)
        && unit.correlation.old_of(function.atom).is_none()
}

/// Whether new code does more with a function of its own object than call it.
fn is_pointed_to(program: &Program<'_>, closure: &Closure<'_>, function: NewAtom) -> bool {
    let users = closure
        .carried
        .iter()
        .filter(|user| user.unit == function.unit);
    let object = &program.units[function.unit].pair.new;
    users
        .flat_map(|user| object.references(user.atom))
        .any(|link| {
            link.target == function.atom && !matches!(link.site.role, Role::Call | Role::Jump)
        })
}

/// Whether it is a variable or constant that every object which uses it defines, and that is told by its address.
fn is_shared(program: &Program<'_>, new: NewAtom) -> bool {
    /// What describes types of C++: equal ones are as good as the same (Itanium C++ ABI, 2.9).
    const DESCRIBING: [&str; 5] = ["_ZTV", "_ZTT", "_ZTC", "_ZTI", "_ZTS"];
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    let describes = DESCRIBING
        .iter()
        .any(|prefix| atom.name.starts_with(prefix));
    matches!(atom.kind, AtomKind::Data | AtomKind::ReadOnly)
        && !atom.is_private()
        && !describes
        && definitions::is_shared(object, new.atom)
}

/// New variables that the targets have already, defined by objects that were not given: a second copy would
/// have a life of its own.
#[must_use]
pub fn doubled(program: &Program<'_>, closure: &Closure<'_>, targets: &[Image]) -> Vec<Refusal> {
    let mut found = Vec::new();
    for new in &closure.carried {
        let atom = program.units[new.unit].pair.new.atom(new.atom);
        let shared = is_shared(program, *new);
        let variable = atom.kind == AtomKind::Data;
        let defines = |image: &&Image| atom.globals().any(|name| image.has_global(name));
        let running = targets.iter().find(defines);
        let file = running.map_or("", |image| &image.module.file_name);
        let reason = match running {
            Some(_) if variable || shared => {
                format!("the target `{file}` has this variable already: pass the object that defined it")
            }
            Some(_) if is_new_to_object(program, *new) && is_pointed_to(program, closure, *new) => {
                format!(
                    "its address is taken, and the target `{file}` has this function at another one already: pass the object that defined it"
                )
            }
            Some(_) => continue,
            None if !shared || !variable => continue,
            None if targets.is_empty() => {
                "other objects may have this variable, too (COMDAT), so that it may run already: `--target` tells".to_owned()
            }
            None => match targets.iter().find(|image| image.stripped) {
                None => continue,
                Some(image) => format!(
                    "other objects may have this variable, too (COMDAT), and `{}` has no symbols that would tell: pass the file with \
                     its debug information as `--target`",
                    image.module.file_name
                ),
            },
        };
        found.push(Refusal::new(program, *new, reason));
    }
    found
}
