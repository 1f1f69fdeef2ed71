//! Hooks: functions of the new objects that `livepatch.h` marks to run in the target.
//!
//! A mark is a pointer to the function in the section `.livepatch.hooks.PHASE`. The pointer does not travel, the
//! function does. Marks that the old object has too were those of an earlier patch, and have had their turn.

use crate::object::{Atom, AtomId, Object};
use crate::program::{Fate, NewAtom, Program, Unit};
use crate::refusal::Refusal;
use livepatch_bundle::Phase;

/// `livepatch.h`, which the sources of fixes include.
pub const HEADER: &str = include_str!("../include/livepatch.h");
/// Where `livepatch.h` puts marks; the phase's name follows.
const MARKS: &str = ".livepatch.hooks.";
/// Where it describes shadow variables; the variable's name follows.
const SHADOW: &str = ".livepatch.shadow.";
/// Where its own code is.
const CODE: &str = ".text.livepatch";

/// Whether the atom is of `livepatch.h` itself. Each patch brings its own: an earlier patch's may be gone before this
/// one is.
#[must_use]
pub fn is_of_header(object: &Object<'_>, atom: AtomId) -> bool {
    let section = object.section_name(atom);
    section == CODE || section.starts_with(SHADOW)
}

/// A marked function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkedHook {
    /// When it runs.
    pub phase: Phase,
    /// Its entry.
    pub function: NewAtom,
}

/// What the marks of all objects say.
#[derive(Debug, Default)]
pub struct Marked {
    /// The hooks in the order of phases, objects and marks.
    pub hooks: Vec<MarkedHook>,
    /// Marks that cannot be followed.
    pub refusals: Vec<Refusal>,
}

/// Reads the marks of the new objects.
#[must_use]
pub fn of(program: &Program<'_>) -> Marked {
    let mut marked = Marked::default();
    for (index, unit) in program.units.iter().enumerate() {
        let object = &unit.pair.new;
        for (id, atom) in object.enumerate() {
            let Some(name) = object.section_name(id).strip_prefix(MARKS) else {
                continue;
            };
            if unit.correlation.old_of(id).is_some() {
                continue;
            }
            let mark = NewAtom {
                unit: index,
                atom: id,
            };
            match follow(program, unit, index, name, atom) {
                Ok(hook) => marked.hooks.push(hook),
                Err(reason) => marked.refusals.push(Refusal::new(program, mark, reason)),
            }
        }
    }
    marked.hooks.sort_by_key(|hook| hook.phase);
    marked
}

/// The function that a mark points to.
fn follow(
    program: &Program<'_>,
    unit: &Unit<'_>,
    index: usize,
    name: &str,
    mark: &Atom<'_>,
) -> Result<MarkedHook, String> {
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| phase.name().replace('-', "_") == name)
        .ok_or_else(|| format!("`{name}` is no phase in which hooks run"))?;
    let object = &unit.pair.new;
    let function = target(object, mark).ok_or("it marks no function of this object as a hook")?;
    let label = object.label(function);
    let owner = object.owner(function);
    let fate = owner.map(|owner| program.fate(index, owner));
    if fate != Some(Fate::New) {
        return Err(format!(
            "it marks `{label}` as a hook, which the running program has already: write a function of its own"
        ));
    }
    Ok(MarkedHook {
        phase,
        function: NewAtom {
            unit: index,
            atom: function,
        },
    })
}

/// The entry that the only field of a mark holds.
fn target(object: &Object<'_>, mark: &Atom<'_>) -> Option<AtomId> {
    let [link] = &mark.links[..] else {
        return None;
    };
    let target = link.target;
    let owner = object.owner(target)?;
    (link.offset() == 0
        && link.at() == 0
        && mark.size == 8
        && object.function(owner).entry() == target)
        .then_some(target)
}
