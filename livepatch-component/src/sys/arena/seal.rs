//! All or nothing: the arena is write-protected, and what comes of it is kept or dropped as a whole.
//!
//! [`Arena::seal`] write-protects all that is there. What is allocated from then on lies in other chunks, and what is freed of the
//! sealed is only noted down. Then either [`Arena::keep`] goes on with both, [`Arena::replace`] drops all that was sealed, or
//! [`Arena::undo`] drops all that came since: no block needs to be looked at for that, and no memory is given back yet.
//!
//! Anonymous memory is protected by mprotect(2), that of files by exchanging views (`zones`).
//!
//! Protection keys would do this in less time, but they bind the thread that sets them: a thread that RESTART starts would never be
//! able to write, nor would a signal handler of a module.

use super::Arena;
use super::layout::CHUNK;
use super::pages;
use super::state::{Chunk, Lists, Sealing, State};
use std::io;
use std::ops::Range;

/// Bytes up to which [`Arena::rehearse`] is worth its time where there are no huge pages, and each page's entry is changed.
const REHEARSED_MAX: usize = 64 * CHUNK;

impl Arena {
    /// Does once what [`Self::seal`] and [`Self::keep`] ask of the system. They take a third of the time when the kernel has what it
    /// needs for that in the processor's caches.
    pub(crate) fn rehearse(&self) {
        let state = self.state();
        let ranges = state.to_protect();
        let length: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        if !state.is_zoned && length * CHUNK > REHEARSED_MAX {
            return;
        }
        // `seal` tells whether it can be protected.
        if self.protect(&ranges).is_ok() {
            self.unprotect(&ranges);
        }
    }

    /// Has these chunks read-only.
    fn protect(&self, ranges: &[Range<usize>]) -> io::Result<()> {
        let ranges: Vec<_> = ranges.iter().map(|range| self.range(range)).collect();
        if let Some(zones) = &*self.zones() {
            return zones.protect(&ranges);
        }
        let done = ranges
            .iter()
            .try_for_each(|range| pages::protect(range, libc::PROT_READ));
        done.inspect_err(|_| make_writable(&ranges))
    }

    /// What was writable before can be made so again; where not, the next write tells.
    fn unprotect(&self, ranges: &[Range<usize>]) {
        let ranges: Vec<_> = ranges.iter().map(|range| self.range(range)).collect();
        match &*self.zones() {
            Some(zones) => drop(zones.unprotect(&ranges)),
            None => make_writable(&ranges),
        }
    }

    /// Write-protects everything, until one of the three ways to go on is taken.
    ///
    /// # Errors
    /// When the system refuses; then nothing is sealed.
    pub(crate) fn seal(&self) -> io::Result<()> {
        let mut state = self.state();
        let ranges = state.to_protect();
        self.protect(&ranges)?;
        state.close(&ranges);
        let mut lists = std::mem::take(&mut state.more);
        lists.push(std::mem::take(&mut state.free));
        state.sealed = Some(Sealing {
            lists,
            freed: Vec::new(),
            ranges,
        });
        state.used_at_seal = state.used;
        Ok(())
    }

    fn unseal(&self, state: &mut State) -> Option<Sealing> {
        let sealed = state.sealed.take()?;
        self.unprotect(&sealed.ranges);
        state.turn(Chunk::Sealed, Chunk::Used);
        state.turn(Chunk::Closed, Chunk::Absent);
        Some(sealed)
    }

    /// Goes on with what was sealed and what came since.
    pub(crate) fn keep(&self) {
        let mut state = self.state();
        let Some(Sealing { lists, freed, .. }) = self.unseal(&mut state) else {
            return;
        };
        state.more.extend(lists);
        drop(state);
        for address in freed {
            self.free(address);
        }
    }

    /// Drops all that came since the sealing; what was freed of the sealed is there as before. Returns chunks whose memory
    /// [`Self::give_back`] takes later.
    #[must_use = "their memory is to be given back"]
    pub(crate) fn undo(&self) -> Vec<usize> {
        let mut state = self.state();
        let came = state.forget(Chunk::Used);
        if let Some(sealed) = self.unseal(&mut state) {
            state.more = sealed.lists;
        }
        state.free = Lists::default();
        state.used = state.used_at_seal;
        came
    }

    /// Drops all that was sealed; returns chunks whose memory [`Self::give_back`] takes later.
    #[must_use = "their memory is to be given back"]
    pub(crate) fn replace(&self) -> Vec<usize> {
        let mut state = self.state();
        if let Some(sealed) = state.sealed.take().filter(|_| state.is_zoned) {
            self.unprotect(&sealed.ranges);
            state.turn(Chunk::Closed, Chunk::Absent);
        }
        state.used -= state.used_at_seal.min(state.used);
        state.forget(Chunk::Sealed)
    }
}

fn make_writable(ranges: &[Range<usize>]) {
    for range in ranges {
        let _ = pages::protect(range, libc::PROT_READ | libc::PROT_WRITE);
    }
}
