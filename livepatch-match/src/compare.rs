//! Comparing one instruction with one instruction.

use crate::{
    RefPair, Target, Via,
    insn::Insn,
    reference::{self, Reference, Role, Slot},
};
use iced_x86::FlowControl;
use livepatch_bundle::Class;
use std::ops::Range;

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
    same_operation(left, right).or_else(|| same_branch(left, right))
}

/// The instruction without what the assembler put before it to align a later one.
struct Core<'a> {
    bytes: &'a [u8],
    /// How many bytes were left out.
    shift: usize,
}

impl<'a> Core<'a> {
    fn of(insn: &Insn<'a>) -> Self {
        let shift = void_prefixes(insn);
        Self {
            bytes: &insn.bytes[shift..],
            shift,
        }
    }

    fn range(&self, slot: Slot) -> Range<usize> {
        let start = slot.start.saturating_sub(self.shift);
        start..start + slot.size
    }
}

/// How many leading prefixes do nothing: `-mbranches-within-32B-boundaries` (gas) makes instructions longer by segment
/// prefixes that 64-bit mode ignores, or repeats the one that is there. On branches they can mean something.
fn void_prefixes(insn: &Insn<'_>) -> usize {
    let is_void = |pair: &[u8]| match pair[0] {
        0x26 | 0x2e | 0x36 | 0x3e => true,
        segment => matches!(segment, 0x64 | 0x65) && pair[1] == segment,
    };
    if insn.raw.flow_control() != FlowControl::Next {
        return 0;
    }
    insn.bytes
        .windows(2)
        .take_while(|pair| is_void(pair))
        .count()
}

/// Compares all bytes but those of references.
fn same_operation(left: &Decoded<'_>, right: &Decoded<'_>) -> Option<[Option<Found>; 2]> {
    let (l_core, r_core) = (Core::of(&left.insn), Core::of(&right.insn));
    if l_core.bytes.len() != r_core.bytes.len() {
        return None;
    }
    let mut found = [None; 2];
    let mut masked = [0..0, 0..0];
    for index in 0..2 {
        let l = match (left.references[index], right.references[index]) {
            (Some(l), _) => l,
            (None, None) => continue,
            (None, Some(_)) => return None,
        };
        let r = right.references[index].or_else(|| read_final(&l, right, index))?;
        if l_core.range(l.slot) != r_core.range(r.slot) {
            return None;
        }
        found[index] = Some(pair(left, l, right, r)?);
        masked[index] = l_core.range(l.slot);
    }
    let same = (l_core.bytes.iter().zip(r_core.bytes).enumerate())
        .all(|(at, (l, r))| l == r || masked.iter().any(|range| range.contains(&at)));
    same.then_some(found)
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
fn read_final(left: &Reference, right: &Decoded<'_>, index: usize) -> Option<Reference> {
    if !right.linked || !left.relocated {
        return None;
    }
    let slot = reference::slots(&right.insn)[index]?;
    let value = reference::value(&right.insn, slot)?;
    let address = if left.class == Class::PcRelative {
        value.wrapping_add(right.insn.raw.ip().wrapping_add(slot.start as u64))
    } else {
        value
    };
    Some(Reference {
        slot,
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
