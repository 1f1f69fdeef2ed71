//! Initialisers of static locals, which have run and will not run again.
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
//!
//! Without threads (`-fno-threadsafe-statics`), and for a `thread_local` one, nothing is called: what only runs while the guard is
//! zero sets it. Other `thread_local` variables are initialised by one function for all of a file.

use super::goal::{Goal, goal};
use crate::object::{Atom, AtomId, Link, Object, Role};
use crate::program::Unit;
use iced_x86::{ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Register};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

const ACQUIRE: &str = "__cxa_guard_acquire";
const RELEASE: &str = "__cxa_guard_release";
/// What guards are called, and the variables that they guard.
const GUARD: &str = "_ZGV";
const VARIABLE: &str = "_Z";

/// Variables whose initialiser in a function differs from the old one: in the numbers that it holds, or in what it leads to.
pub(super) fn guarded(unit: &Unit<'_>, new: AtomId) -> Vec<String> {
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
    let mut found: BTreeMap<AtomId, Uses<'d>> = found.collect();
    for link in code.links.values().filter(|link| code.is_guard(link)) {
        if let Entry::Vacant(free) = found.entry(link.target)
            && let Some(uses) = code.while_zero(link)
        {
            free.insert(uses);
        }
    }
    found
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
            .any(|link| object.atom(link.target).name.starts_with(GUARD));
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
        let mut links = before.map(|(_, link)| link);
        links
            .find(|link| self.is_guard(link))
            .map(|link| link.target)
    }

    fn is_guard(&self, link: &Link) -> bool {
        self.object.atom(link.target).name.starts_with(GUARD)
    }

    /// What is used only on that side of the first branch behind a use of a guard on which the guard is used again.
    fn while_zero(&self, guard: &Link) -> Option<Uses<'d>> {
        let behind = guard.site.end(guard.offset());
        let mut next = self.instructions.range(behind..).map(|(_, one)| one);
        let branch = next.find(|one| one.flow_control() != FlowControl::Next)?;
        if branch.flow_control() != FlowControl::ConditionalBranch {
            return None;
        }
        let sides = [branch.near_branch_target(), branch.next_ip()];
        let [one, other] = &sides.map(|side| self.from(side, |_| false));
        let only = [one - other, other - one];
        let sets = |place: &u64| {
            let instruction = self.instructions.get(place);
            instruction
                .is_some_and(|one| self.links_of(one).any(|link| link.target == guard.target))
        };
        let side = only.iter().position(|side| side.iter().any(sets))?;
        // Compilers double what comes behind both.
        let behind = self.uses([other, one][side]);
        let mut uses = self.uses(&only[side]);
        uses.0.retain(|number| !behind.0.contains(number));
        uses.1.retain(|goal| !behind.1.contains(goal));
        Some(uses)
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
        self.from(begin, |one| {
            let mut links = self.links_of(one);
            links.any(|link| self.is_call_of(link, RELEASE))
        })
    }

    /// All instructions from an offset on, to where it ends.
    fn from(&self, begin: u64, ends: impl Fn(&Instruction) -> bool) -> BTreeSet<u64> {
        let (mut found, mut queue) = (BTreeSet::new(), vec![begin]);
        while let Some(place) = queue.pop() {
            let Some(one) = self
                .instructions
                .get(&place)
                .filter(|_| found.insert(place))
            else {
                continue;
            };
            match one.flow_control() {
                _ if ends(one) => {}
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
