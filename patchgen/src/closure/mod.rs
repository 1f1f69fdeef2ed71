//! What must travel: changed functions, what is new, and the constants that both use. All else is referred to where
//! it runs.

mod neighbours;

pub(crate) use neighbours::may_mean_next;

use crate::hooks::{self, MarkedHook};
use crate::object::{AtomId, AtomKind, FunctionId, Link, Role, tables};
use crate::program::{Fate, NewAtom, OldAtom, Program};
use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// What a field of new code or data leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination<'d> {
    /// Something that travels.
    Carried(NewAtom),
    /// Something of the old objects, where it runs.
    Running(OldAtom),
    /// A string of the old objects, where it runs: the copy tells that proves old code which refers to it.
    Told(OldAtom),
    /// Something that no given object defines.
    External(&'d str),
}

/// A function that is replaced.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// Entry of the old function.
    pub old: OldAtom,
    /// Entry of the new function.
    pub new: NewAtom,
    /// Why.
    pub reason: String,
}

/// What a patch consists of.
#[derive(Debug, Default)]
pub struct Closure<'d> {
    /// The replaced functions.
    pub replaced: Vec<Replacement>,
    /// Everything that travels.
    pub carried: BTreeSet<NewAtom>,
    /// By carried atom: where each of its references leads.
    pub destinations: BTreeMap<NewAtom, Vec<Destination<'d>>>,
    /// By carried function: the personality routine that handles exceptions in it.
    pub personalities: BTreeMap<NewAtom, Destination<'d>>,
    /// What runs in the target when the patch comes and goes.
    pub hooks: Vec<MarkedHook>,
    /// Changed functions of the kernel that ran when it started and need not be replaced, since only constants of theirs
    /// changed.
    pub past: Vec<OldAtom>,
    /// Why it may not be.
    pub refusals: Vec<Refusal>,
}

impl<'d> Closure<'d> {
    /// Collects what the changed functions of the program need.
    #[must_use]
    pub fn of(program: &Program<'d>) -> Self {
        let mut closure = Self::default();
        let mut queue = Vec::new();
        for (unit, function, old, reason) in program.changed() {
            let new = NewAtom {
                unit,
                atom: program.units[unit].pair.new.function(function).entry(),
            };
            if program.units[unit].comparison.only_travels(function) {
                continue;
            }
            if is_past(program, old, new) {
                closure.past.push(old);
                continue;
            }
            closure.replaced.push(Replacement { old, new, reason });
            queue.push(new);
        }
        let marked = hooks::of(program);
        closure.refusals.extend(marked.refusals);
        queue.extend(marked.hooks.iter().map(|hook| hook.function));
        closure.hooks = marked.hooks;
        closure.collect(program, queue);
        closure
    }

    /// Adds new functions that nothing refers to.
    pub fn add_new(&mut self, program: &Program<'d>) {
        let mut queue = Vec::new();
        for (unit, analysed) in program.units.iter().enumerate() {
            let object = &analysed.pair.new;
            for (function, pieces) in object.enumerate_functions() {
                let atom = pieces.entry();
                let passing = tables::is_initial(object.section_name(atom));
                if !passing && program.fate(unit, function) == Fate::New {
                    queue.push(NewAtom { unit, atom });
                }
            }
        }
        self.collect(program, queue);
    }

    fn collect(&mut self, program: &Program<'d>, mut queue: Vec<NewAtom>) {
        while let Some(atom) = queue.pop() {
            if self.carried.contains(&atom) {
                continue;
            }
            for member in whole(program, atom) {
                if self.carried.insert(member) {
                    self.follow(program, member, &mut queue);
                }
            }
        }
    }

    fn follow(&mut self, program: &Program<'d>, from: NewAtom, queue: &mut Vec<NewAtom>) {
        let object = &program.units[from.unit].pair.new;
        let mut destinations = Vec::new();
        for link in object.references(from.atom) {
            match destination(program, from, link) {
                Ok(destination) => {
                    if let Destination::Carried(atom) = destination {
                        queue.push(atom);
                    }
                    destinations.push(destination);
                }
                Err(refusal) => self.refusals.push(refusal),
            }
        }
        self.destinations.insert(from, destinations);
        self.follow_handler(program, from, queue);
    }

    /// The personality routine is referred to, the exception table travels.
    fn follow_handler(&mut self, program: &Program<'d>, from: NewAtom, queue: &mut Vec<NewAtom>) {
        let object = &program.units[from.unit].pair.new;
        let frame = object.frame(from.atom);
        let Some(handler) = frame.and_then(|frame| frame.handler) else {
            return;
        };
        queue.extend(handler.table.map(|(atom, _)| NewAtom {
            unit: from.unit,
            atom,
        }));
        let link = Link::to_slot(handler.personality);
        match destination(program, from, &link) {
            Ok(destination) => {
                if let Destination::Carried(atom) = destination {
                    queue.push(atom);
                }
                self.personalities.insert(from, destination);
            }
            Err(refusal) => self.refusals.push(refusal),
        }
    }
}

/// Whether a function of the kernel has run when the kernel started, and has the same instructions.
fn is_past(program: &Program<'_>, old: OldAtom, new: NewAtom) -> bool {
    let (before, after) = (
        &program.units[old.unit].pair.old,
        &program.units[new.unit].pair.new,
    );
    after.is_kernel
        && tables::is_initial(before.section_name(old.atom))
        && tables::is_initial(after.section_name(new.atom))
        && before.atom(old.atom).bytes == after.atom(new.atom).bytes
}

/// The atoms that travel together with one: all pieces of a function, all literals that lie together.
fn whole(program: &Program<'_>, new: NewAtom) -> Vec<NewAtom> {
    let object = &program.units[new.unit].pair.new;
    let member = |atom: AtomId| NewAtom {
        unit: new.unit,
        atom,
    };
    // Pieces of kernel functions travel only if something leads there.
    if let Some(function) = object.owner(new.atom).filter(|_| !object.is_kernel) {
        return object.function(function).pieces().map(member).collect();
    }
    match object.atom(new.atom).run {
        None => vec![new],
        Some(run) => {
            let later = object.enumerate_from(run);
            later
                .take_while(|(_, atom)| atom.run == Some(run))
                .map(|(id, _)| member(id))
                .collect()
        }
    }
}

fn destination<'d>(
    program: &Program<'d>,
    from: NewAtom,
    link: &Link,
) -> Result<Destination<'d>, Refusal> {
    let object = &program.units[from.unit].pair.new;
    let target = object.atom(link.target);
    let refuse = |reason: String| Refusal::new(program, from, reason);
    match target.kind {
        AtomKind::Undefined | AtomKind::Common if program.has_several(target.name) => {
            Err(refuse(format!(
                "several objects define `{}`: pass the objects of one program",
                target.name
            )))
        }
        AtomKind::Undefined | AtomKind::Common => {
            if let Some(new) = program.new_global(target.name) {
                return defined(program, from, new, link);
            }
            if target.kind == AtomKind::Common && !program.has_common(target.name) {
                return Err(refuse(format!(
                    "it uses the new common symbol `{}`",
                    target.name
                )));
            }
            // A symbol of another crate may have another hash in its name now.
            let correlation = &program.units[from.unit].correlation;
            let known = correlation.old_of(link.target).map(|old| {
                let old = program.units[from.unit].pair.old.atom(old);
                old.name
            });
            let name = known.unwrap_or(target.name);
            let old = program.old_global(name);
            Ok(old.map_or(Destination::External(name), Destination::Running))
        }
        AtomKind::Absolute => Err(refuse(format!(
            "it uses the absolute symbol `{}`",
            target.name
        ))),
        _ => {
            let new = NewAtom {
                unit: from.unit,
                atom: link.target,
            };
            defined(program, from, new, link)
        }
    }
}

fn defined<'d>(
    program: &Program<'d>,
    from: NewAtom,
    new: NewAtom,
    link: &Link,
) -> Result<Destination<'d>, Refusal> {
    let new = program.representative(new);
    let unit = &program.units[new.unit];
    let target = unit.pair.new.atom(new.atom);
    let label = || unit.pair.new.label(new.atom);
    if hooks::is_of_header(&unit.pair.new, new.atom) {
        return Ok(Destination::Carried(new));
    }
    let old = program.old_of(new);
    // Nobody but the compiler indexes its own tables, and it takes their start.
    let own_table = target.is_private() && link.at() == 0 && link.site.role == Role::Address;
    let firm = !link.is_loose() || own_table || target.kind.is_anonymous() || target.fleeting;
    let own = &program.units[from.unit].pair.new;
    if let Some(next) = may_mean_next(own, link) {
        let (next, section) = (own.label(next), own.section_name(next));
        let reason = format!(
            "it cannot be told whether it refers to `{next}` or to a constant before it in `{section}`: compile old and new with \
             `-fdata-sections`"
        );
        return Err(Refusal::new(program, from, reason));
    }
    if !firm && !neighbours::are_firm(program, from, new) {
        let section = unit.pair.new.section_name(new.atom);
        let reason = format!(
            "it cannot be told whether it refers to `{}` or to what is beside it in `{section}`: compile old and new \
             with `-fdata-sections`",
            label()
        );
        return Err(Refusal::new(program, from, reason));
    }
    match target.kind {
        AtomKind::Function => {
            let function = unit.pair.new.owner(new.atom);
            let function = function.ok_or_else(|| {
                Refusal::new(
                    program,
                    from,
                    format!("`{}` belongs to no function", label()),
                )
            })?;
            into_function(program, from, (new, function), link)
        }
        AtomKind::Data => match (old, program.moved_from(new)) {
            (Some(_), _) if target.fleeting => Ok(Destination::Carried(new)),
            (Some(old), _) => Ok(Destination::Running(old)),
            (None, Some(_)) => Err(Refusal::new(
                program,
                new,
                "it was defined in another object".into(),
            )),
            (None, None) if unit.correlation.ambiguous.contains(&new.atom) && !target.fleeting => {
                let reason =
                    "it cannot be told which existing variable it is, or whether it is new";
                Err(Refusal::new(program, new, reason.into()))
            }
            (None, None) => Ok(Destination::Carried(new)),
        },
        AtomKind::ReadOnly => match old {
            Some(old) if !unit.comparison.is_different(new.atom) && !target.is_private() => {
                Ok(Destination::Running(old))
            }
            _ => Ok(Destination::Carried(new)),
        },
        AtomKind::Tls | AtomKind::Code => old.map(Destination::Running).ok_or_else(|| {
            let reason = if target.kind == AtomKind::Tls {
                "a new thread-local variable cannot be added to running threads"
            } else {
                "new code outside functions is not understood"
            };
            Refusal::new(program, new, reason.into())
        }),
        _ => Ok(program
            .running_text(from, new)
            .map_or(Destination::Carried(new), Destination::Told)),
    }
}

/// A link to a function. Calls from new code to changed functions lead to the new code at once; its address stays
/// the old entry's, so that pointers compare equal.
fn into_function<'d>(
    program: &Program<'d>,
    from: NewAtom,
    (new, function): (NewAtom, FunctionId),
    link: &Link,
) -> Result<Destination<'d>, Refusal> {
    let object = &program.units[new.unit].pair.new;
    let entry = object.function(function).entry();
    let inside = link.at() != 0 || new.atom != entry;
    let branch = matches!(link.site.role, Role::Call | Role::Jump);
    let own = from.unit == new.unit
        && program.units[from.unit].pair.new.owner(from.atom) == Some(function);
    let indirect = object.atom(entry).indirect;
    match program.fate(new.unit, function) {
        Fate::Unchanged(old) if !inside => Ok(Destination::Running(old)),
        Fate::Unchanged(_) => {
            let name = object.label(new.atom);
            Err(Refusal::new(
                program,
                from,
                format!("it refers to a place inside `{name}`"),
            ))
        }
        Fate::Changed(..) | Fate::New if indirect => {
            let reason = "a changed or new indirect function (STT_GNU_IFUNC) is not supported";
            Err(Refusal::new(program, new, reason.into()))
        }
        Fate::Changed(old, _) if !inside && !branch => Ok(Destination::Running(old)),
        Fate::Changed(..) | Fate::New => {
            // From code of another function only to the entry; tables may lead anywhere.
            let aside =
                program.units[from.unit].pair.new.atom(from.atom).kind == AtomKind::Outlined;
            if inside && branch && !own && !aside {
                let name = object.label(new.atom);
                return Err(Refusal::new(
                    program,
                    from,
                    format!("it jumps into `{name}`"),
                ));
            }
            Ok(Destination::Carried(new))
        }
    }
}
