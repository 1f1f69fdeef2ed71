//! Whether code lets an address out of its hands.
//!
//! A function that takes the address of a table and only reads there, `lea table(%rip), %rdx; mov (%rdx,%rax,8), %rax`,
//! leaves no trace of it: new code may have another table. One that stores the address, passes it on or returns it may
//! have left it with somebody who goes on using the old one.
//!
//! The address is followed through registers along all paths from the instruction that takes it. Whatever is not
//! understood counts as letting it out.

mod step;

use crate::object::{Atom, AtomId, Link, Object, Role, names};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};
use livepatch_bundle::Class;
use std::collections::{BTreeMap, BTreeSet};
use step::{Registers, Step};

/// Functions that do not keep what they are given, nor return a part of what they only read.
const READERS: [&str; 23] = [
    "memcmp",
    "memcpy",
    "memmove",
    "strcmp",
    "strncmp",
    "strlen",
    "strnlen",
    "strcpy",
    "strncpy",
    "strcat",
    "strncat",
    "strcasecmp",
    "strncasecmp",
    "snprintf",
    "sprintf",
    "printf",
    "fprintf",
    "puts",
    "fputs",
    "write",
    "fwrite",
    "__memcpy_chk",
    "__printf_chk",
];

/// How far before a jump its register is loaded, in instructions.
const NEAR: usize = 8;

/// Whether the code that holds `link` may let the address out that the link leads to. `two`: whether a function of a name is known
/// to return its result in two registers, or not to.
#[must_use]
pub(crate) fn escapes(
    object: &Object<'_>,
    atom: &Atom<'_>,
    link: &Link,
    two: &dyn Fn(&str) -> Option<bool>,
) -> bool {
    let slot = link.kind.class() == Class::GotSlot;
    match link.site.role {
        Role::Access | Role::Indexed if !slot => false,
        Role::Data => true,
        _ => Walk::new(object, atom, two).lets_out(link.site_start()),
    }
}

/// Where a piece of a function takes the address of a place inside the function and may let it out: the place of the
/// instruction, and what it takes. `pieces`: all pieces, the entry first.
#[must_use]
pub(crate) fn kept_label(
    object: &Object<'_>,
    piece: AtomId,
    pieces: &[AtomId],
    two: &dyn Fn(&str) -> Option<bool>,
) -> Option<(u64, u64)> {
    let atom = object.atom(piece);
    let mut walk = Walk::new(object, atom, two);
    let taken = own_labels(&walk, pieces);
    walk.goals = taken.iter().map(|(_, place)| *place).collect();
    taken.into_iter().find(|(at, _)| walk.lets_out(*at))
}

/// Instructions that take the address of a place inside the function, and the places: by a relocation, or by a distance
/// that the assembler knew.
fn own_labels(walk: &Walk<'_, '_>, pieces: &[AtomId]) -> Vec<(u64, u64)> {
    let links = walk.atom.links.iter().filter(|link| {
        let entry = pieces.first() == Some(&link.target) && link.at() == 0;
        link.site.role == Role::Address && pieces.contains(&link.target) && !entry
    });
    let linked = links.filter_map(|link| Some((link.site_start(), u64::try_from(link.at()).ok()?)));
    let relocated: BTreeSet<u64> = walk.atom.references().map(Link::site_start).collect();
    let near = walk.code.iter().filter(|(at, one)| {
        one.mnemonic() == Mnemonic::Lea && one.is_ip_rel_memory_operand() && !relocated.contains(at)
    });
    let near = near.map(|(at, one)| (*at, one.ip_rel_memory_address()));
    let inside = near.filter(|(_, place)| (1..walk.atom.size).contains(place));
    linked.chain(inside).collect()
}

struct Walk<'w, 'd> {
    object: &'w Object<'d>,
    atom: &'w Atom<'d>,
    /// Instructions by offset.
    code: BTreeMap<u64, Instruction>,
    /// Places in the code that data points to.
    labels: BTreeSet<u64>,
    /// Places in the code whose address it takes itself.
    goals: BTreeSet<u64>,
    /// Whether a function's `%rdx` is a result, too, where that is known.
    two: &'w dyn Fn(&str) -> Option<bool>,
}

impl<'w, 'd> Walk<'w, 'd> {
    fn new(
        object: &'w Object<'d>,
        atom: &'w Atom<'d>,
        two: &'w dyn Fn(&str) -> Option<bool>,
    ) -> Self {
        let decoder = Decoder::new(64, atom.bytes, DecoderOptions::NONE);
        let code = decoder.into_iter().map(|one| (one.ip(), one)).collect();
        let data = object.atoms.iter().filter(|one| !one.kind.is_code());
        let links = data.flat_map(Atom::references);
        let inside = links.filter(|link| std::ptr::eq(object.atom(link.target), atom));
        let labels = inside.filter_map(|link| u64::try_from(link.at()).ok());
        Self {
            object,
            atom,
            code,
            labels: labels.collect(),
            goals: BTreeSet::new(),
            two,
        }
    }

    /// Whether the address that the instruction at `start` takes gets out.
    fn lets_out(&self, start: u64) -> bool {
        let Some(first) = self.code.get(&start) else {
            return true;
        };
        let Some(taken) = step::taken(first) else {
            return true;
        };
        let mut seen: BTreeMap<u64, Registers> = BTreeMap::new();
        let mut queue = vec![(first.next_ip(), taken)];
        while let Some((at, registers)) = queue.pop() {
            let known = seen.entry(at).or_default();
            if known.has_all(registers) {
                continue;
            }
            *known = known.with(registers);
            let Some(next) = self.step(at, *known) else {
                return true;
            };
            queue.extend(next.into_iter().filter(|(_, left)| !left.is_empty()));
        }
        false
    }

    /// Where control goes from `at`, and the registers that hold the address there; `None` when it gets out.
    fn step(&self, at: u64, registers: Registers) -> Option<Vec<(u64, Registers)>> {
        let instruction = self.code.get(&at)?;
        let next = instruction.next_ip();
        let target = instruction.near_branch_target();
        match instruction.flow_control() {
            FlowControl::Next => match step::effect(instruction, registers) {
                Step::Out => None,
                Step::Goes(left) => Some(vec![(next, left)]),
            },
            FlowControl::Call | FlowControl::IndirectCall => {
                let passed = registers.without_address_of(instruction).has_arguments();
                (!passed || self.calls_reader(at)).then(|| vec![(next, registers.after_call())])
            }
            FlowControl::ConditionalBranch if self.is_inside(at, target) => {
                Some(vec![(next, registers), (target, registers)])
            }
            FlowControl::UnconditionalBranch if self.is_inside(at, target) => {
                Some(vec![(target, registers)])
            }
            FlowControl::IndirectBranch => self.switch(instruction, registers),
            FlowControl::Return => (!self.returns(registers)).then(Vec::new),
            FlowControl::Exception | FlowControl::Interrupt => Some(Vec::new()),
            // To another function or piece, or to who knows where.
            _ => None,
        }
    }

    /// A jump through a table: of labels, to any of the places in this code that data points to; of functions, a call at the
    /// end.
    fn switch(&self, jump: &Instruction, registers: Registers) -> Option<Vec<(u64, Registers)>> {
        if !self.goals.is_empty() {
            let goals = self.labels.iter().chain(&self.goals);
            return Some(goals.map(|at| (*at, registers)).collect());
        }
        if self.labels.is_empty() {
            let passed = registers.without_address_of(jump).has_arguments();
            return (!passed).then(Vec::new);
        }
        let labels = self.labels.iter().map(|at| (*at, registers));
        self.is_by_table(jump, registers).then(|| labels.collect())
    }

    /// Whether a jump goes where a table in the registers says: at once, or by a register that was loaded from there or to
    /// which the table's start was added.
    fn is_by_table(&self, jump: &Instruction, registers: Registers) -> bool {
        let addressed = |one: &Instruction| {
            registers.has(one.memory_base()) || registers.has(one.memory_index())
        };
        if jump.op0_kind() != OpKind::Register {
            return addressed(jump);
        }
        let goal = jump.op0_register().full_register();
        let before = self
            .code
            .range(..jump.ip())
            .rev()
            .map(|(_, one)| one)
            .take(NEAR);
        let writes = |one: &&Instruction| {
            one.op0_kind() == OpKind::Register && one.op0_register().full_register() == goal
        };
        let source = before.into_iter().find(writes);
        source.is_some_and(|one| match one.mnemonic() {
            Mnemonic::Mov => addressed(one),
            mnemonic => mnemonic == Mnemonic::Add,
        })
    }

    /// Whether a register with the address is one of the results. Where nothing tells whether the second one, `%rdx`, is,
    /// code that reads memory through it is taken to have it for that.
    fn returns(&self, registers: Registers) -> bool {
        let through =
            |one: &Instruction| [one.memory_base(), one.memory_index()].contains(&Register::RDX);
        let known = || {
            let name = self.atom.name;
            (self.two)(name).or_else(|| (self.two)(names::origin(name)))
        };
        let guessed = || !self.code.values().any(through);
        registers.has(Register::RAX)
            || registers.has(Register::RDX) && known().unwrap_or_else(guessed)
    }

    /// Whether a branch without relocation stays in the code.
    fn is_inside(&self, at: u64, target: u64) -> bool {
        let relocated = self.atom.references().any(|link| link.site_start() == at);
        !relocated && self.code.contains_key(&target)
    }

    fn calls_reader(&self, at: u64) -> bool {
        let callee = self.atom.links.iter().find(|link| link.site_start() == at);
        callee.is_some_and(|link| READERS.contains(&self.object.atom(link.target).name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::AtomKind;

    /// Whether code that begins with `lea 0(%rip), %rdx` lets the address out.
    fn out(rest: &[u8]) -> bool {
        let mut bytes = vec![0x48, 0x8d, 0x15, 0, 0, 0, 0];
        bytes.extend_from_slice(rest);
        let size = bytes.len() as u64;
        let atom = Atom::new(AtomKind::Function, 1, 0..size, &bytes);
        Walk::new(&Object::default(), &atom, &|_| None).lets_out(0)
    }

    #[test]
    fn an_address_that_is_only_read_from_stays() {
        // mov (%rdx,%rdi,8), %rax; ret
        assert!(!out(&[0x48, 0x8b, 0x04, 0xfa, 0xc3]));
        // lea 8(%rdx), %rcx; add $8, %rdx; cmp %rcx, %rdx; jne back to the add; xor %eax, %eax; ret
        let walk = [
            0x48, 0x8d, 0x4a, 0x08, 0x48, 0x83, 0xc2, 0x08, 0x48, 0x39, 0xca, 0x75, 0xf7, 0x31,
            0xc0, 0xc3,
        ];
        assert!(!out(&walk));
    }

    #[test]
    fn a_load_over_the_address_itself_leaves_nothing() {
        // mov (%rdx,%rdi,8), %rdx; mov %rdx, (%rsi); ret
        assert!(!out(&[0x48, 0x8b, 0x14, 0xfa, 0x48, 0x89, 0x16, 0xc3]));
    }

    #[test]
    fn an_address_that_is_stored_returned_or_passed_on_gets_out() {
        let ways: [&[u8]; 7] = [
            &[0x48, 0x89, 0x16, 0xc3],             // mov %rdx, (%rsi); ret
            &[0x48, 0x89, 0xd0, 0xc3],             // mov %rdx, %rax; ret
            &[0xe8, 0, 0, 0, 0, 0xc3],             // call; ret
            &[0x48, 0x89, 0xd7, 0xff, 0x17, 0xc3], // mov %rdx, %rdi; call *(%rdi); ret
            &[0x52, 0x58, 0xc3],                   // push %rdx
            &[0xe9, 0, 1, 0, 0],                   // jmp elsewhere
            &[0x66, 0x48, 0x0f, 0x6e, 0xc2, 0xc3], // movq %rdx, %xmm0
        ];
        for way in ways {
            assert!(out(way), "{way:x?}");
        }
    }

    #[test]
    fn the_second_result_is_known_by_its_type_or_guessed() {
        // lea 0(%rip), %rdx; mov (%rdx), %rax; ret
        let bytes = [0x48, 0x8d, 0x15, 0, 0, 0, 0, 0x48, 0x8b, 0x02, 0xc3];
        let atom = Atom::new(AtomKind::Function, 1, 0..bytes.len() as u64, &bytes);
        let object = Object::default();
        for (two, out) in [(None, false), (Some(false), false), (Some(true), true)] {
            let known = |_: &str| two;
            let walk = Walk::new(&object, &atom, &known);
            assert_eq!(walk.lets_out(0), out, "{two:?}");
        }
    }

    #[test]
    fn a_register_that_is_overwritten_holds_it_no_more() {
        // mov $1, %edx; mov %edx, %eax; ret
        assert!(!out(&[0xba, 1, 0, 0, 0, 0x89, 0xd0, 0xc3]));
    }
}
