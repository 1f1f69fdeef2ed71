//! Why a frame could not be unwound.

use crate::memory::Unreadable;
use livepatch_bundle::RunAddr;
use thiserror::Error;

/// A stack that gives out at one frame. Never guessed around: the rest of the stack is scanned instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WalkError {
    /// The address is in no executable mapping of a known image (a JIT's page, a library loaded a moment ago).
    #[error("{pc} is in no known image")]
    UnknownCode {
        /// Where.
        pc: RunAddr,
    },
    /// The image has no call-frame information for the address.
    #[error("no call-frame information for {pc}")]
    NoRow {
        /// Where.
        pc: RunAddr,
    },
    /// A return address that does not follow a call instruction.
    #[error("no call instruction precedes the return address {pc}")]
    NotAfterCall {
        /// The return address.
        pc: RunAddr,
    },
    /// The caller's frame is not above its callee's.
    #[error("the frame of {pc} does not move up the stack ({sp} to {cfa})")]
    Direction {
        /// The callee.
        pc: RunAddr,
        /// The callee's stack pointer.
        sp: RunAddr,
        /// The caller's.
        cfa: RunAddr,
    },
    /// The frame says that nothing called it, or its return address is zero, but no thread starts there: a coroutine.
    #[error("the stack ends at {pc}, where no thread starts")]
    StrangeEnd {
        /// The frame.
        pc: RunAddr,
    },
    /// A rule needs a register that the frames before did not preserve.
    #[error("the frame of {pc} needs register {number}, which is not known")]
    LostRegister {
        /// The frame.
        pc: RunAddr,
        /// DWARF number.
        number: u16,
    },
    /// A rule that cannot be applied: a bad expression, or one for something that is no stack frame.
    #[error("the call-frame information for {pc} makes no sense")]
    BadRule {
        /// The frame.
        pc: RunAddr,
    },
    /// The frame's memory cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// More frames than any stack holds.
    #[error("more than {limit} frames")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
}
