//! What a patch may not do, and what its author should know.

use crate::closure::Closure;
use crate::object::{AtomId, AtomKind, Object, Role, names};
use crate::program::{NewAtom, OldAtom, Program, Unit};
use crate::refusal::Refusal;
use object::elf;
use std::collections::BTreeSet;

/// Every reason against the patch; `allowed` names variables whose initial value may change.
#[must_use]
pub fn refusals(program: &Program<'_>, closure: &Closure<'_>, allowed: &[String]) -> Vec<Refusal> {
    let mut found = closure.refusals.clone();
    for (index, unit) in program.units.iter().enumerate() {
        let check = UnitCheck {
            program,
            unit,
            index,
        };
        found.extend(check.whole_objects());
        found.extend(check.altered(allowed));
        found.extend(check.constants());
        found.extend(check.constructors());
        found.extend(check.names());
    }
    found.extend(
        closure
            .carried
            .iter()
            .flat_map(|new| carried(program, *new)),
    );
    for replaced in &closure.replaced {
        found.extend(replaced_function(program, replaced.old, replaced.new));
    }
    found.sort();
    found.dedup();
    found
}

/// What the author should know.
#[must_use]
pub fn warnings(program: &Program<'_>, closure: &Closure<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for replaced in &closure.replaced {
        let object = &program.units[replaced.old.unit].pair.old;
        let name = object.label(replaced.old.atom);
        if name == "main" {
            found.push(
                "`main` is on the stack as long as the program runs: the patch cannot be applied \
                        unless `--consistency function` waives the check"
                    .to_owned(),
            );
        }
        found.extend(tail_calls(object, replaced.old.atom, &name));
    }
    for new in &closure.carried {
        let object = &program.units[new.unit].pair.new;
        let code = object.atom(new.atom).kind == AtomKind::Function;
        if code && !object.frames.contains_key(&new.atom) {
            let name = object.label(new.atom);
            found.push(format!(
                "`{name}` has no unwind information (`.eh_frame`): stacks through it cannot be judged with certainty"
            ));
        }
    }
    for unit in program
        .units
        .iter()
        .filter(|unit| unit.pair.new.sections.is_empty())
    {
        found.push(format!(
            "`{}` has no new version: what runs of it stays",
            unit.pair.name
        ));
    }
    found
}

fn tail_calls(object: &Object<'_>, entry: AtomId, name: &str) -> Option<String> {
    let owner = object.owner(entry)?;
    let pieces = object.function(owner).pieces.iter();
    let links = pieces.flat_map(|piece| &object.atom(*piece).links);
    let out = links
        .filter(|link| link.site.role == Role::Jump && object.owner(link.target) != Some(owner));
    let targets: BTreeSet<String> = out
        .map(|link| format!("`{}`", object.label(link.target)))
        .collect();
    let targets: Vec<String> = targets.into_iter().collect();
    (!targets.is_empty()).then(|| {
        format!(
            "`{name}` ends by jumping to {}: a thread there is not seen to be in `{name}` (`--quiesce` adds to what \
             may be on no stack)",
            targets.join(", ")
        )
    })
}

struct UnitCheck<'c, 'd> {
    program: &'c Program<'d>,
    unit: &'c Unit<'d>,
    index: usize,
}

impl UnitCheck<'_, '_> {
    fn refusal(&self, symbol: &str, reason: impl Into<String>) -> Refusal {
        Refusal {
            object: self.unit.pair.name.clone(),
            symbol: symbol.to_owned(),
            reason: reason.into(),
        }
    }

    fn about(&self, new: AtomId, reason: impl Into<String>) -> Refusal {
        Refusal::new(
            self.program,
            NewAtom {
                unit: self.index,
                atom: new,
            },
            reason.into(),
        )
    }

    fn whole_objects(&self) -> Vec<Refusal> {
        let pair = &self.unit.pair;
        let flaws: BTreeSet<&String> = pair.old.flaws.iter().chain(&pair.new.flaws).collect();
        flaws
            .into_iter()
            .map(|flaw| self.refusal(&pair.name, flaw.as_str()))
            .collect()
    }

    fn altered(&self, allowed: &[String]) -> Vec<Refusal> {
        let new = &self.unit.pair.new;
        let altered = self.unit.comparison.altered.iter();
        altered
            .filter(|(atom, _)| !allowed.iter().any(|name| name == new.atom(*atom).name))
            .map(|(atom, how)| {
                let section = new.section_name(*atom);
                let what = match new.atom(*atom).kind {
                    AtomKind::Code => "code that belongs to no function changed",
                    _ if is_constructor_section(section) => "constructors or destructors changed",
                    AtomKind::Tls => "the initial value of a thread-local variable changed",
                    _ => "the initial value of a live variable changed (`--allow-data` keeps the running one)",
                };
                self.about(*atom, format!("{what}: {how}"))
            })
            .collect()
    }

    /// Constants whose address other objects have.
    fn constants(&self) -> Vec<Refusal> {
        let new = &self.unit.pair.new;
        let shared = self
            .unit
            .comparison
            .different()
            .filter(|atom| !new.atom(*atom).globals.is_empty());
        shared
            .map(|atom| self.about(atom, "a constant changed that other objects refer to"))
            .collect()
    }

    fn constructors(&self) -> Vec<Refusal> {
        let mut found = Vec::new();
        let (pair, correlation) = (&self.unit.pair, &self.unit.correlation);
        if pair.old.sections.is_empty() || pair.new.sections.is_empty() {
            return found;
        }
        for (id, _) in pair.new.enumerate() {
            let section = pair.new.section_name(id);
            if is_constructor_section(section) && correlation.old_of(id).is_none() {
                found.push(self.about(id, "a constructor or destructor was added"));
            }
        }
        for (id, _) in pair.old.enumerate() {
            let section = pair.old.section_name(id);
            if is_constructor_section(section) && correlation.new_of(id).is_none() {
                let name = pair.old.label(id);
                found.push(self.refusal(&name, "a constructor or destructor was removed"));
            }
        }
        found
    }

    /// Global names that mean something else now, or that give way to others as they did not before.
    fn names(&self) -> Vec<Refusal> {
        let mut found = Vec::new();
        let (pair, correlation) = (&self.unit.pair, &self.unit.correlation);
        let mut by_name = std::collections::HashMap::new();
        for (id, atom) in pair.new.enumerate().filter(|(_, atom)| atom.section != 0) {
            by_name.extend(atom.globals.iter().map(|name| (*name, id)));
        }
        for (id, atom) in pair.old.enumerate().filter(|(_, atom)| atom.section != 0) {
            let new = correlation.new_of(id);
            for name in &atom.globals {
                if by_name.get(name).is_some_and(|other| new != Some(*other)) {
                    found.push(self.refusal(name, "it is the name of something else now"));
                }
            }
            if let Some(new) = new
                && pair.new.atom(new).weak != atom.weak
            {
                found.push(self.about(new, "it became weak, or is weak no more"));
            }
        }
        found
    }
}

fn is_constructor_section(name: &str) -> bool {
    let families = [
        ".init_array",
        ".fini_array",
        ".preinit_array",
        ".ctors",
        ".dtors",
        ".init",
        ".fini",
    ];
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether the linker gives sections of this name no meaning of its own (`__start_NAME`, tables of all objects).
fn is_ordinary_section(name: &str) -> bool {
    let families = [
        ".text",
        ".data",
        ".bss",
        ".rodata",
        ".lrodata",
        ".ldata",
        ".lbss",
        ".sdata",
        ".tm_clone_table",
    ];
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// What speaks against carrying an atom.
fn carried(program: &Program<'_>, new: NewAtom) -> Vec<Refusal> {
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    let refusal = |reason: String| Refusal::new(program, new, reason);
    let mut found: Vec<Refusal> = atom
        .flaws
        .iter()
        .map(|flaw| refusal(flaw.clone()))
        .collect();
    if let Some(flaw) = object.frames.get(&new.atom).and_then(|frame| frame.flaw) {
        found.push(refusal(flaw.to_owned()));
    }
    if atom.kind == AtomKind::Function
        && let Some((label, at)) = atom.labels.first()
    {
        found.push(refusal(format!(
            "assembly code defines `{label}` inside it, at +{at:#x}"
        )));
    }
    let section = &object.sections[atom.section];
    if section.has(elf::SHF_GROUP) && !atom.kind.is_anonymous() {
        found.push(refusal(
            "it is in a COMDAT group: any object's copy of it may run".to_owned(),
        ));
    }
    if !atom.kind.is_code() && !is_ordinary_section(section.name) {
        let name = section.name;
        found.push(refusal(format!(
            "new data in section `{name}`, whose meaning is not known"
        )));
    }
    found
}

fn replaced_function(program: &Program<'_>, old: OldAtom, new: NewAtom) -> Vec<Refusal> {
    let object = &program.units[old.unit].pair.old;
    let mut reasons = Vec::new();
    let owner = object.owner(old.atom);
    for piece in owner
        .iter()
        .flat_map(|owner| &object.function(*owner).pieces)
    {
        let atom = object.atom(*piece);
        reasons.extend(
            atom.flaws
                .iter()
                .map(|flaw| format!("in the old code, {flaw}")),
        );
        if let Some((label, at)) = atom.labels.first() {
            reasons.push(format!(
                "in the old code, assembly defines `{label}` inside it, at +{at:#x}"
            ));
        }
        if atom.indirect {
            reasons.push("a changed indirect function (STT_GNU_IFUNC) is not supported".to_owned());
        }
        if atom.size == 0 {
            reasons.push("the old function has no code".to_owned());
        }
    }
    reasons
        .into_iter()
        .map(|reason| Refusal::new(program, new, reason))
        .collect()
}

/// Functions that were split off changed ones and did not change: whoever is in them is in the changed one, too.
#[must_use]
pub fn split_off(program: &Program<'_>, closure: &Closure<'_>) -> BTreeSet<OldAtom> {
    let mut found = BTreeSet::new();
    for replaced in &closure.replaced {
        let object = &program.units[replaced.old.unit].pair.old;
        let parent = object.atom(replaced.old.atom);
        for (atom, part) in object
            .enumerate()
            .filter(|(_, atom)| atom.kind == AtomKind::Function)
        {
            let split = names::part_parent(part.name) == Some(parent.name);
            if split
                && object
                    .owner(atom)
                    .is_some_and(|f| object.function(f).entry() == atom)
            {
                found.insert(OldAtom {
                    unit: replaced.old.unit,
                    atom,
                });
            }
        }
    }
    found
}
