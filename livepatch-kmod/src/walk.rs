// SPDX-License-Identifier: GPL-2.0
//! The verdict on stacks, while the machine is stopped.
#![forbid(unsafe_code)]

use crate::name::Name;
use core::ops::Range;

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its process id; 0 for an idle task.
    pub pid: i32,
    /// Its command name.
    pub comm: Name,
}

/// Why the switch could not be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Whose stack it is.
    pub task: Task,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What is wrong with a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It leads through code that changes, at this address.
    InUse(usize),
    /// It cannot be followed to its end.
    Unreliable,
    /// The idle task of a processor that was never seen idle.
    Unknown,
}

/// A walk over all stacks: what may not be on them, and what was found.
pub struct Walk<'a> {
    wanted: Wanted<'a>,
    task: Option<Task>,
    /// The first objection.
    pub blocker: Option<Blocker>,
    /// How many tasks were looked at.
    pub tasks: u32,
}

/// What may not be on a stack: whether code at an address is of that kind.
pub type Wanted<'a> = &'a dyn Fn(usize) -> bool;

/// Whether an address found on a stack may be inside a function. A return address after a final call is the next
/// function's first byte, so the end counts.
#[must_use]
pub fn is_inside(address: usize, range: &Range<usize>) -> bool {
    (range.start..=range.end).contains(&address)
}

impl<'a> Walk<'a> {
    /// A walk that objects to code of which `wanted` says yes.
    #[must_use]
    pub fn new(wanted: Wanted<'a>) -> Self {
        Self {
            wanted,
            task: None,
            blocker: None,
            tasks: 0,
        }
    }

    /// The stack of another task follows.
    pub fn task(&mut self, task: Task) {
        self.task = Some(task);
        self.tasks = self.tasks.saturating_add(1);
    }

    /// A frame of the task's stack: where it was interrupted, or will return to. Whether there is reason to go on.
    pub fn frame(&mut self, address: usize) -> bool {
        if (self.wanted)(address) {
            self.object(Cause::InUse(address));
        }
        self.blocker.is_none()
    }

    /// The task's stack could not be followed to its end, or is not to be found.
    pub fn object(&mut self, cause: Cause) {
        let task = self.task.unwrap_or(Task {
            pid: 0,
            comm: Name::of_field(b"?"),
        });
        self.blocker.get_or_insert(Blocker { task, cause });
    }

    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.blocker.is_none() && self.tasks > 0
    }
}
