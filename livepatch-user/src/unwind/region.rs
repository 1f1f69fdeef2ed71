//! What the stack check needs to know about the target's memory, and how it reads it.

use crate::memory::{Memory, Unreadable};
use livepatch_bundle::RunAddr;
use thiserror::Error;

/// What a mapping is, as far as stacks are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// `[stack]`: the first thread's stack.
    Stack,
    /// `[heap]`: memory behind `brk`; never the stack a thread was started on.
    Heap,
    /// `[uprobes]`: return addresses into it hide the real one, which only the kernel knows.
    Uprobes,
    /// Anything else.
    Other,
}

impl RegionKind {
    /// The kind of the mapping that `/proc/PID/maps` shows with `name`.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        match name {
            "[stack]" => Self::Stack,
            "[heap]" => Self::Heap,
            "[uprobes]" => Self::Uprobes,
            _ => Self::Other,
        }
    }
}

/// One line of `/proc/PID/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: RunAddr,
    /// First byte behind.
    pub end: RunAddr,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
    /// What it is.
    pub kind: RegionKind,
}

/// The mappings of the target could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot list the mappings: {reason}")]
pub struct NoRegions {
    /// What the reader says.
    pub reason: String,
}

/// The address space of a target whose threads are judged.
pub trait AddressSpace: Memory {
    /// All mappings as they are now, in ascending order. Asked for only when a stack has to be scanned.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn regions(&self) -> Result<Vec<Region>, NoRegions>;

    /// Fills all buffers, with as few system calls as possible.
    ///
    /// # Errors
    /// When any byte cannot be read; what the buffers hold then is unspecified.
    fn read_bulk(&self, requests: &mut [(RunAddr, &mut [u8])]) -> Result<(), Unreadable> {
        requests
            .iter_mut()
            .try_for_each(|(address, buffer)| self.read(*address, buffer))
    }
}

/// Mappings by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regions(Vec<Region>);

impl Regions {
    pub(crate) fn new(mut regions: Vec<Region>) -> Self {
        regions.sort_by_key(|region| region.start);
        Self(regions)
    }

    fn index_of(&self, address: RunAddr) -> Option<usize> {
        let after = self.0.partition_point(|region| region.start <= address);
        let index = after.checked_sub(1)?;
        (address < self.0[index].end).then_some(index)
    }

    pub(crate) fn find(&self, address: RunAddr) -> Option<&Region> {
        self.index_of(address).map(|index| &self.0[index])
    }

    pub(crate) fn of_kind(&self, kind: RegionKind) -> impl Iterator<Item = &Region> {
        self.0.iter().filter(move |region| region.kind == kind)
    }

    /// The first mapping's start and the last one's end of the run of abutting writable mappings around `address`:
    /// `mlock`, `mprotect` and `madvise` split one stack into several.
    pub(crate) fn writable_run(&self, address: RunAddr) -> Option<(RunAddr, RunAddr)> {
        let index = self.index_of(address)?;
        let usable = |region: &Region| region.readable && region.writable;
        if !usable(&self.0[index]) {
            return None;
        }
        let mut first = index;
        while first > 0
            && usable(&self.0[first - 1])
            && self.0[first - 1].end == self.0[first].start
        {
            first -= 1;
        }
        let mut last = index;
        while let Some(next) = self.0.get(last + 1)
            && usable(next)
            && next.start == self.0[last].end
        {
            last += 1;
        }
        Some((self.0[first].start, self.0[last].end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: u64, end: u64, writable: bool) -> Region {
        Region {
            start: RunAddr(start),
            end: RunAddr(end),
            readable: true,
            writable,
            executable: false,
            kind: RegionKind::Other,
        }
    }

    #[test]
    fn a_split_stack_is_one_run() {
        let regions = Regions::new(vec![
            region(0x3000, 0x4000, true),
            region(0x1000, 0x2000, true),
            region(0x2000, 0x3000, true),
            region(0x4000, 0x5000, false),
            region(0x6000, 0x7000, true),
        ]);
        let run = Some((RunAddr(0x1000), RunAddr(0x4000)));
        assert_eq!(regions.writable_run(RunAddr(0x2800)), run);
        assert_eq!(regions.writable_run(RunAddr(0x4800)), None);
        assert_eq!(regions.writable_run(RunAddr(0x5800)), None);
        assert_eq!(
            regions.find(RunAddr(0x6fff)).map(|r| r.start),
            Some(RunAddr(0x6000))
        );
        assert_eq!(regions.find(RunAddr(0x7000)), None);
    }
}
