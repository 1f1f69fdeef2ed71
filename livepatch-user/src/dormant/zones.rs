//! Which parts of the memory belong to stacks that threads run on, or ran on.

use crate::memory::Memory;
use crate::process::{Mapping, find_mapping};
use crate::retire::{CONTROL_BLOCK, RED_ZONE, is_guarded};
use livepatch_bundle::RunAddr;
use std::collections::HashMap;

/// `tcbhead_t::self` of glibc; `tcbhead_t::tcb`, at 0, has the same value.
const SELF: i64 = 16;
/// Control blocks are aligned so.
const ALIGNMENT: usize = 16;

/// Where a thread stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Its stack pointer.
    pub(crate) stack: RunAddr,
    /// Where its outermost frame begins, if that is known.
    pub(crate) top: Option<RunAddr>,
    /// Its `fs_base`.
    pub(crate) thread_pointer: RunAddr,
}

/// What a mapping is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A thread's stack and nothing else, and some thread runs on it, as far as is known.
    InUse,
    /// The stack of a thread that has ended, which the C library keeps for the next one.
    Kept,
    /// Anything else; also the stack of a thread that runs on another one now.
    Other,
}

/// The stacks that threads run on, as far as they are known.
pub(super) struct Zones<'a> {
    maps: &'a [Mapping],
    /// `None`: nothing is known of the threads.
    threads: Option<&'a [Position]>,
    memory: &'a dyn Memory,
    /// By the start of the mapping.
    kinds: HashMap<u64, Kind>,
}

impl<'a> Zones<'a> {
    pub(super) fn new(
        maps: &'a [Mapping],
        threads: Option<&'a [Position]>,
        memory: &'a dyn Memory,
    ) -> Self {
        Self {
            maps,
            threads,
            memory,
            kinds: HashMap::new(),
        }
    }

    /// Whether a frame at this address could be of a stack that no thread runs on. Where a thread runs, the stack check has
    /// looked at its frames, and what lies below is left over.
    pub(super) fn may_be_dormant(&mut self, address: RunAddr) -> bool {
        let other = self
            .mapping(address)
            .is_none_or(|(_, kind)| kind == Kind::Other);
        other && !self.is_in_frames(address)
    }

    /// Whether what lies at the address is left over from finished calls of a thread, and says nothing.
    pub(super) fn is_left_over(&mut self, address: RunAddr) -> bool {
        let Some((mapping, kind)) = self.mapping(address) else {
            return false;
        };
        let threads = self.threads.into_iter().flatten();
        let mut here = threads
            .filter(|thread| mapping.contains(thread.stack))
            .peekable();
        match kind {
            Kind::Kept => true,
            Kind::Other => false,
            Kind::InUse if here.peek().is_none() => false,
            Kind::InUse => here.all(|thread| address < thread.stack.offset(-RED_ZONE)),
        }
    }

    fn mapping(&mut self, address: RunAddr) -> Option<(&'a Mapping, Kind)> {
        let mapping = find_mapping(self.maps, address)?;
        if let Some(kind) = self.kinds.get(&mapping.start.0) {
            return Some((mapping, *kind));
        }
        let kind = self.kind(mapping);
        self.kinds.insert(mapping.start.0, kind);
        Some((mapping, kind))
    }

    /// Whether a thread's frames that were unwound lie around the address.
    fn is_in_frames(&self, address: RunAddr) -> bool {
        let mut threads = self.threads.into_iter().flatten();
        threads.any(|thread| {
            let start = thread.stack.offset(-RED_ZONE);
            start <= address && thread.top.is_some_and(|top| address < top)
        })
    }

    fn kind(&self, mapping: &Mapping) -> Kind {
        let main = mapping.is_named("[stack]");
        let block = self.control_block(mapping);
        if !main && block.is_none() {
            return Kind::Other;
        }
        let Some(threads) = self.threads else {
            return Kind::InUse;
        };
        let runs_here = threads.iter().any(|one| mapping.contains(one.stack));
        let lives = threads
            .iter()
            .any(|one| block.is_some_and(|block| block == one.thread_pointer));
        match (runs_here, main || lives) {
            (true, _) => Kind::InUse,
            (false, true) => Kind::Other,
            (false, false) => Kind::Kept,
        }
    }

    /// The control block at the end of a mapping that a C library made for a thread: its stack is below, and a guard below that.
    fn control_block(&self, mapping: &Mapping) -> Option<RunAddr> {
        let private = mapping.write && !mapping.shared && mapping.inode == 0;
        if !private || !is_guarded(self.maps, mapping) {
            return None;
        }
        let lowest = RunAddr(
            mapping
                .start
                .0
                .max(mapping.end.0 - CONTROL_BLOCK.min(mapping.end.0)),
        );
        let mut known = self.threads.into_iter().flatten();
        let told =
            known.find(|one| lowest <= one.thread_pointer && mapping.contains(one.thread_pointer));
        told.map(|one| one.thread_pointer)
            .or_else(|| self.points_to_itself(lowest, mapping.end))
    }

    fn points_to_itself(&self, start: RunAddr, end: RunAddr) -> Option<RunAddr> {
        let bytes = self
            .memory
            .read_vec(start, (end.0 - start.0) as usize)
            .ok()?;
        let word = |at: usize| {
            let word = bytes.get(at..)?.first_chunk()?;
            Some(u64::from_le_bytes(*word))
        };
        let is_block = |at: &usize| {
            let address = start.0 + *at as u64;
            word(*at) == Some(address) && word(*at + SELF as usize) == Some(address)
        };
        let mut places = (0..bytes.len()).step_by(ALIGNMENT);
        let at = places.find(is_block)?;
        Some(RunAddr(start.0 + at as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Unreadable;
    use crate::process::parse_maps;

    const TEXT: &[u8] = b"\
00100000-00200000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000001000 ---p 00000000 00:00 0 
7f0000001000-7f0000011000 rw-p 00000000 00:00 0 
7f0000011000-7f0000012000 ---p 00000000 00:00 0 
7f0000012000-7f0000022000 rw-p 00000000 00:00 0 
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
";
    const FIRST: u64 = 0x7f00_0001_0700;
    const SECOND: u64 = 0x7f00_0002_1700;

    /// Control blocks of glibc at these addresses, and zeroes.
    struct Blocks(&'static [u64]);

    impl Memory for Blocks {
        fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
            buffer.fill(0);
            for &block in self.0 {
                for at in [block, block + 16] {
                    let offset = at.wrapping_sub(address.0) as usize;
                    if let Some(word) = buffer.get_mut(offset..).and_then(|rest| rest.get_mut(..8))
                    {
                        word.copy_from_slice(&block.to_le_bytes());
                    }
                }
            }
            Ok(())
        }
    }

    fn position(stack: u64, top: Option<u64>, thread_pointer: u64) -> Position {
        Position {
            stack: RunAddr(stack),
            top: top.map(RunAddr),
            thread_pointer: RunAddr(thread_pointer),
        }
    }

    /// Whether each address may be of a dormant stack.
    fn judge(threads: Option<&[Position]>, addresses: &[u64]) -> Vec<bool> {
        let maps = parse_maps(TEXT).expect("well-formed");
        let memory = Blocks(&[FIRST, SECOND]);
        let mut zones = Zones::new(&maps, threads, &memory);
        let judged = addresses
            .iter()
            .map(|&at| zones.may_be_dormant(RunAddr(at)));
        judged.collect()
    }

    #[test]
    fn stacks_that_threads_run_on_or_have_left_for_good() {
        let threads = [position(0x7f00_0000_8000, None, FIRST)];
        let addresses = [0x7f00_0000_4000, 0x7f00_0000_9000, 0x7f00_0001_5000];
        assert_eq!(judge(Some(&threads), &addresses), [false; 3]);
        assert_eq!(judge(None, &addresses), [false; 3], "as far as is known");
    }

    #[test]
    fn the_stack_of_a_thread_that_runs_elsewhere() {
        let threads = [position(0x15_0000, Some(0x16_0000), FIRST)];
        let own = [0x7f00_0000_4000, 0x7f00_0001_0000];
        assert_eq!(judge(Some(&threads), &own), [true; 2]);
        let main = [0x7ffc_0001_0000];
        assert_eq!(judge(Some(&threads), &main), [true], "nobody is on it");
        let heap = [0x14_0000, 0x15_0008, 0x15_fff8, 0x16_0000];
        let expected = [true, false, false, true];
        assert_eq!(
            judge(Some(&threads), &heap),
            expected,
            "its frames were unwound"
        );
    }

    #[test]
    fn what_is_below_a_stack_pointer_is_left_over() {
        let maps = parse_maps(TEXT).expect("well-formed");
        let memory = Blocks(&[FIRST, SECOND]);
        let threads = [position(0x7f00_0000_8000, None, FIRST)];
        let mut zones = Zones::new(&maps, Some(&threads), &memory);
        let mut left_over = |at| zones.is_left_over(RunAddr(at));
        assert!(left_over(0x7f00_0000_7000) && left_over(0x7f00_0001_5000));
        assert!(!left_over(0x7f00_0000_7fc0), "the red zone");
        assert!(!left_over(0x7f00_0000_8010) && !left_over(0x15_0000));
    }
}
