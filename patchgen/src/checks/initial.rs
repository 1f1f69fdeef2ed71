//! Code that has run and will not run again: constructors, and initialisers of static locals.
//!
//! New code that expects what they do now would not find it: a static table of forbidden names would stay empty.
//!
//! g++ and clang initialise a static local behind a guard (Itanium C++ ABI, 3.3.3), which is set in the running program:
//!
//! ```text
//!     lea   rdi, [rip + guard]
//!     call  __cxa_guard_acquire
//!     test  eax, eax
//!     je    done
//!     ...                            what the initialiser does
//!     call  __cxa_guard_release
//! ```

use super::Objection;
use super::goal::{Goal, goal};
use super::unit::{AT_START, is_of_family};
use crate::object::{Atom, AtomId, Link, Object, Role};
use crate::pair::Users;
use crate::program::Unit;
use iced_x86::{ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Register};
use std::collections::{BTreeMap, BTreeSet};

const ACQUIRE: &str = "__cxa_guard_acquire";
const RELEASE: &str = "__cxa_guard_release";
/// What guards are called, and the variables that they guard.
const GUARD: &str = "_ZGV";
const VARIABLE: &str = "_Z";

/// What begins the names of the functions in which compilers gather initialisers.
const GATHERED: [&str; 4] = [
    "_GLOBAL__sub_I_",
    "_GLOBAL__I_",
    "_Z41__static_initialization_and_destruction_0",
    "__cxx_global_var_init",
];

/// Everything that changed too late; `allowed` names functions and variables of which that does not matter.
pub(super) fn late(unit: &Unit<'_>, allowed: &[String]) -> Vec<Objection> {
    if unit.pair.new.is_kernel {
        return Vec::new();
    }
    let changed = unit.comparison.changed();
    if changed.is_empty() {
        return Vec::new();
    }
    let is_allowed = |name: &str| allowed.iter().any(|other| other == name);
    let new = &unit.pair.new;
    let at_start = called_at_start(new);
    let mut found = BTreeMap::new();
    for function in changed {
        let entry = new.function(function).entry();
        let name = new.atom(entry).name;
        let gathered = GATHERED.iter().any(|prefix| name.starts_with(prefix));
        if at_start.contains(&entry) || gathered {
            found.insert(
                name.to_owned(),
                "it runs when the program starts, and changed: what it does now would never be done (`--allow-data` accepts that)",
            );
        }
        let guarded = guarded(unit, entry).into_iter();
        found.extend(guarded.map(|variable| {
            let reason = "it is initialised when it is first used, and the initialiser changed: what lives keeps its value \
                          (`--allow-data` accepts that)";
            (variable, reason)
        }));
    }
    let late = found.into_iter().filter(|(name, _)| !is_allowed(name));
    late.map(|(name, reason)| Objection {
        name,
        reason: reason.to_owned(),
    })
    .collect()
}

/// Functions that only run when the program starts: what constructors' sections lead to, and what only such functions use.
fn called_at_start(object: &Object<'_>) -> BTreeSet<AtomId> {
    let tables = object
        .enumerate()
        .filter(|(id, _)| is_of_family(object.section_name(*id), &AT_START));
    let roots = tables.flat_map(|(_, atom)| atom.references().map(|link| link.target));
    let mut found: BTreeSet<AtomId> = roots.collect();
    if found.is_empty() {
        return found;
    }
    let users = Users::of(object);
    let mut queue: Vec<AtomId> = found.iter().copied().collect();
    while let Some(caller) = queue.pop() {
        let pieces = object
            .owner(caller)
            .map(|function| object.function(function).pieces());
        let links = pieces
            .into_iter()
            .flatten()
            .flat_map(|piece| object.references(piece));
        let callees = links.filter_map(|link| object.owner(link.target));
        let callees = callees.map(|function| object.function(function).entry());
        let new: Vec<AtomId> = callees
            .filter(|callee| {
                !found.contains(callee) && only_used_by(object, &users, *callee, &found)
            })
            .collect();
        found.extend(new.iter().copied());
        queue.extend(new);
    }
    found
}

/// Whether a function that no other file sees is used by these functions only, and by itself.
fn only_used_by(
    object: &Object<'_>,
    users: &Users,
    function: AtomId,
    callers: &BTreeSet<AtomId>,
) -> bool {
    let own = object.owner(function);
    let is_known = |user: &AtomId| {
        let owner = object.owner(*user);
        let entry = owner.map(|owner| object.function(owner).entry());
        owner == own || entry.is_some_and(|entry| callers.contains(&entry))
    };
    !object.atom(function).is_global() && users.of_atom(function).iter().all(is_known)
}

/// Variables whose initialiser in a function differs from the old one: in the numbers that it holds, or in what it leads to.
fn guarded(unit: &Unit<'_>, new: AtomId) -> Vec<String> {
    let Some(old) = unit.correlation.old_of(new) else {
        return Vec::new();
    };
    let olds = initialisers(&unit.pair.old, old);
    let mut found = Vec::new();
    for (guard, now) in initialisers(&unit.pair.new, new) {
        let before = unit
            .correlation
            .old_of(guard)
            .and_then(|guard| olds.get(&guard));
        if before.is_some_and(|before| *before != now) {
            let name = unit.pair.new.atom(guard).name;
            found.push(name.replacen(GUARD, VARIABLE, 1));
        }
    }
    found
}

/// What an initialiser uses: the numbers in its code, and what its fields lead to, sorted.
type Uses<'d> = (Vec<u64>, Vec<(i64, Goal<'d>)>);

/// The initialisers in a function, by their guards.
fn initialisers<'d>(object: &Object<'d>, entry: AtomId) -> BTreeMap<AtomId, Uses<'d>> {
    let code = Code::of(object, object.atom(entry));
    let calls = code.links.values();
    let acquire = calls.filter(|link| code.is_call_of(link, ACQUIRE));
    let found = acquire.filter_map(|link| {
        let guard = code.guard_before(link.offset())?;
        let begin = code.entered_if_acquired(link.site.end(link.offset()))?;
        Some((guard, code.uses(&code.until_release(begin))))
    });
    found.collect()
}

/// The code of a function, as far as its own branches lead.
struct Code<'c, 'd> {
    object: &'c Object<'d>,
    instructions: BTreeMap<u64, Instruction>,
    /// By the offset of the field.
    links: BTreeMap<u64, &'c Link>,
}

impl<'c, 'd> Code<'c, 'd> {
    fn of(object: &'c Object<'d>, atom: &'c Atom<'d>) -> Self {
        let links = atom.links.iter().map(|link| (link.offset(), link));
        let links: BTreeMap<u64, &Link> = links.collect();
        let is_guarded = links
            .values()
            .any(|link| object.atom(link.target).name == ACQUIRE);
        let bytes = if is_guarded { atom.bytes } else { &[] };
        let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
        let instructions = decoder.iter().map(|one| (one.ip(), one));
        Self {
            object,
            instructions: instructions.collect(),
            links,
        }
    }

    fn is_call_of(&self, link: &Link, name: &str) -> bool {
        matches!(link.site.role, Role::Call | Role::Jump)
            && self.object.atom(link.target).name == name
    }

    /// The guard whose address is taken last before a call.
    fn guard_before(&self, call: u64) -> Option<AtomId> {
        let before = self.links.range(..call).rev();
        let mut targets = before.map(|(_, link)| link.target);
        targets.find(|target| self.object.atom(*target).name.starts_with(GUARD))
    }

    /// Where the code goes on that has acquired a guard: by the first branch behind the call.
    fn entered_if_acquired(&self, behind: u64) -> Option<u64> {
        let mut next = self.instructions.range(behind..).map(|(_, one)| one);
        let branch = next.find(|one| one.flow_control() != FlowControl::Next)?;
        match branch.condition_code() {
            ConditionCode::ne => Some(branch.near_branch_target()),
            ConditionCode::e => Some(branch.next_ip()),
            _ => None,
        }
    }

    /// All instructions from an offset on until the guard is released.
    fn until_release(&self, begin: u64) -> BTreeSet<u64> {
        let (mut found, mut queue) = (BTreeSet::new(), vec![begin]);
        while let Some(place) = queue.pop() {
            let Some(one) = self
                .instructions
                .get(&place)
                .filter(|_| found.insert(place))
            else {
                continue;
            };
            let released = self
                .links_of(one)
                .any(|link| self.is_call_of(link, RELEASE));
            match one.flow_control() {
                _ if released => {}
                FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                    queue.push(one.next_ip());
                }
                FlowControl::UnconditionalBranch => queue.push(one.near_branch_target()),
                FlowControl::ConditionalBranch => {
                    queue.extend([one.next_ip(), one.near_branch_target()]);
                }
                _ => {}
            }
        }
        found
    }

    fn links_of(&self, one: &Instruction) -> impl Iterator<Item = &&'c Link> {
        self.links
            .range(one.ip()..one.next_ip())
            .map(|(_, link)| link)
    }

    fn uses(&self, places: &BTreeSet<u64>) -> Uses<'d> {
        let (mut numbers, mut goals) = (Vec::new(), Vec::new());
        for one in places
            .iter()
            .filter_map(|place| self.instructions.get(place))
        {
            let own = self.links_of(one);
            goals.extend(own.map(|link| (link.at(), goal(self.object.atom(link.target)))));
            numbers.extend(immediates(one));
        }
        numbers.sort_unstable();
        goals.sort();
        (numbers, goals)
    }
}

/// The numbers that an instruction holds, but for what it adds to the stack pointer.
fn immediates(instruction: &Instruction) -> Vec<u64> {
    if instruction.op_count() > 0 && instruction.op0_register() == Register::RSP {
        return Vec::new();
    }
    let operands = 0..instruction.op_count();
    operands
        .filter_map(|operand| instruction.try_immediate(operand).ok())
        .collect()
}
