//! Comparing one instruction with one instruction.

use crate::{
    RefPair, Target, Via,
    insn::Insn,
    reference::{self, Reference, Role, Slot},
};
use livepatch_bundle::Class;

/// A pair of references, before targets inside the pieces have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// What the caller will see.
    pub(crate) pair: RefPair,
    /// Whether each of the two comes from a relocation.
    pub(crate) relocated: (bool, bool),
}

/// An instruction with its references.
pub(crate) struct Decoded<'a> {
    /// The instruction.
    pub(crate) insn: Insn<'a>,
    /// Its references by slot: displacement, immediate.
    pub(crate) references: [Option<Reference>; 2],
    /// Whether it is linked code.
    pub(crate) linked: bool,
}

/// The references of both when the instructions agree in everything else; `None` when they differ.
pub(crate) fn same_instruction(
    left: &Decoded<'_>,
    right: &Decoded<'_>,
) -> Option<[Option<Found>; 2]> {
    if left.insn.bytes.len() != right.insn.bytes.len() {
        return same_branch(left, right);
    }
    let mut found = [None; 2];
    let mut masked = [0..0, 0..0];
    for index in 0..2 {
        let (l, r) = (left.references[index], right.references[index]);
        let (Some(l), r) = (l, r) else {
            if r.is_some() {
                return None;
            }
            continue;
        };
        let r = match r {
            Some(r) => r,
            None => read_final(&l, right)?,
        };
        found[index] = Some(pair(left, l, right, r)?);
        masked[index] = l.slot.start..l.slot.start + l.slot.size;
    }
    if found.iter().all(Option::is_none) {
        return (left.insn.bytes == right.insn.bytes).then_some(found);
    }
    let same = (left.insn.bytes.iter().zip(right.insn.bytes).enumerate())
        .all(|(at, (l, r))| l == r || masked.iter().any(|range| range.contains(&at)));
    if same {
        Some(found)
    } else {
        same_branch(left, right)
    }
}

/// `jmp` and `jcc` come with a distance of 8 or of 32 bits, as the assembler finds the target near or not.
fn same_branch(left: &Decoded<'_>, right: &Decoded<'_>) -> Option<[Option<Found>; 2]> {
    let (l, r) = (&left.insn.raw, &right.insn.raw);
    if !(l.is_jcc_short_or_near() || l.is_jmp_short_or_near()) {
        return None;
    }
    let (mut near, mut other) = (*l, *r);
    near.as_near_branch();
    other.as_near_branch();
    if near.code() != other.code() || branch_prefixes(&left.insn) != branch_prefixes(&right.insn) {
        return None;
    }
    let found = pair(left, left.references[1]?, right, right.references[1]?)?;
    Some([None, Some(found)])
}

fn branch_prefixes<'a>(insn: &Insn<'a>) -> &'a [u8] {
    let short = insn.raw.is_jcc_short() || insn.raw.is_jmp_short();
    let length = match (short, insn.raw.is_jcc_short_or_near()) {
        (true, _) => 2,
        (false, false) => 5,
        (false, true) => 6,
    };
    &insn.bytes[..insn.bytes.len().saturating_sub(length)]
}

/// A relocated field's final value, read from linked code where it is not relative to the instruction.
fn read_final(left: &Reference, right: &Decoded<'_>) -> Option<Reference> {
    if !right.linked || !left.relocated {
        return None;
    }
    let same_place = |slot: &Slot| *slot == left.slot;
    let slot = reference::slots(&right.insn)
        .into_iter()
        .flatten()
        .find(same_place)?;
    let value = reference::value(&right.insn, slot)?;
    let address = if left.class == Class::PcRelative {
        value.wrapping_add(right.insn.raw.ip().wrapping_add(slot.start as u64))
    } else {
        value
    };
    Some(Reference {
        target: Target::Address(address),
        relocated: false,
        ..*left
    })
}

fn pair(left: &Decoded<'_>, l: Reference, right: &Decoded<'_>, r: Reference) -> Option<Found> {
    if l.slot.role != r.slot.role {
        return None;
    }
    if !right.linked && (l.class != r.class || l.via != r.via) {
        return None;
    }
    Some(Found {
        pair: RefPair {
            at: left.insn.at as u64,
            at_other: right.insn.at as u64,
            via: l.via,
            target: l.target,
            other: r.target,
            access: reference::accesses(&right.insn, r.slot),
        },
        relocated: (l.relocated, r.relocated),
    })
}

/// The pair of a reference that the linker rewrote to reach `address` by `via`.
pub(crate) fn relaxed(
    left: &Insn<'_>,
    l: &Reference,
    at_other: usize,
    via: Via,
    address: u64,
    access: bool,
) -> Found {
    Found {
        pair: RefPair {
            at: left.at as u64,
            at_other: at_other as u64,
            via,
            target: l.target,
            other: Target::Address(address),
            access,
        },
        relocated: (l.relocated, false),
    }
}

/// Whether `slot` addresses memory relative to the instruction, as all loads from the GOT do.
pub(crate) fn is_rip_relative(slot: Slot) -> bool {
    slot.role == Role::RipRelative
}
