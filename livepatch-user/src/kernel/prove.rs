//! Whether running code of the kernel is the old code of a patch.
//!
//! The kernel writes into its own code: the linker's fields, calls of ftrace, alternatives for the processor, static keys
//! and calls. A patch lists all such places ([`livepatch_bundle::Fixup`]); every other byte must be the same, and where only few
//! forms are possible the running one must be among them.

use livepatch_bundle::{Fixup, FixupKind, KernelFunction};

/// `nopl 0x0(%rax,%rax,1)`, the no-operation of five bytes.
const NOP5: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];
const CALL: u8 = 0xe8;
const JUMP: u8 = 0xe9;
const SHORT_JUMP: u8 = 0xeb;
const RET: u8 = 0xc3;
/// The no-operation of two bytes.
const NOP2: [u8; 2] = [0x66, 0x90];

/// The first offset at which the running code cannot be the old one.
#[must_use]
pub fn difference(function: &KernelFunction, running: &[u8]) -> Option<usize> {
    let code = &function.code;
    if running.len() != code.len() {
        return Some(running.len().min(code.len()));
    }
    let mut at = 0;
    for fixup in &function.fixups {
        let (Ok(start), Ok(size)) = (usize::try_from(fixup.offset), usize::try_from(fixup.size))
        else {
            return Some(at);
        };
        let end = start.saturating_add(size).min(code.len());
        let start = start.min(end);
        if let Some(offset) = first_difference(&code[at..start], &running[at..start]) {
            return Some(at + offset);
        }
        if !is_possible(fixup, &code[start..end], &running[start..end]) {
            return Some(start);
        }
        at = end;
    }
    first_difference(&code[at..], &running[at..]).map(|offset| at + offset)
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    one.iter().zip(other).position(|(one, other)| one != other)
}

/// Whether the kernel may have written these bytes there.
fn is_possible(fixup: &Fixup, old: &[u8], running: &[u8]) -> bool {
    let first = running.first().copied().unwrap_or_default();
    match (fixup.kind, running.len()) {
        _ if old == running => true,
        (FixupKind::Fentry, 5) => first == CALL || running == NOP5,
        (FixupKind::StaticBranch, 2) => first == SHORT_JUMP || running == NOP2,
        (FixupKind::StaticBranch, 5) => first == JUMP || running == NOP5,
        (FixupKind::Return, 1) => first == RET,
        (FixupKind::Return, 5) => [JUMP, RET].contains(&first),
        // A field alone, or code that the processor's kind decides.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `call __fentry__; xor %eax,%eax; jmp __x86_return_thunk`
    const OLD: [u8; 12] = [0xe8, 0, 0, 0, 0, 0x31, 0xc0, 0xe9, 0, 0, 0, 0];

    fn function() -> KernelFunction {
        let fixup = |offset, kind| Fixup {
            offset,
            size: 5,
            kind,
            symbol: None,
        };
        KernelFunction {
            name: "f".into(),
            sympos: 0,
            place: None,
            new: "f".into(),
            reason: String::new(),
            code: OLD.to_vec(),
            fixups: vec![fixup(0, FixupKind::Fentry), fixup(7, FixupKind::Return)],
        }
    }

    #[test]
    fn what_the_kernel_writes_is_no_difference() {
        let traced = [0xe8, 1, 2, 3, 4, 0x31, 0xc0, 0xe9, 5, 6, 7, 8];
        let idle = [
            0x0f, 0x1f, 0x44, 0, 0, 0x31, 0xc0, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc,
        ];
        for running in [OLD, traced, idle] {
            assert_eq!(difference(&function(), &running), None);
        }
    }

    #[test]
    fn every_other_byte_counts() {
        let mut running = OLD;
        running[6] ^= 1;
        assert_eq!(difference(&function(), &running), Some(6));
    }

    #[test]
    fn a_place_that_is_written_takes_few_forms() {
        for (offset, byte) in [(0, 0xcc), (0, 0xe9), (7, 0xe8)] {
            let mut running = OLD;
            running[offset] = byte;
            assert_eq!(difference(&function(), &running), Some(offset));
        }
    }

    #[test]
    fn code_that_is_cut_differs() {
        assert_eq!(difference(&function(), &OLD[..8]), Some(8));
    }
}
