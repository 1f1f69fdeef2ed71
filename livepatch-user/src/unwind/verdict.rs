//! What the stack check says about a thread.

use super::error::WalkError;
use super::region::NoRegions;
use crate::memory::Unreadable;
use livepatch_bundle::RunAddr;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Whether a thread may be let run on after the forbidden code is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in no forbidden function.
    Clear {
        /// Frames that were unwound.
        frames: usize,
        /// The rest of the stack could not be unwound; it was searched word by word and holds no return address into
        /// a forbidden function.
        by_scan: bool,
    },
    /// It is, or may be, inside a forbidden function.
    Busy {
        /// The frames down to the one that is, innermost first, at most [`MAX_REPORTED`].
        frames: Vec<Frame>,
        /// The one that is.
        hit: Hit,
    },
    /// Nobody knows, which means no.
    Unknown {
        /// Why.
        reason: Reason,
        /// The frames before that, innermost first, at most [`MAX_REPORTED`].
        frames: Vec<Frame>,
    },
}

/// Frames that a report holds at most.
pub const MAX_REPORTED: usize = 64;

impl Verdict {
    /// Whether the thread is certainly outside.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        matches!(self, Self::Clear { .. })
    }
}

/// What can be seen of a thread that nobody stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glimpse {
    /// In no forbidden function.
    Outside,
    /// In the one of this label.
    Inside(String),
    /// Its registers would have to be known.
    Unseen,
}

/// A function that holds a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The address in it.
    pub pc: RunAddr,
    /// Its label.
    pub label: String,
    /// How it was found.
    pub kind: HitKind,
    /// Why unwinding gave out before, if it did.
    pub gap: Option<WalkError>,
}

/// How a forbidden address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HitKind {
    /// The thread's instruction pointer.
    Running,
    /// A return address, by unwinding.
    Caller,
    /// The instruction pointer of code that a signal interrupted.
    Interrupted,
    /// A word on a stack that could not be unwound; it may be in use.
    Word {
        /// Where it lies.
        at: RunAddr,
    },
    /// A register of a frame that could not be unwound; it may be in use.
    Register,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pc,
            label,
            kind,
            gap,
        } = self;
        match kind {
            HitKind::Running => write!(f, "runs `{label}` at {pc}"),
            HitKind::Caller => write!(f, "returns to `{label}` at {pc}"),
            HitKind::Interrupted => write!(f, "was interrupted by a signal in `{label}` at {pc}"),
            HitKind::Word { at } => write!(
                f,
                "may return to `{label}` at {pc}, found on its stack at {at}"
            ),
            HitKind::Register => write!(f, "may return to `{label}` at {pc}, found in a register"),
        }?;
        match gap {
            Some(gap) => write!(f, " (the stack cannot be unwound: {gap})"),
            None => Ok(()),
        }
    }
}

/// Why nothing certain can be said about a thread.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The instruction pointer or a return address is in the kernel's area for uprobes; the real one is hidden.
    #[error("a uprobe hides the address behind {pc}")]
    Uprobe {
        /// The address in `[uprobes]`.
        pc: RunAddr,
    },
    /// 32-bit code keeps its return addresses otherwise.
    #[error("it runs code of segment {segment:#x}, which is not 64-bit user code")]
    Segment {
        /// The code segment selector.
        segment: u64,
    },
    /// The stack pointer is not in writable memory, or misaligned.
    #[error("the stack pointer {sp} is on no stack")]
    NoStack {
        /// The stack pointer.
        sp: RunAddr,
    },
    /// The memory that the stack is part of is too large to be searched.
    #[error("the memory to search, {start} to {end}, is too large")]
    TooMuchStack {
        /// First byte.
        start: RunAddr,
        /// First byte behind.
        end: RunAddr,
    },
    /// A stack cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// What is a stack and what not cannot be found out.
    #[error(transparent)]
    NoRegions(#[from] NoRegions),
    /// Unwinding gave out, in a way that no search can make up for.
    #[error(transparent)]
    Walk(#[from] WalkError),
}

/// A frame of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Instruction pointer, or return address.
    pub pc: RunAddr,
    /// The frame was stopped at `pc`; otherwise it called the frame before, and the call ends at `pc`.
    pub exact: bool,
    /// The image's label and the link-time address there.
    pub image: Option<(Arc<str>, u64)>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.image {
            Some((label, address)) => write!(f, "{} (`{label}`+{address:#x})", self.pc),
            None => write!(f, "{}", self.pc),
        }
    }
}
