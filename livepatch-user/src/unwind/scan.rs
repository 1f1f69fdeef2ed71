//! The conservative search of a stack that cannot be unwound.
//!
//! A thread that will return into forbidden code keeps the return address somewhere. Every aligned word of every stack
//! that it can be on is looked at; one that follows a call in a forbidden range counts as a return address, whether it
//! is one or was left behind. Instruction pointers that the kernel saved for signals are found by the code that
//! returns from the handler, whose address lies right below them.

use super::forbidden::{ForbiddenRange, ForbiddenSet};
use super::region::{AddressSpace, RegionKind, Regions};
use super::registers::RegisterFile;
use super::signal_frame;
use super::site::follows_call;
use super::unwinder::Unwinder;
use super::verdict::{Hit, HitKind, Reason};
use super::walk::Gap;
use livepatch_bundle::RunAddr;

/// Below the stack pointer, for code that calls nothing (ABI 3.2.2).
const RED_ZONE: i64 = 128;
/// Bytes searched for one thread before giving up.
const MAX_SCAN: u64 = 64 << 20;
const CHUNK: u64 = 64 << 10;
/// Distance from the word with the handler's return address to the saved stack and instruction pointers.
const SAVED_RSP: i64 = 8 + 160;
const SAVED_RIP: i64 = 8 + 168;

/// Ranges to search, growing as interrupted stacks are found.
pub(super) struct Work {
    ranges: Vec<(RunAddr, RunAddr)>,
    /// How many of them are done.
    done: usize,
    /// Bytes that may still be added.
    budget: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            ranges: Vec::new(),
            done: 0,
            budget: MAX_SCAN,
        }
    }
}

impl Work {
    /// Adds a range unless one that holds it is there already.
    fn add(&mut self, start: RunAddr, end: RunAddr) -> Found {
        let mut ranges = self.ranges.iter();
        let covered = ranges.any(|range| range.0 <= start && end <= range.1);
        if covered || start >= end {
            return Ok(());
        }
        let left = self.budget.checked_sub(end.0 - start.0);
        self.budget = left.ok_or(Finding::Unsure(Reason::TooMuchStack { start, end }))?;
        self.ranges.push((start, end));
        Ok(())
    }

    fn next(&mut self) -> Option<(RunAddr, RunAddr)> {
        let next = self.ranges.get(self.done).copied();
        self.done += usize::from(next.is_some());
        next
    }
}

/// What a search found.
pub(super) type Found = Result<(), Finding>;

/// Why a thread is not clear.
pub(super) enum Finding {
    Hit(Hit),
    Unsure(Reason),
}

/// A search of all stacks of one thread.
pub(super) struct Scan<'a> {
    pub(super) space: &'a dyn AddressSpace,
    pub(super) regions: &'a Regions,
    pub(super) forbidden: &'a ForbiddenSet,
    pub(super) unwinder: &'a mut Unwinder,
    /// Another thread is known to be the first one, which `[stack]` belongs to.
    pub(super) first_is_elsewhere: bool,
    pub(super) work: Work,
}

impl Scan<'_> {
    /// Searches everything from `gap` on. `thread_base` is the thread's `fs_base`, which its own stack's mapping holds.
    pub(super) fn run(&mut self, gap: &Gap, thread_base: RunAddr) -> Found {
        if let Some(registers) = &gap.registers {
            self.look_at_registers(registers)?;
        }
        let exact = gap.registers.as_ref();
        let red_zone = exact.is_some_and(|registers| self.may_use_red_zone(registers.pc()));
        self.add_stack(gap.sp, red_zone, thread_base)?;
        while let Some((start, end)) = self.work.next() {
            self.search(start, end, thread_base)?;
        }
        Ok(())
    }

    /// A return address may be in a register for a moment (`vfork` pops it).
    fn look_at_registers(&self, registers: &RegisterFile) -> Found {
        for value in registers.general() {
            self.look_at_word(value, HitKind::Register)?;
        }
        Ok(())
    }

    /// A return address lies in the red zone for a moment at most, if ever, and no thread waits in a system call then.
    /// Threads that do would otherwise be held there by what their last calls left behind.
    fn may_use_red_zone(&self, pc: RunAddr) -> bool {
        let mut before = [0; 2];
        let read = self.space.read(pc.offset(-2), &mut before);
        read.is_err() || before != signal_frame::SYSCALL
    }

    /// Adds what a thread with this stack pointer can return through: the rest of its own stack; of a stack that is
    /// not its own (an alternate one, a coroutine's, part of the heap) all, and all of its own as well.
    fn add_stack(&mut self, sp: RunAddr, red_zone: bool, thread_base: RunAddr) -> Found {
        if !sp.0.is_multiple_of(8) {
            return Err(Finding::Unsure(Reason::NoStack { sp }));
        }
        let run = self.regions.writable_run(sp);
        let (start, end) = run.ok_or(Finding::Unsure(Reason::NoStack { sp }))?;
        if self.is_home(sp, thread_base) {
            let zone = if red_zone { -RED_ZONE } else { 0 };
            return self.work.add(sp.offset(zone).max(start), end);
        }
        self.work.add(start, end)?;
        self.add_home(thread_base)
    }

    /// Whether the stack pointer is on the stack that the thread was started on, so that nothing below it is in use.
    /// The C libraries put a thread's control block above its stack in the same mapping, except for the first thread's.
    fn is_home(&self, sp: RunAddr, thread_base: RunAddr) -> bool {
        let region = self.regions.find(sp);
        let is_first = region.is_some_and(|region| region.kind == RegionKind::Stack);
        let is_below =
            sp < thread_base && self.home_of(thread_base) == self.regions.writable_run(sp);
        is_first || (self.first_is_elsewhere && is_below)
    }

    /// The mapping that holds the thread's control block, unless that is the heap.
    fn home_of(&self, thread_base: RunAddr) -> Option<(RunAddr, RunAddr)> {
        let region = self.regions.find(thread_base)?;
        let run = self.regions.writable_run(thread_base);
        run.filter(|_| region.kind != RegionKind::Heap)
    }

    /// Adds all that may be the thread's own stack.
    fn add_home(&mut self, thread_base: RunAddr) -> Found {
        let may_be_first = !self.first_is_elsewhere;
        let first = self.regions.of_kind(RegionKind::Stack);
        let first = first.filter(|_| may_be_first);
        let first: Vec<_> = first.map(|region| (region.start, region.end)).collect();
        let home = self.home_of(thread_base);
        let mut homes = first.into_iter().chain(home);
        homes.try_for_each(|(start, end)| self.work.add(start, end))
    }

    fn search(&mut self, start: RunAddr, end: RunAddr, thread_base: RunAddr) -> Found {
        let mut buffer = Vec::new();
        let mut at = start;
        while at < end {
            let len = CHUNK.min(end.0 - at.0);
            buffer.resize(len as usize, 0);
            let read = self.space.read(at, &mut buffer);
            read.map_err(|error| Finding::Unsure(Reason::Unreadable(error)))?;
            for (number, word) in (0..).zip(buffer.as_chunks::<8>().0) {
                let place = at.offset(number * 8);
                let word = u64::from_le_bytes(*word);
                self.look_at_word(word, HitKind::Word { at: place })?;
                self.look_for_signal(place, word, thread_base)?;
            }
            at = RunAddr(at.0 + len);
        }
        Ok(())
    }

    fn look_at_word(&self, word: u64, kind: HitKind) -> Found {
        let address = RunAddr(word);
        if let Some(range) = self.forbidden.at_return(address)
            && (ForbiddenSet::near_entry(range, address) || follows_call(address, self.space))
        {
            return Err(Finding::Hit(hit(range, address, kind)));
        }
        let region = self.regions.find(address);
        if region.is_some_and(|region| region.kind == RegionKind::Uprobes) {
            return Err(Finding::Unsure(Reason::Uprobe { pc: address }));
        }
        Ok(())
    }

    /// If `word` at `place` is the return address of a signal handler, the interrupted code is looked at, and its
    /// stack too.
    fn look_for_signal(&mut self, place: RunAddr, word: u64, thread_base: RunAddr) -> Found {
        let address = RunAddr(word);
        let executable = self
            .regions
            .find(address)
            .is_some_and(|region| region.executable);
        if !executable || !self.unwinder.returns_from_signal(address, self.space) {
            return Ok(());
        }
        let saved = |distance| self.space.read_u64(place.offset(distance)).map(RunAddr);
        let (Ok(pc), Ok(sp)) = (saved(SAVED_RIP), saved(SAVED_RSP)) else {
            return Ok(()); // the word is too near the end of the stack to have a frame above it
        };
        if let Some(range) = self.forbidden.at_pc(pc) {
            return Err(Finding::Hit(hit(range, pc, HitKind::Interrupted)));
        }
        // What is left of an old frame may hold anything; a stack that is not mapped cannot be returned to.
        match self.regions.writable_run(sp) {
            Some(_) if sp.0.is_multiple_of(8) => {
                let red_zone = self.may_use_red_zone(pc);
                self.add_stack(sp, red_zone, thread_base)
            }
            _ => Ok(()),
        }
    }
}

fn hit(range: &ForbiddenRange, pc: RunAddr, kind: HitKind) -> Hit {
    Hit {
        pc,
        label: range.label.clone(),
        kind,
        gap: None,
    }
}
