//! The way home for a borrowed thread whose tracer dies.
//!
//! Before the thread is taken away from where it stood, a signal frame that holds all that it had is laid on its own stack, where
//! the kernel would lay one for a handler. The thread makes its calls by a `syscall; ret` with the stack pointer at the
//! frame, whose first word leads to `rt_sigreturn`. So whenever we die, it ends the call, returns to the C library's
//! `__restore_rt`, and the kernel gives it back registers, extended registers and signal mask in one step.
//!
//! The frame must not lie where something lives: below the stack pointer is free only where a stack is. That is believed of
//! the first thread's `[stack]`, and of a mapping with a guard page below it that holds the thread's own control block above
//! (how glibc and musl lay out stacks); not while a handler runs, whose stack may be another. Elsewhere (goroutines, coroutines)
//! there is no way home, and a thread that is borrowed there does not survive our death during a call.

use super::frame::Frame;
use super::gate::Gates;
use crate::memory::{Memory, Registers};
use crate::process::{Mapping, ProcessMemory, Status, Tid, WriteError, find_mapping};
use crate::sys::ptrace;
use livepatch_bundle::RunAddr;
use std::path::PathBuf;

/// Room below the frame for what is lent to the target.
pub(super) const LENT: u64 = 512;
/// How much of the stack is looked through for the return address of a handler.
const HANDLER: usize = 64 << 10;
/// Room for all extended registers: with AMX they take 11 KiB.
pub(super) const EXTENDED: usize = 64 << 10;

/// A frame on the thread's stack.
#[derive(Debug)]
pub(super) struct WayHome {
    /// The stack pointer with which calls are made: the frame's address.
    pub(super) stack: RunAddr,
    /// `syscall; ret`.
    pub(super) gate: RunAddr,
    /// First byte of what is lent, and of what was saved.
    lowest: RunAddr,
    saved: Vec<u8>,
    /// How much is lent already.
    used: u64,
}

impl WayHome {
    /// Lays the frame; `None` where it cannot be laid.
    pub(super) fn lay(
        memory: &ProcessMemory,
        maps: &[Mapping],
        gates: &Gates,
        tid: Tid,
        home: &Registers,
        mask: u64,
    ) -> Option<Self> {
        let (gate, back) = gates.with_return()?;
        if has_shadow_stack(memory, tid) || runs_handler(memory, home, back) {
            return None;
        }
        let extended = extended_registers(tid)?;
        let frame = Frame::on_stack(home, mask, &extended, back)?;
        let lowest = RunAddr(frame.at.0.checked_sub(LENT)?);
        let leader = tid == memory.pid().leader();
        if !is_own_stack(maps, lowest, home, leader) {
            return None;
        }
        let len = frame.at.0 - lowest.0 + frame.bytes.len() as u64;
        let saved = memory.read_vec(lowest, usize::try_from(len).ok()?).ok()?;
        let way = Self {
            stack: frame.at,
            gate,
            lowest,
            saved,
            used: 0,
        };
        match memory.write_forced(frame.at, &frame.bytes, Some(tid)) {
            Ok(_) => Some(way),
            Err(_) => {
                // Part of it lies there now, where nothing lives.
                way.clear(memory, tid).ok();
                None
            }
        }
    }

    /// The next 16-byte aligned place with room for `len` bytes.
    pub(super) fn take(&mut self, len: u64) -> Option<RunAddr> {
        let end = self.used.checked_add(len).filter(|end| *end <= LENT)?;
        let first = self.lowest.0.next_multiple_of(16);
        let address = first + self.used;
        self.used = end.next_multiple_of(16);
        (address + len <= self.stack.0).then_some(RunAddr(address))
    }

    /// Puts back what lay there.
    pub(super) fn clear(&self, memory: &ProcessMemory, tid: Tid) -> Result<(), WriteError> {
        memory
            .write_forced(self.lowest, &self.saved, Some(tid))
            .map(drop)
    }
}

/// The extended registers of a thread that stands.
pub(super) fn extended_registers(tid: Tid) -> Option<Vec<u8>> {
    let mut extended = vec![0; EXTENDED];
    let len = ptrace::extended_registers(tid, &mut extended).ok()?;
    extended.truncate(len);
    Some(extended)
}

/// Whether the thread's stack reaches down from its stack pointer to `lowest` at least.
fn is_own_stack(maps: &[Mapping], lowest: RunAddr, home: &Registers, leader: bool) -> bool {
    let Some(mapping) = find_mapping(maps, RunAddr(home.rsp)) else {
        return false;
    };
    if !mapping.contains(lowest) || !mapping.write || mapping.shared {
        return false;
    }
    let guarded = maps
        .iter()
        .any(|below| below.end == mapping.start && !below.read && !below.write && !below.execute);
    let has_control_block = mapping.contains(RunAddr(home.fs_base)) && home.fs_base > home.rsp;
    leader && mapping.is_named("[stack]") || guarded && has_control_block
}

/// Whether a handler of a signal seems to run: its return address is that of `rt_sigreturn`.
fn runs_handler(memory: &impl Memory, home: &Registers, back: RunAddr) -> bool {
    let mut bytes = vec![0; HANDLER];
    let start = RunAddr(home.rsp & !7);
    // Near the end of the stack less can be read.
    while memory.read(start, &mut bytes).is_err() {
        if bytes.len() <= 8 {
            return true;
        }
        bytes.truncate(bytes.len() / 2);
    }
    bytes
        .chunks_exact(8)
        .any(|word| word == back.0.to_le_bytes())
}

/// Whether `ret` needs more than a return address on the stack; yes if that cannot be read.
fn has_shadow_stack(memory: &ProcessMemory, tid: Tid) -> bool {
    let directory = PathBuf::from(format!("/proc/{}/task/{tid}", memory.pid()));
    Status::read(&directory).map_or(true, |status| status.shadow_stack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::parse_maps;
    use crate::sys::ptrace::no_registers;

    fn maps() -> Vec<Mapping> {
        let text = "10000-11000 ---p 0 0:0 0\n11000-20000 rw-p 0 0:0 0\n\
                    30000-40000 rw-p 0 0:0 0\n50000-60000 rw-p 0 0:0 0 [stack]\n";
        parse_maps(text.as_bytes()).expect("well-formed")
    }

    fn own(rsp: u64, fs_base: u64, lowest: u64, leader: bool) -> bool {
        let home = Registers {
            rsp,
            fs_base,
            ..no_registers()
        };
        is_own_stack(&maps(), RunAddr(lowest), &home, leader)
    }

    #[test]
    fn only_what_is_certainly_a_stack_is_written() {
        assert!(own(0x58000, 0, 0x57000, true));
        assert!(!own(0x58000, 0, 0x57000, false), "another's stack");
        assert!(!own(0x50100, 0, 0x4ff00, true), "no room");
        assert!(own(0x18000, 0x1f000, 0x17000, false));
        assert!(!own(0x18000, 0x17000, 0x17000, false), "the block is below");
        assert!(
            !own(0x18000, 0x38000, 0x17000, false),
            "the block is elsewhere"
        );
        assert!(!own(0x38000, 0x3f000, 0x37000, false), "no guard page");
    }
}
