//! The part of a search within the stop: copying, no judging.

use super::areas::Areas;
use super::needles::Found;
use super::pages::Which;
use super::search::Search;
use super::source::{maps, total};
use super::{AddressRange, Incomplete};
use crate::memory::Registers;
use crate::process::{Mapping, Range, Tid, find_mapping};
use crate::sys::pagescan::PageRun;
use livepatch_bundle::RunAddr;

/// Known words that are read again within the stop.
const MOST_READ_AGAIN: usize = 1024;

/// A stopped thread.
#[derive(Clone, Debug)]
pub struct ThreadState {
    /// Its number.
    pub tid: Tid,
    /// Its general registers.
    pub registers: Registers,
    /// Its extended registers as `PTRACE_GETREGSET` gives them for `NT_X86_XSTATE`; empty when they are not to be
    /// searched, as for a thread that sleeps in a system call made by a C library: the ABI preserves none of them
    /// over a call.
    pub extended: Vec<u8>,
    /// The part of its stack that was unwound and has no frame of the patch: from the stack pointer on, and as far as
    /// the caller likes, since it is cut off at the end of the thread's own stack. A word in it that is the address
    /// after a call in the patch is left over from a finished call. `None` when nothing is known.
    pub walked: Option<AddressRange>,
}

/// What was copied within the stop.
#[derive(Debug)]
pub struct Capture<'s, 'a> {
    pub(super) search: &'s mut Search<'a>,
    pub(super) threads: Vec<ThreadState>,
    /// The pages that were copied, in the order of their bytes in the search's room.
    pub(super) runs: Vec<PageRun>,
    /// What the known words are now; `None` for one that cannot be read any more.
    pub(super) known: Vec<(RunAddr, Option<u64>)>,
    /// Addresses that could not be copied.
    pub(super) unread: Vec<RunAddr>,
    /// The mappings, when some thread's stack is newer than the search.
    pub(super) newer: Option<Vec<Mapping>>,
    /// Why it was given up.
    pub(super) failure: Option<Incomplete>,
}

impl<'a> Search<'a> {
    /// Copies what was written since the last look. All threads must be stopped, and the entries of the functions that
    /// the patch replaced must lead elsewhere.
    pub fn capture<'s>(&'s mut self, threads: Vec<ThreadState>) -> Capture<'s, 'a> {
        let mut capture = Capture {
            search: self,
            threads,
            runs: Vec::new(),
            known: Vec::new(),
            unread: Vec::new(),
            newer: None,
            failure: None,
        };
        capture.failure = capture.fill().err();
        capture
    }
}

impl Capture<'_, '_> {
    fn fill(&mut self) -> Result<(), Incomplete> {
        if !self.search.source.pages.scans() {
            let maps = maps(self.search.source.memory)?;
            self.search.source.areas = Areas::new(maps, &self.search.patch.ranges);
        }
        let is_known = |thread: &ThreadState| {
            find_mapping(
                self.search.source.areas.maps(),
                RunAddr(thread.registers.rsp),
            )
            .is_some()
        };
        if !self.threads.iter().all(is_known) {
            self.newer = Some(maps(self.search.source.memory)?);
        }
        let which = match self.search.has_looked {
            true => self.search.tracking.written(),
            false => Which::Populated,
        };
        self.runs = self.search.source.select(which)?;
        // What could not be read before is tried once more, now that nobody moves it.
        self.runs.append(&mut self.search.unread);
        let (bytes, limit) = (total(&self.runs), self.search.limits.in_stop);
        if bytes > limit {
            return Err(Incomplete::TooMuchInStop { bytes, limit });
        }
        self.copy_runs();
        self.copy_known();
        Ok(())
    }

    fn copy_runs(&mut self) {
        let mut room = self.search.room.as_mut_slice();
        let mut ranges = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            let (bytes, rest) = room.split_at_mut((run.end - run.start) as usize);
            ranges.push(Range::new(RunAddr(run.start), bytes));
            room = rest;
        }
        self.search.source.memory.read_bulk(&mut ranges);
        for range in &mut ranges {
            if !range.is_complete() {
                self.unread.push(range.address.offset(range.filled as i64));
                let filled = range.filled;
                range.buffer[filled..].fill(0);
            }
        }
    }

    /// Reads the known words again, or the first of very many; the others count as they were.
    fn copy_known(&mut self) {
        let known = &self.search.known;
        let known = &known[..known.len().min(MOST_READ_AGAIN)];
        let mut words = vec![[0; 8]; known.len()];
        let mut ranges: Vec<_> = known
            .iter()
            .zip(&mut words)
            .map(|(found, word): (&Found, _)| Range::new(found.at, word))
            .collect();
        self.search.source.memory.read_bulk(&mut ranges);
        let complete: Vec<bool> = ranges.iter().map(Range::is_complete).collect();
        self.known = known
            .iter()
            .zip(words)
            .zip(complete)
            .map(|((found, word), complete)| {
                (found.at, complete.then_some(u64::from_le_bytes(word)))
            })
            .collect();
    }
}
