//! Line numbers in assertions and log calls (`__LINE__`).
//!
//! A number counts as a line number when it is an argument of a call and
//!
//! - the debug information says that this very instruction comes from that line, or
//! - the function called is known to take a line number there.
//!
//! Nothing else is good enough: a number that might mean something else makes the function a changed one.

use crate::object::lines::Lines;
use crate::object::{Atom, AtomKind, Link, Object};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Register};

/// A function that takes a line number.
struct Known {
    name: &'static str,
    /// The register that it is in (psABI 3.2.3).
    register: Register,
    /// How its other argument, a string, begins; empty when it takes one in any case.
    text: &'static str,
}

const fn known(name: &'static str, register: Register) -> Known {
    Known {
        name,
        register,
        text: "",
    }
}

const fn with_text(name: &'static str, register: Register, text: &'static str) -> Known {
    Known {
        name,
        register,
        text,
    }
}

/// `ASSERT_RTNL()` of the kernel, which prints the line; with a level before it or without.
const RTNL: &str = "RTNL: assertion failed at %s (";

#[rustfmt::skip]
const KNOWN: [Known; 26] = [
    known("__assert_fail",            Register::EDX),
    known("__assert",                 Register::EDX),
    known("__assert_perror_fail",     Register::EDX),
    known("_serverAssert",            Register::EDX),
    known("_serverAssertWithInfo",    Register::R8D),
    known("_serverPanic",             Register::ESI),
    known("g_assertion_message",      Register::EDX),
    known("g_assertion_message_expr", Register::EDX),
    known("OPENSSL_die",              Register::EDX),
    known("ERR_set_debug",            Register::ESI),
    known("ERR_put_error",            Register::R8D),
    known("log_assert_failed",        Register::EDX),
    // Of the kernel.
    known("__might_sleep",             Register::ESI),
    known("__might_resched",           Register::ESI),
    known("___might_sleep",            Register::ESI),
    known("__might_fault",             Register::ESI),
    known("warn_slowpath_fmt",         Register::ESI),
    known("warn_slowpath_null",        Register::ESI),
    known("lockdep_rcu_suspicious",    Register::ESI),
    known("__btrfs_abort_transaction", Register::EDX),
    known("__btrfs_handle_fs_error",   Register::EDX),
    known("__btrfs_panic",             Register::EDX),
    known("btrfs_assertfail",          Register::EDX),
    with_text("printk",                Register::EDX, RTNL),
    with_text("_printk",               Register::EDX, RTNL),
    with_text("__warn_printk",         Register::EDX, RTNL),
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
pub(super) fn blanked(atom: &Atom<'_>, lines: &Lines, object: &Object<'_>) -> Option<Vec<u8>> {
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
                let taker = taker(atom, &instruction, object);
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
fn taker(atom: &Atom<'_>, call: &Instruction, object: &Object<'_>) -> Option<Register> {
    let links = &atom.links;
    let index = links
        .binary_search_by_key(&call.ip(), Link::site_start)
        .ok()?;
    let name = object.atom(links[index].target).name;
    let before = &links[..index];
    let takes = |known: &&Known| known.name == name && has_text(before, object, known.text);
    KNOWN.iter().find(takes).map(|known| known.register)
}

/// Whether the last string before a call begins so, apart from the level of a message (`\x013`).
fn has_text(before: &[Link], object: &Object<'_>, text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let strings = before.iter().rev().take(ARGUMENTS.len());
    let contents = strings.filter_map(|link| {
        let atom = object.atom(link.target);
        (atom.kind == AtomKind::String).then_some(atom.bytes)
    });
    let mut contents = contents.map(|bytes| match bytes {
        [1, _, rest @ ..] => rest,
        all => all,
    });
    contents.any(|bytes| bytes.starts_with(text.as_bytes()))
}
