// SPDX-License-Identifier: GPL-2.0
//! What the policy needs of the kernel.
#![forbid(unsafe_code)]

use crate::walk::Walk;
use core::ops::Range;

/// An error number of the kernel, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// How a function is redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By ftrace, in the call that the compiler put at the function's entry.
    Ftrace,
    /// By a kprobe, where ftrace cannot reach.
    Kprobe,
}

/// The kernel, or a stand-in. `slot` numbers a redirect, below [`crate::policy::MAX_FUNCTIONS`]; `patch` numbers what is
/// switched at once, below [`crate::policy::MAX_PATCHES`].
pub trait Kernel {
    /// The code of a module that was loaded after us.
    fn module_text(&mut self, module: &str) -> Option<Range<usize>>;
    /// Keeps a module loaded, until [`Self::unpin`].
    ///
    /// # Errors
    /// When it is on its way out, or was loaded before us.
    fn pin(&mut self, module: &str) -> Result<(), Errno>;
    /// Ends what [`Self::pin`] began.
    fn unpin(&mut self, module: &str);
    /// Whether the kernel has a function that begins there.
    fn is_entry(&mut self, address: usize) -> bool;
    /// Makes calls of the function at `old` lead to `new`, as soon as the switch of `patch` is on.
    ///
    /// # Errors
    /// `EBUSY`: somebody else redirects the function. Others: it can have no redirect.
    fn hook(&mut self, slot: usize, patch: usize, old: usize, new: usize) -> Result<Means, Errno>;
    /// Ends what [`Self::hook`] began. Tasks may be between the hook and the function still.
    ///
    /// # Errors
    /// When the kernel refuses; the hook is there as before.
    fn unhook(&mut self, slot: usize) -> Result<(), Errno>;
    /// Stops the machine, shows every task's stack to `walk` and, if it objects to none, turns the switch `.0` to `.1`.
    ///
    /// # Errors
    /// When the machine could not be stopped.
    fn stop(&mut self, walk: &mut Walk<'_>, switch: Option<(usize, bool)>) -> Result<(), Errno>;
    /// Returns when every task has slept or been in user space once since: none is between a hook and its function.
    fn settle(&mut self);
    /// Sleeps for some milliseconds.
    fn pause(&mut self);
    /// Milliseconds since some time.
    fn now(&mut self) -> u64;
}
