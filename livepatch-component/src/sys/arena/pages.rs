//! What the arena asks of the system: memory for chunks, and back.
//!
//! Where it is anonymous, chunks that are not in use yet are kept in mappings of their own (they are left out of core dumps, where there is
//! nothing to see in them). So those in use are whole mappings, and to protect them the kernel splits none, which takes half of the time.

use super::Arena;
use super::layout::CHUNK;
use super::state::{Chunk, State};
use super::zones::Zones;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

/// The system's answer to a request about memory.
pub(super) fn checked(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Maps so many bytes, of a file from an offset or of nothing; returns where.
pub(super) fn map(
    at: Option<usize>,
    length: usize,
    access: libc::c_int,
    flags: libc::c_int,
    file: Option<(&File, usize)>,
) -> io::Result<usize> {
    let start = ptr::without_provenance_mut(at.unwrap_or(0));
    let (descriptor, offset) = match file {
        Some((file, offset)) => (file.as_raw_fd(), offset),
        None => (-1, 0),
    };
    let nothing = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let flags = flags | if file.is_none() { nothing } else { 0 };
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: at an address of the kernel's choice, or within the arena's reservation, of which nobody holds a Rust reference: whoever
    // replaces what modules use puts the same bytes there.
    let start = unsafe { libc::mmap(start, length, access, flags, descriptor, offset) };
    match start {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        start => Ok(start.addr()),
    }
}

/// Keeps addresses, without memory; what lay there is gone.
pub(super) fn reserve(range: &Range<usize>) -> io::Result<()> {
    let at = Some(range.start);
    map(at, range.len(), libc::PROT_NONE, libc::MAP_FIXED, None).map(drop)
}

/// Changes how pages may be used.
pub(super) fn protect(range: &Range<usize>, access: libc::c_int) -> io::Result<()> {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: the range is within the reservation, of which nobody holds a Rust reference; modules are not running meanwhile, or
    // do not use these chunks.
    checked(unsafe { libc::mprotect(start, range.len(), access) })
}

pub(super) fn advise(range: &Range<usize>, advice: libc::c_int) -> io::Result<()> {
    let start = ptr::without_provenance_mut(range.start);
    // SAFETY: as in `protect`.
    checked(unsafe { libc::madvise(start, range.len(), advice) })
}

fn commit_anonymous(range: &Range<usize>) -> io::Result<()> {
    protect(range, libc::PROT_READ | libc::PROT_WRITE)?;
    // Without huge pages, and in one mapping with others, it works as well, only slower.
    let _ = advise(range, libc::MADV_HUGEPAGE);
    let _ = advise(range, libc::MADV_DONTDUMP);
    Ok(())
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
                    break;
                }
                let index = state.absent().ok_or(io::ErrorKind::OutOfMemory)?;
                state.chunks[index] = Chunk::Moving;
                index
            };
            let ready = self.commit(index, true);
            let mut state = self.state();
            state.apart[index] = !state.is_zoned;
            state.chunks[index] = match ready {
                Ok(()) => Chunk::Spare,
                Err(_) => Chunk::Absent,
            };
            ready?;
        }
        self.populate_twins();
        Ok(())
    }

    /// Has the read-only views ready, where data is protected by them: else RESTART would take page faults.
    fn populate_twins(&self) {
        let twins = self.zones().as_ref().map(Zones::twins);
        for twin in twins.unwrap_or_default() {
            // Before Linux 5.14 pages come when they are touched.
            let _ = advise(&twin, libc::MADV_POPULATE_READ);
        }
    }

    /// Gives a chunk memory.
    pub(super) fn commit(&self, index: usize, populate: bool) -> io::Result<()> {
        let range = self.range(&(index..index + 1));
        match &mut *self.zones() {
            Some(zones) => zones.ready(index)?,
            None => commit_anonymous(&range)?,
        }
        if populate {
            // As above.
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
        let is_shared = self.zones().is_some();
        for &index in chunks {
            let range = self.range(&(index..index + 1));
            // What is not taken back now is used again as it is.
            let _ = match is_shared {
                true => advise(&range, libc::MADV_REMOVE),
                false => reserve(&range),
            };
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
            if let Some(zones) = &*self.zones() {
                zones.tidy();
            }
        }
        if state.wanted > 0 {
            return;
        }
        let spare = state.forget(Chunk::Spare);
        drop(state);
        self.release(&spare);
    }
}
