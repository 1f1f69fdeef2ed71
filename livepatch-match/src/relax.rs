//! What linkers make of loads from the GOT when the symbol turns out to be near.
//!
//! psABI, "Optimize GOTPCRELX Relocations", and the code of ld, gold, lld and mold. Every form has the length of the
//! original and keeps the 32-bit field where it was (calls and jumps excepted), so a form is a template: the original bytes
//! with another opcode.
//!
//! ```text
//! mov  foo@GOTPCREL(%rip), %reg        lea foo(%rip), %reg    or   mov $foo, %reg
//! test %reg, foo@GOTPCREL(%rip)        test $foo, %reg
//! add  foo@GOTPCREL(%rip), %reg        add $foo, %reg         (adc and cmp or sbb sub xor)
//! call *foo@GOTPCREL(%rip)             addr32 call foo   or   call foo; nop   or   nop; call foo
//! jmp  *foo@GOTPCREL(%rip)             jmp foo; nop      or   nop; jmp foo
//! mov  x@GOTTPOFF(%rip), %reg          mov $x@TPOFF, %reg
//! add  x@GOTTPOFF(%rip), %reg          lea x@TPOFF(%reg), %reg    or   add $x@TPOFF, %reg
//! lea  x@TLSDESC(%rip), %reg           mov x@GOTTPOFF(%rip), %reg or   mov $x@TPOFF, %reg
//! call *x@TLSCALL(%rax)                xchg %ax, %ax
//! ```

use crate::{
    Via,
    compare::{self, Decoded, Found},
    insn,
};
use livepatch_bundle::Class;

/// The most bytes that an instruction has.
const MAX: usize = 15;

/// An instruction whose last four bytes are a PC-relative field after opcode and ModRM.
struct Load<'a> {
    /// What stands before REX prefix and opcode.
    prefixes: &'a [u8],
    /// The REX prefix, if any.
    rex: Option<u8>,
    opcode: u8,
    modrm: u8,
}

/// How the field of a rewritten instruction gives its target.
#[derive(Clone, Copy)]
enum Value {
    /// Relative to the end of the field.
    Relative,
    /// As it stands, extended with its sign.
    Signed,
    /// As it stands, extended with zeros.
    Unsigned,
}

/// If the linked code in `window` (at address `ip`, offset `at_other`) is a relaxed form of `left`: its reference. It has
/// as many bytes as `left`.
pub(crate) fn relaxed(
    left: &Decoded<'_>,
    window: &[u8],
    ip: u64,
    at_other: usize,
) -> Option<Option<Found>> {
    let field = left.insn.only_field()?;
    if field.kind.class() == Class::TlsDescCall {
        return (left.insn.bytes == [0xff, 0x10] && window == [0x66, 0x90]).then_some(None);
    }
    let reference = left.references[0].as_ref()?;
    let load = Load::new(left.insn.bytes).filter(|_| compare::is_rip_relative(reference.slot))?;
    let (via, address) = match reference.class {
        Class::GotSlot => got(&load, window, ip)?,
        Class::GotTpOff => (Via::TpOff, initial_exec(&load, window, ip)?),
        Class::TlsDesc => descriptor(&load, window, ip)?,
        _ => return None,
    };
    let access = via == Via::GotTpOff;
    let found = compare::relaxed(&left.insn, reference, at_other, via, address, access);
    Some(Some(found))
}

fn got(load: &Load<'_>, window: &[u8], ip: u64) -> Option<(Via, u64)> {
    let read = |form: &Form, value| form.read(window, ip, value);
    let direct = |address| Some((Via::Direct, address));
    let wide = load.rex.is_some_and(|rex| rex & 8 != 0);
    let extended = if wide { Value::Signed } else { Value::Unsigned };
    match (load.opcode, load.modrm >> 3 & 7) {
        (0x8b, _) => {
            if let Some(address) = read(&load.with(0x8d, load.modrm), Value::Relative) {
                return direct(address);
            }
            let narrow = load.without_width().register_form(0xc7, 0);
            read(&load.register_form(0xc7, 0), extended)
                .or_else(|| read(&narrow, Value::Unsigned))
                .and_then(direct)
        }
        (0x85, _) => read(&load.register_form(0xf7, 0), extended).and_then(direct),
        (opcode, _) if opcode & !0x38 == 0x03 => {
            read(&load.register_form(0x81, opcode >> 3), extended).and_then(direct)
        }
        (0xff, 2) => branch(load, window, ip, &[0x67, 0xe8], &[])
            .or_else(|| branch(load, window, ip, &[0xe8], &[0x90]))
            .or_else(|| branch(load, window, ip, &[0x90, 0xe8], &[])),
        (0xff, 4) => branch(load, window, ip, &[0xe9], &[0x90])
            .or_else(|| branch(load, window, ip, &[0x90, 0xe9], &[])),
        _ => None,
    }
}

fn initial_exec(load: &Load<'_>, window: &[u8], ip: u64) -> Option<u64> {
    let read = |form: Form| form.read(window, ip, Value::Signed);
    let register = load.modrm >> 3 & 7;
    match load.opcode {
        0x8b => read(load.register_form(0xc7, 0)),
        // As an address, %rsp and %r12 would need a SIB byte.
        0x03 if register == 4 => read(load.register_form(0x81, 0)),
        0x03 => read(load.register_form(0x81, 0)).or_else(|| {
            read(
                load.both_registers()
                    .with(0x8d, 0x80 | register << 3 | register),
            )
        }),
        _ => None,
    }
}

fn descriptor(load: &Load<'_>, window: &[u8], ip: u64) -> Option<(Via, u64)> {
    if load.opcode != 0x8d {
        return None;
    }
    let slot = load
        .with(0x8b, load.modrm)
        .read(window, ip, Value::Relative);
    let offset = || load.register_form(0xc7, 0).read(window, ip, Value::Signed);
    slot.map(|address| (Via::GotTpOff, address))
        .or_else(|| offset().map(|value| (Via::TpOff, value)))
}

fn branch(
    load: &Load<'_>,
    window: &[u8],
    ip: u64,
    opcode: &[u8],
    after: &[u8],
) -> Option<(Via, u64)> {
    let mut form = Form::default();
    form.push(load.prefixes);
    form.push(load.rex.as_slice());
    form.push(opcode);
    form.field();
    form.push(after);
    let address = form.read(window, ip, Value::Relative)?;
    Some((Via::Branch, address))
}

impl<'a> Load<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let [head @ .., opcode, modrm, _, _, _, _] = bytes else {
            return None;
        };
        let (prefixes, rex) = match head {
            [prefixes @ .., rex] if rex & 0xf0 == 0x40 => (prefixes, Some(*rex)),
            _ => (head, None),
        };
        if !prefixes.iter().all(|&byte| insn::is_prefix(byte)) {
            return None;
        }
        Some(Self {
            prefixes,
            rex,
            opcode: *opcode,
            modrm: *modrm,
        })
    }

    fn with(&self, opcode: u8, modrm: u8) -> Form {
        let mut form = Form::default();
        form.push(self.prefixes);
        form.push(self.rex.as_slice());
        form.push(&[opcode, modrm]);
        form.field();
        form
    }

    /// The form with an immediate, in which the register is the ModRM's other operand and so REX.R becomes REX.B.
    fn register_form(&self, opcode: u8, extension: u8) -> Form {
        let register = self.modrm >> 3 & 7;
        let rex = self.rex.map(|rex| rex & !5 | (rex & 4) >> 2);
        Self { rex, ..*self }.with(opcode, 0xc0 | (extension & 7) << 3 | register)
    }

    /// The register is both operands.
    fn both_registers(&self) -> Self {
        let rex = self.rex.map(|rex| rex | (rex & 4) >> 2);
        Self { rex, ..*self }
    }

    /// A 32-bit operation, which clears the upper half.
    fn without_width(&self) -> Self {
        let rex = self.rex.map(|rex| rex & !8);
        Self { rex, ..*self }
    }
}

/// The bytes of a rewritten instruction, its field left open.
#[derive(Default)]
struct Form {
    bytes: [u8; MAX + 1],
    len: usize,
    field: usize,
}

impl Form {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn field(&mut self) {
        self.field = self.len;
        self.push(&[0; 4]);
    }

    /// The value of the field when `window` has this form.
    fn read(&self, window: &[u8], ip: u64, value: Value) -> Option<u64> {
        let end = self.field + 4;
        let field = window.get(self.field..end)?.try_into().ok()?;
        if window.len() != self.len
            || window[..self.field] != self.bytes[..self.field]
            || window[end..] != self.bytes[end..self.len]
        {
            return None;
        }
        let signed = i64::from(i32::from_le_bytes(field));
        Some(match value {
            Value::Relative => ip.wrapping_add(end as u64).wrapping_add_signed(signed),
            Value::Signed => signed.cast_unsigned(),
            Value::Unsigned => u64::from(u32::from_le_bytes(field)),
        })
    }
}
