//! Judging all threads of a stop with as few reads as possible.

use super::check::{StackCheck, hit_at};
use super::region::{AddressSpace, Regions};
use super::registers::RegisterFile;
use super::site::PcHasher;
use super::snapshot::StackSnapshot;
use super::verdict::{Glimpse, Verdict};
use super::walk::WalkEnd;
use crate::memory::Registers;
use livepatch_bundle::RunAddr;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;

/// Bytes of each stack read at once, from the red zone up; what lies beyond is read on demand.
const WINDOW: u64 = 8 << 10;
/// Stacks read at once: their tops stay in the processor's cache until they are walked.
const BATCH: usize = 32;
/// The most that is read at once because a rehearsal read it.
const DEEPEST: u64 = 64 << 10;
const RED_ZONE: u64 = 128;
const PAGE: u64 = 4096;

/// Buffers that are kept from one stop to the next, so that the stop allocates nothing.
#[derive(Default)]
pub(super) struct Bulk {
    bytes: Vec<u8>,
    /// Mappings as last seen; only to know where a stack ends.
    regions: Regions,
    /// Bytes in use above each stack pointer, where a rehearsal got to the end.
    depths: HashMap<u64, u64, BuildHasherDefault<PcHasher>>,
}

impl StackCheck {
    /// Judges all threads of a stop; `threads` is any name of each and its registers.
    ///
    /// The tops of many stacks are read in one go.
    pub fn judge_many<T: Copy>(
        &mut self,
        threads: &[(T, Registers)],
        space: &dyn AddressSpace,
    ) -> Vec<(T, Verdict)> {
        self.begin(space);
        self.stack_pointers
            .extend(threads.iter().map(|(_, registers)| RunAddr(registers.rsp)));
        let mut bulk = std::mem::take(&mut self.bulk);
        let mut verdicts = Vec::with_capacity(threads.len());
        for batch in threads.chunks(BATCH) {
            let tops = batch.iter().map(|(_, registers)| RunAddr(registers.rsp));
            let windows = bulk.read(tops, space);
            for ((thread, registers), window) in batch.iter().zip(windows) {
                let mut stack = window.over(&bulk.bytes, space);
                verdicts.push((*thread, self.judge(registers, &mut stack, space)));
                self.tops.push(self.top);
            }
        }
        self.bulk = bulk;
        verdicts
    }

    /// Walks sleeping threads, of which only instruction and stack pointer are known, while the target runs, so that
    /// their rows are known in the stop. What it reads may change meanwhile, which does not matter.
    ///
    /// Where a frame needs a register that only the thread knows, every word up the stack that looks like a return
    /// address is prepared instead.
    pub fn rehearse(&mut self, threads: &[(RunAddr, RunAddr)], space: &dyn AddressSpace) {
        let mut bulk = std::mem::take(&mut self.bulk);
        if let Ok(regions) = space.regions() {
            bulk.regions = Regions::new(regions);
        }
        bulk.depths.clear();
        for batch in threads.chunks(BATCH) {
            let windows = bulk.read(batch.iter().map(|(_, sp)| *sp), space);
            for ((pc, sp), window) in batch.iter().zip(windows) {
                let mut stack = window.over(&bulk.bytes, space);
                match self.rehearse_walk(*pc, *sp, &mut stack) {
                    Some(top) => bulk.remember(*sp, top),
                    None => self.prepare_words(window.bytes(&bulk.bytes), space),
                }
            }
        }
        self.bulk = bulk;
    }

    /// What can be seen of sleeping threads, of which only instruction and stack pointer are known, while the target runs. They may wake
    /// meanwhile: it is no more than what to expect.
    pub fn glimpse(
        &mut self,
        threads: &[(RunAddr, RunAddr)],
        space: &dyn AddressSpace,
    ) -> Vec<Glimpse> {
        let mut bulk = std::mem::take(&mut self.bulk);
        if let Ok(regions) = space.regions() {
            bulk.regions = Regions::new(regions);
        }
        let mut seen = Vec::new();
        for batch in threads.chunks(BATCH) {
            let windows = bulk.read(batch.iter().map(|(_, sp)| *sp), space);
            for ((pc, sp), window) in batch.iter().zip(windows) {
                let mut stack = window.over(&bulk.bytes, space);
                seen.push(self.glimpse_one(*pc, *sp, &mut stack));
            }
        }
        self.bulk = bulk;
        seen
    }

    fn glimpse_one(&mut self, pc: RunAddr, sp: RunAddr, stack: &mut StackSnapshot<'_>) -> Glimpse {
        let mut inside = None;
        let forbidden = &self.forbidden;
        let start = RegisterFile::partial(pc, sp);
        let end = self.unwinder.walk(start, stack, |pc| {
            inside = hit_at(forbidden, pc).map(str::to_owned);
            match inside {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        match (inside, end) {
            (Some(label), _) => Glimpse::Inside(label),
            (None, WalkEnd::Complete { .. }) => Glimpse::Outside,
            (None, WalkEnd::Stopped | WalkEnd::Gap(_)) => Glimpse::Unseen,
        }
    }

    /// The outermost frame's stack pointer, if the walk got there.
    fn rehearse_walk(
        &mut self,
        pc: RunAddr,
        sp: RunAddr,
        stack: &mut StackSnapshot<'_>,
    ) -> Option<RunAddr> {
        let start = RegisterFile::partial(pc, sp);
        match self
            .unwinder
            .walk(start, stack, |_| ControlFlow::Continue(()))
        {
            WalkEnd::Complete { top, .. } => top,
            WalkEnd::Stopped | WalkEnd::Gap(_) => None,
        }
    }

    fn prepare_words(&mut self, stack: &[u8], space: &dyn AddressSpace) {
        for word in stack.as_chunks::<8>().0 {
            let address = RunAddr(u64::from_le_bytes(*word));
            if self.unwinder.is_code(address) {
                self.unwinder.prepare_pc(address, false, space);
            }
        }
    }
}

/// Part of the bulk buffer that holds the top of one stack.
#[derive(Clone, Copy)]
struct Window {
    start: RunAddr,
    offset: usize,
    len: usize,
}

impl Window {
    fn bytes(self, bulk: &[u8]) -> &[u8] {
        &bulk[self.offset..self.offset + self.len]
    }

    fn over<'a>(self, bulk: &'a [u8], space: &'a dyn AddressSpace) -> StackSnapshot<'a> {
        StackSnapshot::new(self.start, self.bytes(bulk), space)
    }
}

impl Bulk {
    /// Reads the top of each stack. If anything cannot be read, all windows are empty: the walk then reads on demand.
    fn read(
        &mut self,
        stack_pointers: impl Iterator<Item = RunAddr>,
        space: &dyn AddressSpace,
    ) -> Vec<Window> {
        let mut total = 0;
        let mut windows: Vec<Window> = stack_pointers
            .map(|sp| {
                let (start, len) = self.extent(sp);
                let offset = total;
                total += len;
                Window { start, offset, len }
            })
            .collect();
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        let mut rest = &mut self.bytes[..total];
        let mut requests = Vec::with_capacity(windows.len());
        for window in windows.iter().filter(|window| window.len > 0) {
            let (bytes, more) = rest.split_at_mut(window.len);
            requests.push((window.start, bytes));
            rest = more;
        }
        if space.read_bulk(&mut requests).is_err() {
            windows.iter_mut().for_each(|window| window.len = 0);
        }
        windows
    }

    /// A stack whose outermost frame is at `top`: nothing beyond needs to be read if the thread sleeps on.
    fn remember(&mut self, sp: RunAddr, top: RunAddr) {
        let depth = top.0.wrapping_sub(sp.0);
        if depth <= DEEPEST {
            self.depths.insert(sp.0, depth);
        }
    }

    /// Where to read around `sp`: as far as the rehearsal went; to the end of the mapping at most, of the page if the mapping is not known.
    fn extent(&self, sp: RunAddr) -> (RunAddr, usize) {
        let (low, high) = match self.regions.find(sp) {
            Some(region) => (region.start.0, region.end.0),
            None => (sp.0 & !(PAGE - 1), (sp.0 | (PAGE - 1)).saturating_add(1)),
        };
        let start = (sp.0.saturating_sub(RED_ZONE) & !7).max(low);
        let end = match self.depths.get(&sp.0) {
            Some(depth) => sp.0.saturating_add(*depth),
            None => start.saturating_add(WINDOW),
        };
        let end = end.min(high);
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        (RunAddr(start), len)
    }
}
