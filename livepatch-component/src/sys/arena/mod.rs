//! Memory of module data: it belongs to the main task, can be write-protected as a whole, and changes all or nothing.
//!
//! A range of addresses is reserved once and used in *chunks* of 2 MiB (one huge page each where the kernel has them, so that
//! protecting 100 MiB takes microseconds), each of 32 *slabs* of 64 KiB. A slab holds blocks of one size; larger blocks are runs
//! of slabs.
//!
//! [`Arena::seal`] write-protects all that is there. What is allocated from then on lies in other chunks, and what is freed of the
//! sealed is only noted down. Then either [`Arena::keep`] goes on with both, [`Arena::replace`] drops all that was sealed, or
//! [`Arena::undo`] drops all that came since: no block needs to be looked at for that.

mod layout;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use layout::CHUNK;

use layout::{CLASSES, Class, SLAB, SLABS};
use state::{Chunk, Lists, Slab, State};
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The memory of module data.
#[derive(Debug)]
pub(crate) struct Arena {
    base: usize,
    /// Bytes.
    limit: usize,
    state: Mutex<State>,
}

/// The system's answer to a request about memory.
fn checked(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn protect(range: &Range<usize>, access: libc::c_int) -> io::Result<()> {
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
    /// Reserves addresses for at most `limit` bytes; takes no memory yet.
    ///
    /// # Errors
    /// When the system has no such range.
    pub(crate) fn new(limit: usize) -> io::Result<Self> {
        let chunks = limit.div_ceil(CHUNK).max(1);
        let length = (chunks + 1) * CHUNK;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice, of which no page can be touched.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = start.addr().next_multiple_of(CHUNK);
        Ok(Self {
            base,
            limit: chunks * CHUNK,
            state: Mutex::new(State::new(chunks)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of some chunks.
    fn range(&self, chunks: &Range<usize>) -> Range<usize> {
        self.base + chunks.start * CHUNK..self.base + chunks.end * CHUNK
    }

    /// Whether the address is of this memory.
    pub(crate) fn holds(&self, address: usize) -> bool {
        (self.base..self.base + self.limit).contains(&address)
    }

    /// Bytes that are allocated now, rounded up to blocks.
    pub(crate) fn used(&self) -> u64 {
        self.state().used
    }

    /// Chunks that take memory now.
    pub(crate) fn chunks(&self) -> usize {
        let state = self.state();
        let taken = state.chunks.iter().filter(|chunk| **chunk != Chunk::Absent);
        taken.count()
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
            self.state().chunks[index] = match ready {
                Ok(()) => Chunk::Spare,
                Err(_) => Chunk::Absent,
            };
            ready?;
        }
    }

    /// Gives a chunk memory.
    fn commit(&self, index: usize, populate: bool) -> io::Result<()> {
        let range = self.range(&(index..index + 1));
        protect(&range, libc::PROT_READ | libc::PROT_WRITE)?;
        // Without huge pages it works as well, only slower.
        let _ = advise(&range, libc::MADV_HUGEPAGE);
        if populate {
            // Before Linux 5.14 pages come when they are touched.
            let _ = advise(&range, libc::MADV_POPULATE_WRITE);
        }
        Ok(())
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

    /// Allocates; null when there is no more, or `align` is no power of two.
    pub(crate) fn alloc(&self, size: usize, align: usize) -> *mut libc::c_void {
        let mut state = self.state();
        let address = match Class::of(size, align) {
            Some(class) => self.block(&mut state, class),
            None => self.run(&mut state, size, align),
        };
        ptr::with_exposed_provenance_mut(address.unwrap_or(0))
    }

    fn block(&self, state: &mut State, class: Class) -> Option<usize> {
        if state.free[class.index()] == 0 {
            state.take_more(class);
        }
        if state.free[class.index()] == 0 {
            let slab = self.slabs(state, 1)?;
            state.slabs[slab] = Slab::Blocks(class);
            let start = self.base + slab * SLAB;
            let (size, mut next) = (class.size(), 0);
            for place in (0..SLAB / size).rev() {
                let block = start + place * size;
                set_link(block, next);
                next = block;
            }
            state.free[class.index()] = next;
        }
        let block = state.free[class.index()];
        state.free[class.index()] = link(block);
        state.used += class.size() as u64;
        Some(block)
    }

    fn run(&self, state: &mut State, size: usize, align: usize) -> Option<usize> {
        if !align.is_power_of_two() || align > SLAB || size > self.limit {
            return None;
        }
        let count = size.div_ceil(SLAB).max(1);
        let first = self.slabs(state, count)?;
        state.slabs[first] = Slab::Run(u32::try_from(count).ok()?);
        state.slabs[first + 1..first + count].fill(Slab::Rest);
        state.used += (count * SLAB) as u64;
        Some(self.base + first * SLAB)
    }

    /// Finds `count` free slabs in a row, in chunks that are in use, spare or can be had.
    fn slabs(&self, state: &mut State, count: usize) -> Option<usize> {
        let first = state.find(count, |chunk| matches!(chunk, Chunk::Used | Chunk::Spare));
        let any = |chunk| matches!(chunk, Chunk::Used | Chunk::Spare | Chunk::Absent);
        let first = first.or_else(|| {
            state.find(count, any).or_else(|| {
                state.grow(count.div_ceil(SLABS))?;
                state.find(count, any)
            })
        })?;
        for index in first / SLABS..(first + count).div_ceil(SLABS) {
            if state.chunks[index] == Chunk::Absent {
                self.commit(index, false).ok()?;
            }
            state.chunks[index] = Chunk::Used;
        }
        Some(first)
    }

    /// Frees what [`Self::alloc`] gave; anything else is left alone.
    pub(crate) fn free(&self, address: usize) {
        let mut state = self.state();
        let slab = address.wrapping_sub(self.base) / SLAB;
        let Some(&used) = state.slabs.get(slab) else {
            return;
        };
        let is_sealed = state.chunks[slab / SLABS];
        if let (Chunk::Sealed, Some((_, freed))) = (is_sealed, &mut state.sealed) {
            freed.push(address);
            return;
        }
        match used {
            Slab::Blocks(class) => {
                set_link(address, state.free[class.index()]);
                state.free[class.index()] = address;
                state.used -= class.size() as u64;
            }
            Slab::Run(count) => {
                let count = count as usize;
                state.slabs[slab..slab + count].fill(Slab::Free);
                state.used -= (count * SLAB) as u64;
            }
            Slab::Free | Slab::Rest => {}
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
        lists.push(std::mem::replace(&mut state.free, [0; CLASSES]));
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

    /// Drops all that came since the sealing; what was freed of the sealed is there as before.
    pub(crate) fn undo(&self) {
        let mut state = self.state();
        let came = state.forget(Chunk::Used);
        if let Some((lists, _)) = self.unseal(&mut state) {
            state.more = lists;
        }
        state.free = [0; CLASSES];
        state.used = state.used_at_seal;
        drop(state);
        self.release(&came);
    }

    /// Drops all that was sealed; returns chunks whose memory [`Self::give_back`] takes later.
    #[must_use = "their memory is to be given back"]
    pub(crate) fn replace(&self) -> Vec<usize> {
        let mut state = self.state();
        state.sealed = None;
        state.used -= state.used_at_seal.min(state.used);
        state.forget(Chunk::Sealed)
    }

    /// Takes the memory of chunks that [`Self::replace`] returned; takes time.
    pub(crate) fn give_back(&self, chunks: &[usize]) {
        self.release(chunks);
    }

    /// Nobody counts any more on what was prepared.
    pub(crate) fn relax(&self) {
        self.state().wanted = 0;
    }

    /// Gives spare chunks back, unless somebody counts on them.
    pub(crate) fn trim(&self) {
        let mut state = self.state();
        if state.wanted > 0 {
            return;
        }
        let spare = state.forget(Chunk::Spare);
        drop(state);
        self.release(&spare);
    }
}

/// The block after a free one in its list.
fn link(block: usize) -> usize {
    let place: *const usize = ptr::with_exposed_provenance(block);
    // SAFETY: a free block of a writable chunk, of at least 16 bytes and aligned to 16, in which only this list writes; a module
    // that writes to what it freed can break it, as it can break malloc's.
    unsafe { place.read() }
}

fn set_link(block: usize, next: usize) {
    let place: *mut usize = ptr::with_exposed_provenance_mut(block);
    // SAFETY: as in `link`.
    unsafe { place.write(next) };
}
