//! The stack check: is a thread inside code that is about to be replaced?
//!
//! Pure: memory comes through [`AddressSpace`], registers as [`Registers`](crate::memory::Registers). Three parts:
//!
//! - [`Unwinder`] knows how to leave a frame, from the call-frame information of all images as mapped in the target.
//!   It never guesses: an address without a row is an error, and so is a return address that no call precedes or a
//!   frame that does not move up.
//! - [`StackCheck`] walks every frame of a thread and compares it with the [`ForbiddenRange`]s.
//! - Where the walk gives out, every word of all the thread's stacks is looked at instead (`scan`).
//!
//! Order of use: build an [`Unwinder`] and a [`StackCheck`] while the target runs, [`StackCheck::rehearse`] with the
//! threads that sleep, stop the target, [`StackCheck::judge_many`], and only if every [`Verdict`] is clear, go on.
//!
//! # What no stack check can see
//!
//! Execution that is parked elsewhere than on the stack of a thread: `jmp_buf`s, coroutines that are not running, and
//! return addresses that a tracer in the process (uftrace) keeps in memory of its own. (The kernel's own uprobes do the
//! same, but are recognised.)

mod bulk;
mod check;
mod elf_tables;
mod error;
mod expression;
mod forbidden;
mod image;
mod region;
mod registers;
mod row;
mod saved;
mod scan;
mod section;
mod signal_frame;
mod site;
mod snapshot;
mod step;
mod unwinder;
mod verdict;
mod walk;

pub use check::StackCheck;
pub use error::WalkError;
pub use forbidden::ForbiddenRange;
pub use image::{ImageSpec, TableSource};
pub use region::{AddressSpace, NoRegions, Region, RegionKind};
pub(crate) use registers::RegisterFile;
pub(crate) use saved::Walked;
pub(crate) use site::LONGEST_CALL;
pub use snapshot::StackSnapshot;
pub use unwinder::Unwinder;
pub use verdict::{Frame, Glimpse, Hit, HitKind, MAX_REPORTED, Reason, Verdict};

#[cfg(test)]
mod tests;
