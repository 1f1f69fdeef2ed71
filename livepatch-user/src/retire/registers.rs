//! Pointers into a patch in the registers of a stopped thread.

use super::needles::{Found, Needles};
use crate::memory::Registers;
use livepatch_bundle::RunAddr;

/// The registers that can hold a pointer, by name.
fn words(registers: &Registers) -> [(&'static str, u64); 20] {
    let r = registers;
    [
        ("rip", r.rip),
        ("rsp", r.rsp),
        ("rax", r.rax),
        ("orig_rax", r.orig_rax),
        ("rbx", r.rbx),
        ("rcx", r.rcx),
        ("rdx", r.rdx),
        ("rsi", r.rsi),
        ("rdi", r.rdi),
        ("rbp", r.rbp),
        ("r8", r.r8),
        ("r9", r.r9),
        ("r10", r.r10),
        ("r11", r.r11),
        ("r12", r.r12),
        ("r13", r.r13),
        ("r14", r.r14),
        ("r15", r.r15),
        ("fs_base", r.fs_base),
        ("gs_base", r.gs_base),
    ]
}

/// The general registers that point into the patch, and where to.
pub(super) fn general(registers: &Registers, needles: &Needles) -> Vec<(&'static str, RunAddr)> {
    words(registers)
        .into_iter()
        .filter_map(|(name, value)| Some((name, needles.target(value)?)))
        .collect()
}

/// Whether the extended registers (`NT_X86_XSTATE`: a pointer that is being copied may be in `xmm0` alone) hold
/// a pointer into the patch, and where to.
pub(super) fn extended(state: &[u8], needles: &Needles) -> Option<RunAddr> {
    let mut found: Vec<Found> = Vec::new();
    needles.find(state, RunAddr(0), &mut found);
    found.first().map(|found| found.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retire::AddressRange;
    use crate::sys::ptrace::no_registers;

    fn needles() -> Needles {
        let range = AddressRange {
            start: RunAddr(0x7f00_0000_1000),
            end: RunAddr(0x7f00_0000_2000),
        };
        Needles::new(&[range], &[])
    }

    #[test]
    fn each_register_counts() {
        let mut registers = no_registers();
        assert!(general(&registers, &needles()).is_empty());
        registers.r12 = 0x7f00_0000_1234;
        registers.gs_base = 0x7f00_0000_1fff;
        registers.rdi = 0x7f00_0000_2000;
        let expected = [
            ("r12", RunAddr(0x7f00_0000_1234)),
            ("gs_base", RunAddr(0x7f00_0000_1fff)),
        ];
        assert_eq!(general(&registers, &needles()), expected);
    }

    #[test]
    fn a_lane_of_a_vector_register_counts() {
        let mut state = vec![0; 576];
        assert_eq!(extended(&state, &needles()), None);
        state[168..176].copy_from_slice(&0x7f00_0000_1010_u64.to_le_bytes());
        assert_eq!(
            extended(&state, &needles()),
            Some(RunAddr(0x7f00_0000_1010))
        );
    }
}
