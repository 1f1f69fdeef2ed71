//! What the arena asks of the system: memory for chunks, and back.
//!
//! Chunks that are not in use yet are kept in mappings of their own (they are left out of core dumps, where there is nothing to see
//! in them). So those in use are whole mappings, and to protect them the kernel splits none, which takes half of the time.

use super::Arena;
use super::layout::CHUNK;
use super::state::{Chunk, State};
use std::io;
use std::ops::Range;
use std::ptr;

/// The system's answer to a request about memory.
fn checked(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Changes how pages may be used.
pub(super) fn protect(range: &Range<usize>, access: libc::c_int) -> io::Result<()> {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: the range is within the reservation, of which nobody holds a Rust reference; modules are not running meanwhile, or
    // do not use these chunks.
    checked(unsafe { libc::mprotect(start, range.len(), access) })
}

fn advise(range: &Range<usize>, advice: libc::c_int) -> io::Result<()> {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: as in `protect`.
    checked(unsafe { libc::madvise(start, range.len(), advice) })
}

impl Arena {
    /// The addresses of some chunks.
    pub(super) fn range(&self, chunks: &Range<usize>) -> Range<usize> {
        self.base + chunks.start * CHUNK..self.base + chunks.end * CHUNK
    }

    /// Makes sure that this many chunks are ready to be used, with all their pages there, until [`Self::relax`]; takes time.
    ///
    /// # Errors
    /// When there is no more memory.
    pub(crate) fn prepare(&self, count: usize) -> io::Result<()> {
        self.state().wanted = count;
        loop {
            let index = {
                let mut state = self.state();
                let spare = state.chunks.iter().filter(|chunk| **chunk == Chunk::Spare);
                if spare.count() >= count {
                    return Ok(());
                }
                let index = state.absent().ok_or(io::ErrorKind::OutOfMemory)?;
                state.chunks[index] = Chunk::Moving;
                index
            };
            let ready = self.commit(index, true);
            let mut state = self.state();
            state.apart[index] = true;
            state.chunks[index] = match ready {
                Ok(()) => Chunk::Spare,
                Err(_) => Chunk::Absent,
            };
            ready?;
        }
    }

    /// Gives a chunk memory.
    pub(super) fn commit(&self, index: usize, populate: bool) -> io::Result<()> {
        let range = self.range(&(index..index + 1));
        protect(&range, libc::PROT_READ | libc::PROT_WRITE)?;
        // Without huge pages, and in one mapping with others, it works as well, only slower.
        let _ = advise(&range, libc::MADV_HUGEPAGE);
        let _ = advise(&range, libc::MADV_DONTDUMP);
        if populate {
            // Before Linux 5.14 pages come when they are touched.
            let _ = advise(&range, libc::MADV_POPULATE_WRITE);
        }
        Ok(())
    }

    /// Makes chunks that have come into use one mapping with the others.
    pub(super) fn join(&self, state: &mut State) {
        let is_new =
            |state: &State, index| state.apart[index] && state.chunks[index] == Chunk::Used;
        for index in 0..state.chunks.len() {
            if is_new(state, index) {
                let _ = advise(&self.range(&(index..index + 1)), libc::MADV_DODUMP);
                state.apart[index] = false;
            }
        }
    }

    /// Takes the memory of chunks back; what lay there is gone.
    fn release(&self, chunks: &[usize]) {
        for &index in chunks {
            let range = self.range(&(index..index + 1));
            let _ = advise(&range, libc::MADV_DONTNEED);
            let _ = protect(&range, libc::PROT_NONE);
        }
        let mut state = self.state();
        for &index in chunks {
            state.chunks[index] = Chunk::Absent;
        }
    }

    /// Takes the memory of chunks that [`Self::replace`] or [`Self::undo`] returned; takes time.
    pub(crate) fn give_back(&self, chunks: &[usize]) {
        self.release(chunks);
    }

    /// Nobody counts any more on what was prepared.
    pub(crate) fn relax(&self) {
        self.state().wanted = 0;
    }

    /// Gives spare chunks back, unless somebody counts on them, and has the others ready for the next sealing.
    pub(crate) fn trim(&self) {
        let mut state = self.state();
        if state.sealed.is_none() {
            self.join(&mut state);
        }
        if state.wanted > 0 {
            return;
        }
        let spare = state.forget(Chunk::Spare);
        drop(state);
        self.release(&spare);
    }
}
