//! What speaks against a patch in one pair of objects.

use super::Objection;
use super::initial;
use super::lost;
use super::places;
use super::sets::{self, Entry};
use crate::closure::may_mean_next;
use crate::object::{AtomId, AtomKind};
use crate::pair::Users;
use crate::program::{NewAtom, Program, Unit};
use crate::refusal::Refusal;
use crate::{escape, types};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

/// Everything that speaks against the unit; `allowed` names variables whose initial value may change.
pub(super) fn refusals<'d>(
    program: &Program<'d>,
    index: usize,
    unit: &Unit<'d>,
    allowed: &[String],
) -> Vec<Refusal> {
    let check = UnitCheck {
        program,
        unit,
        index,
    };
    let mut found = check.whole_objects();
    found.extend(check.altered(allowed));
    found.extend(check.constants());
    found.extend(check.constructors());
    found.extend(check.names());
    found.extend(check.sets());
    let mut objections = check.places();
    objections.extend(initial::late(unit, allowed));
    objections.extend(lost::variables(program, index, allowed));
    let objections = objections.into_iter();
    found.extend(objections.map(|one| check.refusal(&one.name, one.reason)));
    found
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
            .filter(|(atom, _)| {
                let is_allowed = allowed.iter().any(|name| name == new.atom(*atom).name);
                !is_allowed || self.has_grown(*atom)
            })
            .map(|(atom, how)| {
                let section = new.section_name(*atom);
                let what = match new.atom(*atom).kind {
                    AtomKind::Data | AtomKind::Tls | AtomKind::Common if self.has_grown(*atom) => {
                        "a live variable cannot grow (a shadow variable holds what is new)"
                    }
                    AtomKind::Code => "code that belongs to no function changed",
                    _ if is_constructor_section(section) => "constructors or destructors changed",
                    AtomKind::Tls => "the initial value of a thread-local variable changed",
                    _ => "the initial value of a live variable changed (`--allow-data` keeps the running one)",
                };
                self.about(*atom, format!("{what}: {how}"))
            })
            .collect()
    }

    /// Whether the running program has less room for a variable than new code takes it to have.
    fn has_grown(&self, atom: AtomId) -> bool {
        let (pair, correlation) = (&self.unit.pair, &self.unit.correlation);
        let before = correlation.old_of(atom);
        before.is_some_and(|before| pair.new.atom(atom).size > pair.old.atom(before).size)
    }

    /// Constants whose address other objects have.
    fn constants(&self) -> Vec<Refusal> {
        let new = &self.unit.pair.new;
        let shared = self
            .unit
            .comparison
            .different()
            .filter(|atom| new.atom(*atom).is_global());
        let shared =
            shared.map(|atom| self.about(atom, "a constant changed that other objects refer to"));
        shared.chain(self.escaped()).collect()
    }

    /// Changed constants whose address old code may have left with somebody.
    fn escaped(&self) -> Vec<Refusal> {
        let (pair, correlation) = (&self.unit.pair, &self.unit.correlation);
        let own = |new: &AtomId| {
            let atom = pair.new.atom(*new);
            !atom.is_global() && !atom.is_private()
        };
        let changed: Vec<AtomId> = self.unit.comparison.different().filter(own).collect();
        let vtables = &self.unit.comparison.vtables;
        if changed.is_empty() && vtables.is_empty() {
            return Vec::new();
        }
        let users = Users::of(&pair.old);
        let types = OnceCell::new();
        let two = |name: &str| {
            let types = types.get_or_init(|| types::read(&pair.old).ok());
            types.as_ref()?.returns_two_registers(name)
        };
        let mut found = Vec::new();
        for new in changed {
            let Some(old) = correlation.old_of(new) else {
                continue;
            };
            let keeper = self.keeper(&users, old, &two);
            found.extend(self.maybe_user(&users, old).map(|function| {
                let reason = format!("its contents changed, and it cannot be told whether `{function}` refers to it or to a constant before it: \
                                      compile old and new with `-fdata-sections`");
                self.about(new, reason)
            }));
            found.extend(keeper.map(|(function, at)| {
                let reason = format!(
                    "its contents changed, and `{function}` may have handed out its address at +{at:#x}"
                );
                self.about(new, reason)
            }));
        }
        found.extend(vtables.iter().filter_map(|vtable| {
            let (function, at) = self.keeper(&users, vtable.old, &two)?;
            let reason = format!(
                "the vtable changed ({}), and `{function}` may have handed out its address at +{at:#x}: live objects lead to the old one",
                vtable.difference
            );
            Some(self.refusal(&vtable.name, reason))
        }));
        found
    }

    /// An old function that may have handed out the address of a constant, and where.
    fn keeper(
        &self,
        users: &Users,
        constant: AtomId,
        two: &dyn Fn(&str) -> Option<bool>,
    ) -> Option<(String, u64)> {
        let old = &self.unit.pair.old;
        users.of_atom(constant).iter().find_map(|user| {
            let atom = old.atom(*user);
            let mut links = atom.references().filter(|link| link.target == constant);
            let out =
                links.find(|link| atom.kind.is_code() && escape::escapes(old, atom, link, two))?;
            Some((old.label(*user), out.site_start()))
        })
    }

    /// An old function that may refer to a constant by a place before it.
    fn maybe_user(&self, users: &Users, constant: AtomId) -> Option<String> {
        let old = &self.unit.pair.old;
        let before = old.neighbours(constant).0?;
        let means = |user: &&AtomId| {
            let mut links = old.atom(**user).references();
            links.any(|link| link.target == before && may_mean_next(old, link) == Some(constant))
        };
        let user = users.of_atom(before).iter().find(means)?;
        Some(old.label(*user))
    }

    fn constructors(&self) -> Vec<Refusal> {
        let mut found = Vec::new();
        let (pair, correlation) = (&self.unit.pair, &self.unit.correlation);
        if pair.old.sections.is_empty() || pair.new.sections.is_empty() || pair.new.is_kernel {
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
        // Most keep their names.
        let kept = |id: AtomId, name: &str| {
            let old = correlation.old_of(id).map(|old| pair.old.atom(old));
            old.is_some_and(|old| old.globals().any(|other| other == name))
        };
        let mut by_name = HashMap::new();
        for (id, atom) in pair.new.enumerate().filter(|(_, atom)| atom.section() != 0) {
            let others = atom.globals().filter(|name| !kept(id, name));
            by_name.extend(others.map(|name| (name, id)));
        }
        for (id, atom) in pair.old.enumerate().filter(|(_, atom)| atom.section() != 0) {
            let new = correlation.new_of(id);
            for name in atom.globals() {
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

impl UnitCheck<'_, '_> {
    /// Entries of linker sets that are not as they were linked.
    fn sets(&self) -> Vec<Refusal> {
        let entries = sets::entries(self.program, self.unit).into_iter();
        entries
            .map(|entry| match entry {
                Entry::New(atom, reason) => self.about(atom, reason),
                Entry::Gone(atom, reason) => self.refusal(&self.unit.pair.old.label(atom), reason),
            })
            .collect()
    }

    /// Functions named by their place that have another one's name now.
    fn places(&self) -> Vec<Objection> {
        match self.unit.comparison.changed().is_empty() {
            true => Vec::new(),
            false => places::shifted(&self.unit.pair),
        }
    }
}

/// Sections of what runs when the program starts.
pub(super) const AT_START: [&str; 3] = [".init_array", ".preinit_array", ".ctors"];

fn is_constructor_section(name: &str) -> bool {
    const OTHERS: [&str; 4] = [".fini_array", ".dtors", ".init", ".fini"];
    is_of_family(name, &AT_START) || is_of_family(name, &OTHERS)
}

/// Whether a section is one of these, alone or with an order behind its name (`.init_array.00101`).
pub(super) fn is_of_family(name: &str, families: &[&str]) -> bool {
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
