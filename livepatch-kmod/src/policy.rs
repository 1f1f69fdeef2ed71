// SPDX-License-Identifier: GPL-2.0
//! Which redirects are in force, and how patches go in and out.
//!
//! Apply: check, pin the module, hook every function with the switch off, stop the machine until no stack is in the way
//! and turn the switch. Revert: the same for the new code, unhook, wait until nobody is between a hook and new code
//! (`settle`), and look at the stacks once more, since a task may have got through meanwhile. The module stays pinned until no stack
//! has new code.
#![forbid(unsafe_code)]

use crate::command::{Apply, BadCommand, Command, Function, Part};
use crate::kernel::{Errno, Kernel, Means};
use crate::name::Name;
use crate::walk::{Blocker, Walk, is_inside};
use core::fmt;
use core::ops::Range;

/// How many patches may be in force.
pub const MAX_PATCHES: usize = 32;
/// How many functions may be redirected by all of them.
pub const MAX_FUNCTIONS: usize = 512;

/// Why a command was not carried out. Nothing is changed, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is no command.
    Bad(BadCommand),
    /// A patch of this name is there.
    Exists,
    /// There is no patch of this name.
    NoPatch,
    /// There is no room.
    Full,
    /// The module with the new code is not there, or was loaded before us.
    NoModule(Name),
    /// The new code of this function is not within the module's.
    Outside(Name),
    /// No function begins where this one is said to.
    NoEntry(Name),
    /// Somebody else redirects this function.
    Taken(Name),
    /// This function can have no redirect.
    Hook(Name, Errno),
    /// A task was in the way until the deadline.
    Busy(Blocker),
    /// The old code is in force again, but a task is still inside new code: the module must stay. To be tried again.
    Draining(Blocker),
    /// The machine could not be stopped.
    Stop(Errno),
    /// The hook of this function cannot be taken out; the switch is off, so that old code is in force.
    Unhook(Name, Errno),
}

impl Error {
    /// The error number that the write ends with.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Self::Bad(_) | Self::Outside(_) | Self::NoEntry(_) => 22,
            Self::Exists => 17,
            Self::NoPatch | Self::NoModule(_) => 2,
            Self::Full => 28,
            Self::Taken(_) => 26,
            Self::Busy(_) => 16,
            Self::Draining(_) => 115,
            Self::Hook(_, Errno(error))
            | Self::Unhook(_, Errno(error))
            | Self::Stop(Errno(error)) => error,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// How many functions.
    pub functions: usize,
    /// How often the machine was stopped.
    pub stops: u32,
    /// How many tasks were looked at in the last stop.
    pub tasks: u32,
}

/// A patch in force.
#[derive(Clone, Copy, Debug)]
struct Patch {
    name: Name,
    module: Name,
    /// Its switch is off; it waits for tasks inside its code.
    draining: bool,
}

/// A redirect in force.
#[derive(Clone, Debug)]
struct Redirect {
    patch: usize,
    function: Function,
    /// `None`: its hook is gone.
    means: Option<Means>,
}

/// Everything that is in force.
#[derive(Debug)]
pub struct Policy {
    patches: [Option<Patch>; MAX_PATCHES],
    redirects: [Option<Redirect>; MAX_FUNCTIONS],
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Nothing in force.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            patches: [None; MAX_PATCHES],
            redirects: [const { None }; MAX_FUNCTIONS],
        }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// Each variant says what it leaves behind.
    pub fn run<K: Kernel>(&mut self, kernel: &mut K, command: &[u8]) -> Result<Done, Error> {
        match Command::parse(command).map_err(Error::Bad)? {
            Command::Apply(apply) => self.apply(kernel, &apply),
            Command::Revert { name, deadline } => self.revert(kernel, &name, deadline),
        }
    }

    /// Whether nothing is redirected and no module pinned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patches.iter().all(Option::is_none)
    }

    fn find(&self, name: &Name) -> Option<(usize, Patch)> {
        let mut patches = self.patches.iter().enumerate();
        patches.find_map(|(number, patch)| {
            patch
                .filter(|one| one.name == *name)
                .map(|one| (number, one))
        })
    }

    fn apply<K: Kernel>(&mut self, kernel: &mut K, apply: &Apply<'_>) -> Result<Done, Error> {
        if self.find(&apply.name).is_some() {
            return Err(Error::Exists);
        }
        let patch = self
            .patches
            .iter()
            .position(Option::is_none)
            .ok_or(Error::Full)?;
        self.check(kernel, apply)?;
        let module = apply.module;
        kernel
            .pin(module.as_str())
            .map_err(|_| Error::NoModule(module))?;
        let applied = self.hook_all(kernel, patch, apply).and_then(|functions| {
            let busy = |address: usize| {
                apply.parts().any(|part| match part {
                    Part::Function(function) => is_inside(address, &function.old),
                    Part::Busy(range) => is_inside(address, &range),
                })
            };
            let mut done = stop_until(kernel, &busy, Some((patch, true)), apply.deadline)?;
            done.functions = functions;
            Ok(done)
        });
        if applied.is_ok() {
            let (name, draining) = (apply.name, false);
            self.set(
                patch,
                Some(Patch {
                    name,
                    module,
                    draining,
                }),
            );
        } else {
            // The switch was never on: who is between a hook and a function goes to old code.
            self.unhook_all(kernel, patch)?;
            self.forget(kernel, patch, module);
        }
        applied
    }

    /// Checks every bound before anything is touched.
    fn check<K: Kernel>(&self, kernel: &mut K, apply: &Apply<'_>) -> Result<(), Error> {
        let module = apply.module;
        let text = kernel
            .module_text(module.as_str())
            .ok_or(Error::NoModule(module))?;
        for (number, function) in apply.functions().enumerate() {
            let Function { symbol, old, new } = function;
            if new.start < text.start || new.end > text.end {
                return Err(Error::Outside(symbol));
            }
            if !kernel.is_entry(old.start) {
                return Err(Error::NoEntry(symbol));
            }
            let ours = self.redirects.iter().flatten().map(|one| &one.function.old);
            let twice = apply
                .functions()
                .take(number)
                .any(|one| one.old.start == old.start);
            if twice || ours.into_iter().any(|one| one.start == old.start) {
                return Err(Error::Taken(symbol));
            }
        }
        Ok(())
    }

    fn hook_all<K: Kernel>(
        &mut self,
        kernel: &mut K,
        patch: usize,
        apply: &Apply<'_>,
    ) -> Result<usize, Error> {
        let mut count = 0;
        for function in apply.functions() {
            let free = self.redirects.iter().position(Option::is_none);
            let slot = free.ok_or(Error::Full)?;
            let (old, new, symbol) = (function.old.start, function.new.start, function.symbol);
            let means = kernel
                .hook(slot, patch, old, new)
                .map_err(|errno| match errno {
                    Errno(16) => Error::Taken(symbol),
                    errno => Error::Hook(symbol, errno),
                })?;
            if let Some(place) = self.redirects.get_mut(slot) {
                let means = Some(means);
                *place = Some(Redirect {
                    patch,
                    function,
                    means,
                });
            }
            count += 1;
        }
        Ok(count)
    }

    fn revert<K: Kernel>(
        &mut self,
        kernel: &mut K,
        name: &Name,
        deadline: u64,
    ) -> Result<Done, Error> {
        let (number, patch) = self.find(name).ok_or(Error::NoPatch)?;
        if !patch.draining {
            let redirects = &self.redirects;
            let new = |address: usize| {
                of_patch(redirects, number).any(|one| is_inside(address, &one.function.new))
            };
            stop_until(kernel, &new, Some((number, false)), deadline)?;
            self.set(
                number,
                Some(Patch {
                    draining: true,
                    ..patch
                }),
            );
        }
        self.unhook_all(kernel, number)?;
        kernel.settle();
        let redirects = &self.redirects;
        let new = |address: usize| {
            of_patch(redirects, number).any(|one| is_inside(address, &one.function.new))
        };
        let mut done = stop_until(kernel, &new, None, deadline).map_err(|error| match error {
            Error::Busy(blocker) => Error::Draining(blocker),
            error => error,
        })?;
        done.functions = of_patch(redirects, number).count();
        kernel.settle();
        self.forget(kernel, number, patch.module);
        Ok(done)
    }

    fn unhook_all<K: Kernel>(&mut self, kernel: &mut K, patch: usize) -> Result<(), Error> {
        let slots = self.redirects.iter_mut().enumerate();
        for (slot, redirect) in slots.filter_map(|(slot, one)| one.as_mut().map(|one| (slot, one)))
        {
            if redirect.patch == patch && redirect.means.is_some() {
                let symbol = redirect.function.symbol;
                kernel
                    .unhook(slot)
                    .map_err(|errno| Error::Unhook(symbol, errno))?;
                redirect.means = None;
            }
        }
        Ok(())
    }

    fn forget<K: Kernel>(&mut self, kernel: &mut K, patch: usize, module: Name) {
        let gone = |one: &mut Redirect| one.patch == patch;
        for redirect in &mut self.redirects {
            let _ = redirect.take_if(gone);
        }
        self.set(patch, None);
        kernel.unpin(module.as_str());
    }

    fn set(&mut self, number: usize, patch: Option<Patch>) {
        if let Some(place) = self.patches.get_mut(number) {
            *place = patch;
        }
    }

    /// A module with this code is about to be unloaded: takes out the hooks of its functions.
    pub fn module_going<K: Kernel>(&mut self, kernel: &mut K, text: &Range<usize>) {
        let slots = self.redirects.iter_mut().enumerate();
        for (slot, redirect) in slots.filter_map(|(slot, one)| one.as_mut().map(|one| (slot, one)))
        {
            let inside = text.contains(&redirect.function.old.start);
            if inside && redirect.means.is_some() && kernel.unhook(slot).is_ok() {
                redirect.means = None;
            }
        }
    }

    /// Writes a line for each patch, and one for each of its functions.
    ///
    /// # Errors
    /// When `out` is full.
    pub fn show(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let patches = self.patches.iter().enumerate();
        for (number, patch) in patches.filter_map(|(number, one)| one.map(|one| (number, one))) {
            let state = if patch.draining {
                "draining"
            } else {
                "enabled"
            };
            writeln!(out, "patch {} {} {state}", patch.name, patch.module)?;
            for redirect in of_patch(&self.redirects, number) {
                let means = match redirect.means {
                    Some(Means::Ftrace) => "ftrace",
                    Some(Means::Kprobe) => "kprobe",
                    None => "gone",
                };
                let Function { symbol, old, new } = &redirect.function;
                writeln!(
                    out,
                    "function {:x} {:x} {means} {symbol}",
                    old.start, new.start
                )?;
            }
        }
        Ok(())
    }
}

fn of_patch(redirects: &[Option<Redirect>], patch: usize) -> impl Iterator<Item = &Redirect> {
    redirects
        .iter()
        .flatten()
        .filter(move |one| one.patch == patch)
}

/// Stops the machine until nothing is in the way, or the deadline is over.
fn stop_until<K: Kernel>(
    kernel: &mut K,
    wanted: &dyn Fn(usize) -> bool,
    switch: Option<(usize, bool)>,
    deadline: u64,
) -> Result<Done, Error> {
    let start = kernel.now();
    let mut stops: u32 = 0;
    loop {
        let mut walk = Walk::new(wanted);
        stops = stops.saturating_add(1);
        kernel.stop(&mut walk, switch).map_err(Error::Stop)?;
        let tasks = walk.tasks;
        match walk.blocker {
            None if walk.is_clear() => {
                return Ok(Done {
                    functions: 0,
                    stops,
                    tasks,
                });
            }
            // No task at all was shown: the stop did not do its work.
            None => return Err(Error::Stop(Errno(5))),
            Some(blocker) if kernel.now().saturating_sub(start) >= deadline => {
                return Err(Error::Busy(blocker));
            }
            Some(_) => kernel.pause(),
        }
    }
}
