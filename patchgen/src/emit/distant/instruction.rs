//! The instructions that reach variables, and what stands in for them (Intel SDM, volume 2, chapter 2).

use crate::object::{Atom, Link};

/// An instruction with an operand at a distance from the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `lea` of a variable's start.
    Address,
    /// `lea` of a place in a variable.
    Inside(Operation),
    /// `mov` or `movslq` to a register.
    Read(Operation),
}

/// What is done, with which register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// The byte of the operation.
    code: u8,
    /// Whether it is one of 64 bits.
    wide: bool,
    /// The number of the register.
    register: u8,
}

const LEA: u8 = 0x8d;
const MOV: u8 = 0x8b;
const MOVSLQ: u8 = 0x63;
const JUMP: u8 = 0xe9;
const JUMP_LEN: usize = 5;
/// No operation in one and in two bytes.
const NOTHING: [&[u8]; 3] = [&[], &[0x90], &[0x66, 0x90]];
const REX: u8 = 0x40;
const REX_W: u8 = 8;
const REX_R: u8 = 4;
const REX_B: u8 = 1;

/// What the instruction of a link is; `None` for those that nothing stands in for.
pub(super) fn form(atom: &Atom<'_>, link: &Link) -> Option<Form> {
    let field = usize::try_from(link.offset()).ok()?;
    let before = atom
        .bytes
        .get(field.checked_sub(link.site.before.into())?..field)?;
    let (rex, code, modes) = match *before {
        [rex, code, modes] if rex & 0xf0 == REX => (rex, code, modes),
        [code, modes] => (REX, code, modes),
        _ => return None,
    };
    // Nothing behind the field, and an operand at a distance from the next instruction.
    if link.site.after != 4 || modes & 0xc7 != 5 {
        return None;
    }
    let operation = Operation {
        code,
        wide: rex & REX_W != 0,
        register: modes >> 3 & 7 | (rex & REX_R) << 1,
    };
    match code {
        LEA if operation.wide && link.at() == 0 => Some(Form::Address),
        LEA if operation.wide => Some(Form::Inside(operation)),
        MOV | MOVSLQ => Some(Form::Read(operation)),
        _ => None,
    }
}

/// Turns the `lea` of a link into a load.
pub(super) fn load_from_slot(code: &mut [u8], link: &Link) {
    // `form` has seen that it is there.
    code[link.site_start() as usize + 1] = MOV;
}

/// Appends the detour of a link's instruction, and leads there; returns the offset of the field that leads to the slot.
pub(super) fn detour(code: &mut Vec<u8>, link: &Link, form: Form) -> Option<u64> {
    let (Form::Inside(operation) | Form::Read(operation)) = form else {
        return None;
    };
    let (start, end) = (
        link.site_start() as usize,
        link.site.end(link.offset()) as usize,
    );
    let there = code.len();
    let rest = *NOTHING.get((end - start).checked_sub(JUMP_LEN)?)?;
    let jump = jump(start, there)?;
    code[start..start + JUMP_LEN].copy_from_slice(&jump);
    code[start + JUMP_LEN..end].copy_from_slice(rest);
    let Operation { register, .. } = operation;
    let low = register & 7;
    code.extend([rex(true, register, 0), MOV, low << 3 | 5]);
    let field = code.len() as u64;
    code.extend([0; 4]);
    code.extend([rex(operation.wide, register, register), operation.code]);
    // A distance of four bytes from the register; %rsp and %r12 as bases take a byte more, and no load is one to %rsp.
    code.push(2 << 6 | low << 3 | low);
    if low == 4 {
        code.push(0x24);
    }
    code.extend(i32::try_from(link.at()).ok()?.to_le_bytes());
    code.extend(self::jump(code.len(), end)?);
    Some(field)
}

fn rex(wide: bool, register: u8, base: u8) -> u8 {
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    REX | bit(wide, REX_W) | bit(register > 7, REX_R) | bit(base > 7, REX_B)
}

/// A jump between two offsets.
fn jump(from: usize, to: usize) -> Option<[u8; JUMP_LEN]> {
    let distance = to as i64 - (from + JUMP_LEN) as i64;
    let mut jump = [JUMP; JUMP_LEN];
    jump[1..].copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
    Some(jump)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{AtomId, AtomKind, Role, Site};
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    use livepatch_bundle::RelocKind;

    /// A link from the field at the end of an instruction to `at` in a variable.
    fn link(instruction: &[u8], at: i64) -> Link {
        let field = instruction.len() as u64 - 4;
        let mut link = Link::new(field, RelocKind::Pc32, AtomId(1), at).expect("near");
        link.site = Site {
            before: field as u8,
            after: 4,
            role: Role::Access,
            size: 8,
        };
        link
    }

    fn form_of(instruction: &[u8], at: i64) -> Option<Form> {
        let len = instruction.len() as u64;
        let atom = Atom::new(AtomKind::Function, 1, 0..len, instruction);
        form(&atom, &link(instruction, at))
    }

    /// The instructions that one becomes, with its detour.
    fn became(instruction: &[u8], at: i64) -> Vec<String> {
        let mut code = instruction.to_vec();
        let form = form_of(instruction, at).expect("one with a detour");
        let link = link(instruction, at);
        let field = detour(&mut code, &link, form).expect("a detour") as usize;
        assert_eq!(code[field..field + 4], [0; 4]);
        let mut decoder = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE);
        let mut formatter = IntelFormatter::new();
        let text = |instruction| {
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            text
        };
        decoder.iter().map(text).collect()
    }

    #[test]
    fn a_read_makes_a_detour() {
        let text = became(&[0x48, 0x8b, 0x3d, 0, 0, 0, 0], 0);
        let wanted = [
            "jmp 7",
            "xchg ax,ax",
            "mov rdi,[0Eh]",
            "mov rdi,[rdi]",
            "jmp 7",
        ];
        assert_eq!(text, wanted);
        for (bytes, middle) in [
            (&[0x8b, 0x05, 0, 0, 0, 0][..], "mov eax,[rax+8]"),
            (&[0x44, 0x8b, 0x25, 0, 0, 0, 0], "mov r12d,[r12+8]"),
            (&[0x4c, 0x8b, 0x2d, 0, 0, 0, 0], "mov r13,[r13+8]"),
            (&[0x48, 0x8b, 0x2d, 0, 0, 0, 0], "mov rbp,[rbp+8]"),
            (&[0x48, 0x63, 0x15, 0, 0, 0, 0], "movsxd rdx,[rdx+8]"),
            (&[0x4c, 0x8d, 0x3d, 0, 0, 0, 0], "lea r15,[r15+8]"),
        ] {
            let text = became(bytes, 8);
            assert_eq!(text[text.len() - 2], middle, "{text:?}");
        }
    }

    #[test]
    fn what_has_no_room_or_does_more_is_left_alone() {
        assert_eq!(
            form_of(&[0x48, 0x8d, 0x35, 0, 0, 0, 0], 0),
            Some(Form::Address)
        );
        // cmp, add, a store, a call through memory, a byte.
        for other in [
            &[0x48, 0x3b, 0x3d, 0, 0, 0, 0][..],
            &[0x48, 0x03, 0x3d, 0, 0, 0, 0],
            &[0x48, 0x89, 0x3d, 0, 0, 0, 0],
            &[0xff, 0x15, 0, 0, 0, 0],
            &[0x8a, 0x05, 0, 0, 0, 0],
            &[0x66, 0x8b, 0x05, 0, 0, 0, 0],
            &[0x0f, 0x8d, 0, 0, 0, 0],
        ] {
            assert_eq!(form_of(other, 0), None, "{other:x?}");
        }
    }
}
