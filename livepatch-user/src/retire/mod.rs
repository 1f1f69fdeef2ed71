//! Whether live data still points into a patch that is about to be taken away.
//!
//! New code may have stored a call-back, a string or a vtable of its own somewhere; no stack check finds that. So the
//! writable memory of the target is searched for words that point into the patch:
//!
//! 1. [`Search::prepare`] tells the kernel to remember what is written from then on; [`Search::refresh`] reads
//!    everything while the target runs, and when called again, what was written meanwhile;
//! 2. [`Search::capture`], within the stop, copies only the pages written since, and the registers;
//! 3. [`Capture::judge`], after the stop, searches the copies. What it says holds for the moment of the stop, and if
//!    that is [`Outcome::Free`], nobody can come by a pointer afterwards: no code of the patch runs, and there is no
//!    word left to copy.
//!
//! Writes are noticed by asynchronous write protection (`tracking`, Linux 6.7), by soft-dirty bits where the kernel has
//! them, or not at all; then the capture must copy everything, which it does only up to a limit.
//!
//! # What is searched
//!
//! Every populated page that is the process's own: anonymous memory, private copies of file pages (also read-only
//! ones, such as relocated data), and shared memory. Words at any offset count, also as glibc's `PTR_MANGLE` disguises
//! them. Not searched: the patch itself, unmodified file pages, device memory, and file mappings that are shared and
//! read-only.
//!
//! # What no search of memory can see
//!
//! Pointers that a program disguises by itself, pages of shared memory that are swapped out or that only another
//! process maps, and what another process writes to shared memory later. The kernel's own tables are looked at in `kernel`; signal handlers only by [`Capture::judge_with`].

mod areas;
mod capture;
mod judge;
mod kernel;
mod needles;
mod outcome;
mod pages;
mod registers;
mod search;
mod source;
mod stacks;
mod tracking;

pub use capture::{Capture, ThreadState};
pub(crate) use needles::{Found, Needles, reveal};
pub use outcome::{Holder, Incomplete, Outcome, Place};
pub(crate) use search::guard;
pub use search::{Limits, PatchAddresses, Search, Summary};
pub(crate) use source::{Source, total};
pub(crate) use stacks::{CONTROL_BLOCK, RED_ZONE, is_guarded};
pub use tracking::{RemoteSyscall, Tracking};

use livepatch_bundle::RunAddr;

/// A range of addresses in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange {
    /// First byte.
    pub start: RunAddr,
    /// Byte after the last.
    pub end: RunAddr,
}

impl AddressRange {
    /// Whether the address is inside.
    #[must_use]
    pub fn contains(&self, address: RunAddr) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether the ranges have a byte in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}
