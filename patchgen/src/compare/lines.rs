//! Line numbers in assertions and log calls (`__LINE__`).
//!
//! A number counts as a line number when it is an argument of a call and
//!
//! - the debug information says that this very instruction comes from that line, or
//! - the function called is known to take a line number there.
//!
//! Nothing else is good enough: a number that might mean something else makes the function a changed one.

use crate::object::lines::Lines;
use crate::object::{Atom, Link};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Register};

/// Functions that take a line number, and the register that it is in (psABI 3.2.3).
#[rustfmt::skip]
const KNOWN: [(&str, Register); 19] = [
    ("__assert_fail",            Register::EDX),
    ("__assert",                 Register::EDX),
    ("__assert_perror_fail",     Register::EDX),
    ("_serverAssert",            Register::EDX),
    ("_serverAssertWithInfo",    Register::R8D),
    ("_serverPanic",             Register::ESI),
    ("g_assertion_message",      Register::EDX),
    ("g_assertion_message_expr", Register::EDX),
    ("OPENSSL_die",              Register::EDX),
    ("ERR_set_debug",            Register::ESI),
    ("ERR_put_error",            Register::R8D),
    ("log_assert_failed",        Register::EDX),
    // Of the kernel.
    ("__might_sleep",            Register::ESI),
    ("__might_resched",          Register::ESI),
    ("___might_sleep",           Register::ESI),
    ("__might_fault",            Register::ESI),
    ("warn_slowpath_fmt",        Register::ESI),
    ("warn_slowpath_null",       Register::ESI),
    ("lockdep_rcu_suspicious",   Register::ESI),
];

/// Registers of integer arguments.
const ARGUMENTS: [Register; 6] = [
    Register::EDI,
    Register::ESI,
    Register::EDX,
    Register::ECX,
    Register::R8D,
    Register::R9D,
];

/// How far before a call its arguments are looked for, in instructions.
const NEAR: usize = 16;

/// The atom's code with its line numbers blanked; `None` when it has none.
pub(super) fn blanked(
    atom: &Atom<'_>,
    lines: &Lines,
    name_of: impl Fn(&Link) -> String,
) -> Option<Vec<u8>> {
    let mut bytes = atom.bytes.to_vec();
    let mut found = false;
    let mut pending: Vec<Number> = Vec::new();
    let mut decoder = Decoder::new(64, atom.bytes, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        match instruction.flow_control() {
            FlowControl::Next => {
                let field = decoder
                    .get_constant_offsets(&instruction)
                    .immediate_offset();
                pending.extend(number(&instruction, field));
                continue;
            }
            FlowControl::Call | FlowControl::UnconditionalBranch => {
                let taker = taker(atom, &instruction, &name_of);
                let recent = pending.iter().rev().take(NEAR);
                for number in recent.filter(|number| number.is_line(atom, lines, taker)) {
                    bytes[number.field..number.field + 4].fill(0);
                    found = true;
                }
            }
            _ => {}
        }
        pending.clear();
    }
    found.then_some(bytes)
}

/// A 32-bit number that becomes an argument.
struct Number {
    /// Offset of the instruction.
    at: u64,
    /// Offset of the immediate.
    field: usize,
    value: u32,
    /// The register, or none for an argument in memory.
    register: Option<Register>,
}

impl Number {
    fn is_line(&self, atom: &Atom<'_>, lines: &Lines, taker: Option<Register>) -> bool {
        let known = taker.is_some() && self.register == taker;
        let place = atom.start.saturating_add(self.at);
        known || lines.is_at(atom.section(), place, u64::from(self.value))
    }
}

// ba 08 00 00 00          mov $0x8,%edx
// c7 44 24 08 08 00 00 00 movl $0x8,0x8(%rsp)
fn number(instruction: &Instruction, field: usize) -> Option<Number> {
    let register = match instruction.code() {
        Code::Mov_r32_imm32 => Some(instruction.op0_register()),
        Code::Mov_rm32_imm32 if instruction.memory_base() == Register::RSP => None,
        _ => return None,
    };
    if register.is_some_and(|register| !ARGUMENTS.contains(&register)) {
        return None;
    }
    let at = instruction.ip();
    let field = usize::try_from(at).ok()?.checked_add(field)?;
    Some(Number {
        at,
        field,
        value: instruction.immediate32(),
        register,
    })
}

/// The register in which the function called takes a line number.
fn taker(
    atom: &Atom<'_>,
    call: &Instruction,
    name_of: impl Fn(&Link) -> String,
) -> Option<Register> {
    let links = &atom.links;
    let index = links
        .binary_search_by_key(&call.ip(), Link::site_start)
        .ok()?;
    let name = name_of(&links[index]);
    KNOWN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, register)| *register)
}
