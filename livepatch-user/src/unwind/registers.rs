//! The registers of one frame, by DWARF number; after a call some of them are not known.
//!
//! System V ABI, AMD64 supplement, figure 3.36: rax 0, rdx 1, rcx 2, rbx 3, rsi 4, rdi 5, rbp 6, rsp 7, r8-r15 as they
//! are called, return address 16.

use crate::memory::Registers;
use livepatch_bundle::RunAddr;

/// DWARF number of a register.
pub(crate) type Number = u16;

pub(crate) const RSP: Number = 7;
pub(crate) const RETURN_ADDRESS: Number = 16;
const COUNT: usize = 17;

/// The registers that a called function gives back as it found them (ABI 3.2.1), without rsp.
pub(crate) const CALLEE_SAVED: [Number; 6] = [3, 6, 12, 13, 14, 15];
const CALLEE_SAVED_MASK: u32 = 1 << 3 | 1 << 6 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15;

/// Values of the general registers and the instruction pointer, each known or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterFile {
    values: [u64; COUNT],
    known: u32,
}

impl RegisterFile {
    /// All registers of a stopped thread.
    pub(crate) fn of_thread(regs: &Registers) -> Self {
        Self::from_values([
            regs.rax, regs.rdx, regs.rcx, regs.rbx, regs.rsi, regs.rdi, regs.rbp, regs.rsp,
            regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, regs.rip,
        ])
    }

    pub(crate) fn from_values(values: [u64; COUNT]) -> Self {
        let known = (1 << COUNT) - 1;
        Self { values, known }
    }

    /// A sleeping thread of which only these two are known (`/proc/PID/task/TID/syscall`).
    pub(crate) fn partial(pc: RunAddr, sp: RunAddr) -> Self {
        let mut file = Self {
            values: [0; COUNT],
            known: 0,
        };
        file.set(RETURN_ADDRESS, pc.0);
        file.set(RSP, sp.0);
        file
    }

    pub(crate) fn get(&self, number: Number) -> Option<u64> {
        let known = usize::from(number) < COUNT && self.known & (1 << number) != 0;
        known.then(|| self.values[usize::from(number)])
    }

    pub(crate) fn set(&mut self, number: Number, value: u64) {
        if let Some(slot) = self.values.get_mut(usize::from(number)) {
            *slot = value;
            self.known |= 1 << number;
        }
    }

    pub(crate) fn forget(&mut self, number: Number) {
        if usize::from(number) < COUNT {
            self.known &= !(1 << number);
        }
    }

    /// The frame's stack pointer.
    pub(crate) fn sp(&self) -> RunAddr {
        RunAddr(self.values[usize::from(RSP)])
    }

    /// The frame's instruction pointer or return address.
    pub(crate) fn pc(&self) -> RunAddr {
        RunAddr(self.values[usize::from(RETURN_ADDRESS)])
    }

    /// What is left after a return to `pc` with `sp`, before the saved registers are put back.
    pub(crate) fn returned(&self, pc: u64, sp: u64) -> Self {
        let mut caller = *self;
        caller.known &= CALLEE_SAVED_MASK;
        caller.set(RETURN_ADDRESS, pc);
        caller.set(RSP, sp);
        caller
    }

    /// The values of all general registers that are known.
    pub(crate) fn general(&self) -> impl Iterator<Item = u64> {
        let known = self.known & !(1 << RETURN_ADDRESS);
        let numbered = self.values.into_iter().enumerate();
        numbered.filter_map(move |(number, value)| (known & (1 << number) != 0).then_some(value))
    }
}
