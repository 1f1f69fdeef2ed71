//! Whether a thread sleeps where functions may be called on it.

use super::names::{ALLOCATOR, BLOCKING, LOADER, UNWINDER, WAITS};
use crate::image::{Image, Images};
use crate::installed::Installed;
use crate::memory::Registers;
use crate::record::Record;
use crate::stack::stack_check_with;
use crate::stop::restart;
use crate::unwind::{AddressSpace, ForbiddenRange, Frame, StackCheck, StackSnapshot, Verdict};
use livepatch_bundle::{RunAddr, Scope};

/// How many frames of the C library lie between a wait and its system call.
const WAIT_DEPTH: usize = 6;

/// Judges threads.
pub struct Refuge<'a> {
    images: &'a Images<'a>,
    check: StackCheck,
}

impl<'a> Refuge<'a> {
    /// For a process with these images and patches; `placed` is one that is not among them yet.
    #[must_use]
    pub fn new(
        images: &'a Images<'_>,
        patches: &[Installed],
        placed: Option<(RunAddr, &Record)>,
    ) -> Self {
        let forbidden = images.iter().flat_map(forbidden).collect();
        Self {
            images,
            check: stack_check_with(images, patches, placed, forbidden),
        }
    }

    /// To be called before threads are looked at.
    pub fn begin(&mut self, space: &dyn AddressSpace) {
        self.check.begin(space);
    }

    /// Whether the thread sleeps where functions may be called on it, or why not.
    ///
    /// # Errors
    /// Why not.
    pub fn accept(
        &mut self,
        registers: &Registers,
        space: &dyn AddressSpace,
    ) -> Result<(), &'static str> {
        let call = registers.orig_rax.cast_signed();
        if !restart::is_in_syscall(registers) {
            return Err("does not sleep in a system call");
        }
        if !BLOCKING.contains(&call) {
            return Err("sleeps in a system call in which functions cannot be called");
        }
        let frames = self.check.frames(registers, space);
        if frames.iter().skip(1).any(|frame| frame.exact) {
            return Err("is in a signal handler");
        }
        let lock = call == libc::SYS_futex && !self.waits(&frames);
        if lock {
            return Err("waits for a lock");
        }
        self.outside(registers, space)
    }

    /// Whether the thread is certainly outside the allocator, the loader and the unwinders.
    pub fn is_outside(&mut self, registers: &Registers, space: &dyn AddressSpace) -> bool {
        self.outside(registers, space).is_ok()
    }

    fn outside(
        &mut self,
        registers: &Registers,
        space: &dyn AddressSpace,
    ) -> Result<(), &'static str> {
        let mut stack = StackSnapshot::on_demand(space);
        match self.check.judge(registers, &mut stack, space) {
            Verdict::Clear { .. } => Ok(()),
            Verdict::Busy { .. } => Err("is inside the allocator, the loader or an unwinder"),
            Verdict::Unknown { .. } => Err("has a stack that cannot be judged"),
        }
    }

    /// Whether one of the innermost frames is of a function that waits for something else than a lock.
    fn waits(&self, frames: &[Frame]) -> bool {
        let names = frames.iter().take(WAIT_DEPTH).filter_map(|frame| {
            let at = frame.pc.offset(if frame.exact { 0 } else { -1 });
            Some(self.images.at(at)?.symbol_at(at)?.0)
        });
        names.into_iter().any(|name| {
            let plain = name.split('@').next().unwrap_or(&name);
            WAITS.contains(&plain)
        })
    }
}

/// What of an image no thread may be inside.
fn forbidden(image: &Image<'_>) -> Vec<ForbiddenRange> {
    if is_wholly_forbidden(image) {
        let ranges = image.executable_ranges().iter();
        return ranges
            .map(|range| ForbiddenRange::new(range.start, range.end, image.label()))
            .collect();
    }
    let names = ALLOCATOR.iter().chain(LOADER).chain(UNWINDER);
    names.flat_map(|name| functions(image, name)).collect()
}

/// The extents of the functions of this name.
fn functions(image: &Image<'_>, name: &str) -> Vec<ForbiddenRange> {
    let hits = image.find(name, Scope::Global, None).into_iter();
    hits.filter(|hit| hit.size > 0)
        .filter_map(|hit| {
            let start = hit.at(image.bias())?;
            let end = RunAddr(start.0.checked_add(hit.size)?);
            Some(ForbiddenRange::new(start, end, name))
        })
        .collect()
}

/// The loader, an unwinder or an allocator that is a file of its own: their inner functions have no names to know them by.
fn is_wholly_forbidden(image: &Image<'_>) -> bool {
    let defines = |name: &str| image.exports(name);
    let is_libc = image.is_main() || defines("pthread_create") || defines("printf");
    let of_its_own = [
        "_dl_catch_exception",
        "_r_debug",
        "malloc",
        "_Unwind_Find_FDE",
        "_Unwind_RaiseException",
    ];
    !is_libc && of_its_own.into_iter().any(defines)
}
