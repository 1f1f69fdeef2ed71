//! What linkers make of calls of `__tls_get_addr` when the variable's place is known.
//!
//! psABI, "Linker Optimizations" of thread-local storage, and the code of ld, gold, lld and mold. `lea` and `call` are
//! rewritten together; the forms have the length of the original.
//!
//! ```text
//! general dynamic   data16 lea x@TLSGD(%rip), %rdi; data16 data16 rex.W call __tls_get_addr     (or data16 rex.W call *slot)
//!   initial exec    mov %fs:0, %rax; add x@GOTTPOFF(%rip), %rax
//!   local exec      mov %fs:0, %rax; lea x@TPOFF(%rax), %rax       (mold: add $x@TPOFF, %rax)
//! local dynamic     lea x@TLSLD(%rip), %rdi; call __tls_get_addr     (or call *slot)
//!   local exec      data16 data16 data16 mov %fs:0, %rax
//!                   xor %eax, %eax; mov %fs:(%rax), %rax; sub $size, %rax      (mold; the distances stay as they were)
//! ```

use crate::{
    Via,
    compare::{self, Decoded, Found},
    insn::Insn,
};
use livepatch_bundle::Class;

// 64 48 8b 04 25 00 00 00 00    mov %fs:0, %rax
const THREAD_POINTER: &[u8] = &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];
// 48 03 05 <rel32>              add x@GOTTPOFF(%rip), %rax
const ADD_SLOT: &[u8] = &[0x48, 0x03, 0x05];
// 48 8d 80 <imm32>              lea x@TPOFF(%rax), %rax
const LEA_OFFSET: &[u8] = &[0x48, 0x8d, 0x80];
// 48 81 c0 <imm32>              add $x@TPOFF, %rax
const ADD_OFFSET: &[u8] = &[0x48, 0x81, 0xc0];
// 31 c0                         xor %eax, %eax
// 64 48 8b 00                   mov %fs:(%rax), %rax
// 48 2d <imm32>                 sub $size, %rax
const MOLD_BLOCK: &[u8] = &[0x31, 0xc0, 0x64, 0x48, 0x8b, 0x00, 0x48, 0x2d];

/// A pair of instructions that the linker rewrote.
pub(crate) struct Sequence {
    /// Length of both versions in bytes.
    pub(crate) len: usize,
    /// Where the second instruction starts, counted from the first; in both versions. `None` when there is no second
    /// instruction in the linked code.
    pub(crate) second: Option<(usize, usize)>,
    /// The variable.
    pub(crate) found: Option<Found>,
    /// After local dynamic: whether distances in the block count from the thread pointer.
    pub(crate) from_thread_pointer: Option<bool>,
}

/// The length of the sequence that `left` and `call` are, if they are one.
pub(crate) fn sequence_length(left: &Decoded<'_>, call: &Insn<'_>) -> Option<usize> {
    let class = left.references[0].as_ref()?.class;
    let calls: &[&[u8]] = match (class, left.insn.bytes) {
        (Class::TlsGd, [0x66, 0x48, 0x8d, 0x3d, ..]) => {
            &[&[0x66, 0x66, 0x48, 0xe8], &[0x66, 0x48, 0xff, 0x15]]
        }
        (Class::TlsLd, [0x48, 0x8d, 0x3d, ..]) => &[&[0xe8], &[0xff, 0x15]],
        _ => return None,
    };
    let field = call.only_field()?;
    let (opcode, _) = call.bytes.split_last_chunk::<4>()?;
    let fits = matches!(field.kind.class(), Class::PcRelative | Class::GotSlot)
        && call.field_start(field) == Some(opcode.len())
        && calls.contains(&opcode);
    fits.then_some(left.insn.bytes.len() + call.bytes.len())
}

/// If the linked code in `window` (at address `ip`, offset `at_other`), as long as [`sequence_length`] says, is what a linker
/// makes of the sequence that starts with `left`.
pub(crate) fn relaxed(
    left: &Decoded<'_>,
    window: &[u8],
    ip: u64,
    at_other: usize,
) -> Option<Sequence> {
    let reference = left.references[0].as_ref()?;
    let sequence = |found, second, from_thread_pointer| Sequence {
        len: window.len(),
        second,
        found,
        from_thread_pointer,
    };
    if reference.class == Class::TlsLd {
        return module_block(window).map(|from| sequence(None, None, Some(from)));
    }
    let (via, address) = variable(window.strip_prefix(THREAD_POINTER)?, ip, window.len())?;
    let access = via == Via::GotTpOff;
    let found = compare::relaxed(&left.insn, reference, at_other, via, address, access);
    let second = Some((left.insn.bytes.len(), THREAD_POINTER.len()));
    Some(sequence(Some(found), second, None))
}

/// Local dynamic to local exec: whether distances are counted from the thread pointer.
fn module_block(window: &[u8]) -> Option<bool> {
    let padding = window.len().checked_sub(THREAD_POINTER.len())?;
    let (prefixes, load) = window.split_at(padding);
    if load == THREAD_POINTER && prefixes.iter().all(|&byte| byte == 0x66) {
        return Some(true);
    }
    let (_size, rest) = window.strip_prefix(MOLD_BLOCK)?.split_at_checked(4)?;
    matches!(rest, [] | [0x90]).then_some(false)
}

/// General dynamic: how the second instruction adds the variable's distance.
fn variable(second: &[u8], ip: u64, end: usize) -> Option<(Via, u64)> {
    let (opcode, field) = second.split_last_chunk::<4>()?;
    let value = i64::from(i32::from_le_bytes(*field));
    if opcode == ADD_SLOT {
        let slot = ip.wrapping_add(end as u64).wrapping_add_signed(value);
        return Some((Via::GotTpOff, slot));
    }
    (opcode == LEA_OFFSET || opcode == ADD_OFFSET).then_some((Via::TpOff, value.cast_unsigned()))
}
