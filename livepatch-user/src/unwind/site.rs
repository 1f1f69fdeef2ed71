//! What there is to know about one instruction pointer, and how to keep it by address.

use super::error::WalkError;
use super::row::Row;
use super::signal_frame;
use crate::memory::Memory;
use livepatch_bundle::RunAddr;
use livepatch_match::calls_at;
use std::hash::Hasher;

/// Where a frame is: an instruction about to be executed, or one that a call returns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pc {
    pub(crate) address: RunAddr,
    /// Top frame, or interrupted by a signal. Otherwise the frame is at the call *before* the address, which may be
    /// the last instruction of its function (a call of `abort`).
    pub(crate) exact: bool,
}

impl Pc {
    /// The address whose row applies.
    pub(super) fn lookup(self) -> RunAddr {
        self.address.offset(if self.exact { 0 } else { -1 })
    }
}

/// What is known about one instruction pointer.
pub(crate) struct Site {
    /// `None` where there is no row.
    pub(super) row: Option<Row>,
    pub(super) image: Option<u32>,
    /// A call instruction ends right before it.
    pub(super) after_call: bool,
    /// Its row says that nothing called it, and that is so.
    pub(super) starts_thread: bool,
}

impl Site {
    /// Why the row does not serve.
    pub(super) fn error(&self, pc: Pc) -> WalkError {
        let exact = pc.exact;
        let pc = pc.address;
        if self.image.is_none() {
            WalkError::UnknownCode { pc }
        } else if !exact && !self.after_call {
            WalkError::NotAfterCall { pc }
        } else {
            WalkError::NoRow { pc }
        }
    }
}

/// The longest call instruction but for prefixes: as many bytes as [`calls_at`] wants to see.
pub(crate) const LONGEST_CALL: usize = 7;

/// Bytes before the first call of a thread within which the system call lies that made it: in `clone` of every C
/// library a few instructions.
const CLONE: usize = 64;
/// Bytes behind the entry point of a program within which it calls the C library.
const START: u64 = 128;

/// Whether threads start in the function that returns to `pc`: a program's entry point, or one that makes the system
/// call `clone`. A coroutine's first function may call itself outermost, too.
pub(super) fn starts_thread(pc: RunAddr, entry: Option<RunAddr>, memory: &dyn Memory) -> bool {
    let behind_entry = entry.is_some_and(|entry| pc.0.wrapping_sub(entry.0) < START);
    let mut before = [0; CLONE];
    let start = RunAddr(pc.0.wrapping_sub(CLONE as u64));
    let read = memory.read(start, &mut before).is_ok();
    behind_entry || (read && before.windows(2).any(|code| code == signal_frame::SYSCALL))
}

/// Whether the bytes before `address` are a call instruction; near the start of a mapping there are fewer.
pub(crate) fn follows_call(address: RunAddr, memory: &dyn Memory) -> bool {
    let mut before = [0; LONGEST_CALL];
    let readable = (2..=LONGEST_CALL).rev().find(|len| {
        let start = RunAddr(address.0.wrapping_sub(*len as u64));
        memory.read(start, &mut before[..*len]).is_ok()
    });
    readable.is_some_and(|len| calls_at(&before[..len]))
}

/// Multiplicative hashing: the keys are instruction pointers, and there are at most [`MAX_SITES`] of them.
#[derive(Default)]
pub(crate) struct PcHasher(u64);

impl Hasher for PcHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}
