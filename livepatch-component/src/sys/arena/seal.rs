//! All or nothing: the arena is write-protected, and what comes of it is kept or dropped as a whole.
//!
//! [`Arena::seal`] write-protects all that is there. What is allocated from then on lies in other chunks, and what is freed of the
//! sealed is only noted down. Then either [`Arena::keep`] goes on with both, [`Arena::replace`] drops all that was sealed, or
//! [`Arena::undo`] drops all that came since: no block needs to be looked at for that, and no memory is given back yet.
//!
//! Protection keys would do this in less time, but they bind the thread that sets them: a thread that RESTART starts would never be
//! able to write, nor would a signal handler of a module.

use super::Arena;
use super::layout::CHUNK;
use super::pages::protect;
use super::state::{Chunk, Lists, State};
use std::io;

/// Bytes up to which [`Arena::rehearse`] is worth its time, also where there are no huge pages.
const REHEARSED_MAX: usize = 64 * CHUNK;

impl Arena {
    /// Does once what [`Self::seal`] and [`Self::keep`] ask of the system. They take a third of the time when the kernel has what it
    /// needs for that in the processor's caches.
    pub(crate) fn rehearse(&self) {
        let state = self.state();
        let ranges: Vec<_> = state
            .ranges(Chunk::Used)
            .iter()
            .map(|range| self.range(range))
            .collect();
        if ranges.iter().map(ExactSizeIterator::len).sum::<usize>() > REHEARSED_MAX {
            return;
        }
        for access in [libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE] {
            for range in &ranges {
                // As in `unseal`; `seal` tells whether it can be protected.
                let _ = protect(range, access);
            }
        }
    }

    /// Write-protects everything, until one of the three ways to go on is taken.
    ///
    /// # Errors
    /// When the system refuses; then nothing is sealed.
    pub(crate) fn seal(&self) -> io::Result<()> {
        let mut state = self.state();
        let ranges = state.ranges(Chunk::Used);
        for range in &ranges {
            if let Err(error) = protect(&self.range(range), libc::PROT_READ) {
                for range in &ranges {
                    let _ = protect(&self.range(range), libc::PROT_READ | libc::PROT_WRITE);
                }
                return Err(error);
            }
        }
        state.turn(Chunk::Used, Chunk::Sealed);
        let mut lists = std::mem::take(&mut state.more);
        lists.push(std::mem::take(&mut state.free));
        state.sealed = Some((lists, Vec::new()));
        state.used_at_seal = state.used;
        Ok(())
    }

    fn unseal(&self, state: &mut State) -> Option<(Vec<Lists>, Vec<usize>)> {
        let sealed = state.sealed.take()?;
        for range in state.ranges(Chunk::Sealed) {
            // What was writable before can be made so again; where not, the next write tells.
            let _ = protect(&self.range(&range), libc::PROT_READ | libc::PROT_WRITE);
        }
        state.turn(Chunk::Sealed, Chunk::Used);
        Some(sealed)
    }

    /// Goes on with what was sealed and what came since.
    pub(crate) fn keep(&self) {
        let mut state = self.state();
        let Some((lists, freed)) = self.unseal(&mut state) else {
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
        if let Some((lists, _)) = self.unseal(&mut state) {
            state.more = lists;
        }
        state.free = Lists::default();
        state.used = state.used_at_seal;
        came
    }

    /// Drops all that was sealed; returns chunks whose memory [`Self::give_back`] takes later.
    #[must_use = "their memory is to be given back"]
    pub(crate) fn replace(&self) -> Vec<usize> {
        let mut state = self.state();
        state.sealed = None;
        state.used -= state.used_at_seal.min(state.used);
        state.forget(Chunk::Sealed)
    }
}
