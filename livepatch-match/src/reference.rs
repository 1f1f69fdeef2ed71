//! What one instruction refers to: its relocated fields, PC-relative operands and branch targets.

use crate::{Field, Mismatch, Target, Via, insn::Insn};
use iced_x86::{Mnemonic, OpKind};
use livepatch_bundle::{Class, RelocKind};

/// The part of an instruction that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where it starts in the instruction's bytes.
    pub(crate) start: usize,
    /// Its width in bytes.
    pub(crate) size: usize,
    /// What the CPU does with it.
    pub(crate) role: Role,
}

/// What the CPU does with a value in an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Adds it to the address of the next instruction to address memory.
    RipRelative,
    /// Adds it to the address of the next instruction to go there.
    Branch,
    /// Adds it to registers, or uses it alone, to address memory.
    Displacement,
    /// Uses it as it is.
    Immediate,
}

/// A value in an instruction that means a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Where the value stands.
    pub(crate) slot: Slot,
    /// How it was computed; [`Class::PcRelative`] for what the assembler or the CPU's addressing decides.
    pub(crate) class: Class,
    /// How it leads to the target.
    pub(crate) via: Via,
    /// The place.
    pub(crate) target: Target,
    /// It comes from a relocation.
    pub(crate) relocated: bool,
}

/// The two values that an instruction can hold: displacement and immediate (or branch distance). The second immediate of
/// `enter`, `extrq` and `insertq` is never relocated.
pub(crate) fn slots(insn: &Insn<'_>) -> [Option<Slot>; 2] {
    let offsets = &insn.offsets;
    let displacement = offsets.has_displacement().then(|| Slot {
        start: offsets.displacement_offset(),
        size: offsets.displacement_size(),
        role: if insn.raw.is_ip_rel_memory_operand() {
            Role::RipRelative
        } else {
            Role::Displacement
        },
    });
    let immediate = offsets.has_immediate().then(|| Slot {
        start: offsets.immediate_offset(),
        size: offsets.immediate_size(),
        role: if is_direct_branch(insn) {
            Role::Branch
        } else {
            Role::Immediate
        },
    });
    [displacement, immediate]
}

/// Whether the instruction's only operand is a branch distance.
pub(crate) fn is_direct_branch(insn: &Insn<'_>) -> bool {
    insn.raw.op0_kind() == OpKind::NearBranch64
}

/// The references of an instruction, in the order of [`slots`]. `piece` is the length of its piece when it is an object
/// file's code.
///
/// # Errors
/// When a relocated field is no value of the instruction, or not one that its kind is made for.
pub(crate) fn references(
    insn: &Insn<'_>,
    piece: Option<usize>,
) -> Result<[Option<Reference>; 2], Mismatch> {
    let slots = slots(insn);
    let mut unused = insn.fields.len();
    let mut found = [None; 2];
    for (slot, found) in slots.into_iter().zip(&mut found) {
        let Some(slot) = slot else { continue };
        *found = match field_at(insn, slot) {
            Some(field) => {
                unused -= 1;
                let length = piece.unwrap_or(0);
                Some(relocated(insn, slot, field, length).ok_or_else(|| insn.misfit(field))?)
            }
            None => resolved(insn, slot, piece),
        };
    }
    unused -= usize::from(has_call_marker(insn));
    match insn.fields {
        [first, ..] if unused > 0 => Err(insn.misfit(first)),
        _ => Ok(found),
    }
}

/// The value in `slot` as the CPU extends it.
pub(crate) fn value(insn: &Insn<'_>, slot: Slot) -> Option<u64> {
    match slot.role {
        Role::RipRelative => Some(insn.raw.ip_rel_memory_address()),
        Role::Branch => Some(insn.raw.near_branch_target()),
        Role::Displacement => Some(insn.raw.memory_displacement64()),
        Role::Immediate => {
            (0..insn.raw.op_count()).find_map(|operand| insn.raw.try_immediate(operand).ok())
        }
    }
}

/// Whether an instruction that refers to a place by `slot` reads or writes there.
pub(crate) fn accesses(insn: &Insn<'_>, slot: Slot) -> bool {
    matches!(slot.role, Role::RipRelative | Role::Displacement)
        && insn.raw.mnemonic() != Mnemonic::Lea
}

fn field_at<'a>(insn: &Insn<'a>, slot: Slot) -> Option<&'a Field> {
    insn.fields.iter().find(|field| {
        insn.field_start(field) == Some(slot.start)
            && field.kind.width() == slot.size
            && field.kind.class() != Class::TlsDescCall
    })
}

/// `R_X86_64_TLSDESC_CALL` marks `call *(%rax)` and has no field.
fn has_call_marker(insn: &Insn<'_>) -> bool {
    let is_marker =
        |field: &Field| field.kind == RelocKind::TlsDescCall && insn.field_start(field) == Some(0);
    insn.raw.mnemonic() == Mnemonic::Call
        && !insn.offsets.has_displacement()
        && insn.raw.op0_kind() == OpKind::Memory
        && insn.fields.iter().any(is_marker)
}

/// The reference of a relocated field; `None` when a field of this kind has no meaning in this slot.
fn relocated(insn: &Insn<'_>, slot: Slot, field: &Field, piece: usize) -> Option<Reference> {
    let class = field.kind.class();
    let to_end = (insn.bytes.len() - slot.start) as i64;
    let bias = match (class, slot.role) {
        (Class::PcRelative, Role::RipRelative | Role::Branch)
        | (
            Class::GotSlot | Class::GotTpOff | Class::TlsGd | Class::TlsLd | Class::TlsDesc,
            Role::RipRelative,
        ) => to_end,
        (Class::GotRelative, Role::RipRelative) if field.kind == RelocKind::GotPc32 => to_end,
        (Class::GotRelative, Role::Immediate) if field.kind == RelocKind::GotOff64 => 0,
        (Class::PcRelative, Role::Immediate) if field.kind == RelocKind::Pc64 => 0,
        (
            Class::Absolute | Class::TpOff | Class::DtpOff | Class::Size,
            Role::Displacement | Role::Immediate,
        ) => 0,
        _ => return None,
    };
    let offset = field.addend.checked_add(bias)?;
    let inside = u64::try_from(offset)
        .ok()
        .filter(|&offset| field.inside && offset <= piece as u64);
    Some(Reference {
        slot,
        class,
        via: via(field.kind, slot.role),
        target: inside.map_or(
            Target::Symbol {
                symbol: field.symbol,
                offset,
            },
            Target::Inside,
        ),
        relocated: true,
    })
}

fn via(kind: RelocKind, role: Role) -> Via {
    match kind.class() {
        Class::PcRelative if role == Role::Branch || kind == RelocKind::Plt32 => Via::Branch,
        Class::PcRelative | Class::Absolute => Via::Direct,
        Class::GotSlot => Via::GotSlot,
        Class::TpOff => Via::TpOff,
        Class::GotTpOff => Via::GotTpOff,
        Class::TlsGd => Via::TlsGd,
        Class::TlsLd => Via::TlsLd,
        Class::DtpOff => Via::DtpOff,
        Class::TlsDesc | Class::TlsDescCall => Via::TlsDesc,
        Class::GotRelative => Via::GotRelative,
        Class::Size => Via::Size,
    }
}

/// The reference of a slot without relocation: only what is relative to the instruction means a place.
fn resolved(insn: &Insn<'_>, slot: Slot, piece: Option<usize>) -> Option<Reference> {
    let via = match slot.role {
        Role::RipRelative => Via::Direct,
        Role::Branch => Via::Branch,
        Role::Displacement | Role::Immediate => return None,
    };
    let address = value(insn, slot)?;
    let target = match piece {
        None => Target::Address(address),
        Some(length) if address < length as u64 => Target::Inside(address),
        Some(_) => Target::Outside(address.cast_signed()),
    };
    Some(Reference {
        slot,
        class: Class::PcRelative,
        via,
        target,
        relocated: false,
    })
}
