//! Strings that are told by their address: `if (path != DEFAULT_PATH) free(path);`.
//!
//! New code brings its own copies of those strings that no old code tells, so that no address that lives equals one of them.

use crate::closure::{Closure, Destination};
use crate::object::{Atom, Link, Role};
use crate::program::{NewAtom, Program};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};
use livepatch_bundle::literal;

/// How far behind the taking of an address it is looked for.
const NEAR: usize = 12;

/// A string whose address new code compares with another one.
pub(super) fn compared(
    program: &Program<'_>,
    closure: &Closure<'_>,
    new: NewAtom,
) -> Option<String> {
    let object = &program.units[new.unit].pair.new;
    let atom = object.atom(new.atom);
    if !atom.kind.is_code() || object.is_kernel {
        return None;
    }
    let destinations = closure.destinations.get(&new)?;
    let mut strings = atom.references().zip(destinations).filter(|(link, to)| {
        // Places inside and behind a string are compared with others of the same one.
        link.site.role == Role::Address
            && link.at() == 0
            && matches!(to, Destination::Carried(_))
            && object.atom(link.target).is_text()
    });
    let (link, _) = strings.find(|(link, _)| compares(atom, link))?;
    let text = literal(object.atom(link.target).bytes);
    Some(format!(
        "it compares an address with that of {text} at +{:#x}: new code has a copy of that string, and what lives leads to the program's",
        link.site_start()
    ))
}

/// Whether the register that takes an address, or the instruction itself, is compared.
fn compares(atom: &Atom<'_>, link: &Link) -> bool {
    let start = usize::try_from(link.site_start()).unwrap_or(usize::MAX);
    let Some(code) = atom.bytes.get(start..) else {
        return false;
    };
    let mut code = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter();
    let Some(first) = code.next() else {
        return false;
    };
    if first.mnemonic() == Mnemonic::Cmp {
        return true;
    }
    let taken = first.op0_register().full_register();
    if taken == Register::None {
        return false;
    }
    for one in code.take(NEAR) {
        match one.mnemonic() {
            // A difference (`strchr(DIGITS, c) - DIGITS`) is one of two places in the same string.
            Mnemonic::Cmp if has(&one, taken) => return true,
            // Both ways are as near.
            _ if one.flow_control() == FlowControl::ConditionalBranch => {}
            _ if one.flow_control() != FlowControl::Next => return false,
            _ if one.op0_kind() == OpKind::Register
                && one.op0_register().full_register() == taken =>
            {
                return false;
            }
            _ => {}
        }
    }
    false
}

/// Whether a register is an operand as a whole.
fn has(instruction: &Instruction, register: Register) -> bool {
    let mut operands = 0..instruction.op_count();
    operands.any(|operand| {
        instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand) == register
    })
}
