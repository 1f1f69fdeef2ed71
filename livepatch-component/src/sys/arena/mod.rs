//! Memory of module data: it belongs to the main task, can be write-protected as a whole, and changes all or nothing.
//!
//! A range of addresses is reserved once and used in *chunks* of 2 MiB, each of 32 *slabs* of 64 KiB. A slab holds blocks of one
//! size; larger blocks are runs of slabs.
//!
//! Where the kernel has huge pages it is anonymous memory, a huge page for each chunk. Else it is files in memory, so that protecting all
//! of it takes microseconds too; `backing` chooses.
//!
//! `seal` is about write-protecting all of it for a while, `zones` and `zoning` about how that is done with files, `copies` about
//! other processes, `pages` about what the system is asked for.

mod backing;
mod copies;
mod layout;
mod pages;
mod seal;
mod state;
#[cfg(test)]
mod tests;
mod zones;
mod zoning;

pub(crate) use backing::Backing;
pub(crate) use copies::sharing;
pub(crate) use layout::CHUNK;

use layout::{Class, SLAB, SLABS};
use state::{Chunk, Free, Slab, State};
use std::io;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zones::Zones;

/// The memory of module data.
#[derive(Debug)]
pub(crate) struct Arena {
    base: usize,
    /// Bytes of addresses.
    span: usize,
    /// Bytes that there may be.
    limit: usize,
    /// Taken before `zones`.
    state: Mutex<State>,
    /// Where it is not anonymous memory.
    zones: Mutex<Option<Zones>>,
}

impl Arena {
    /// Reserves addresses for at most `limit` bytes.
    ///
    /// # Errors
    /// When the system has no such range, or no memory of this kind.
    pub(crate) fn new(limit: usize, backing: Backing) -> io::Result<Self> {
        let chunks = limit.div_ceil(CHUNK).max(1);
        let zones = backing.zones(chunks)?;
        let (base, span) = match &zones {
            Some(zones) => (zones.addresses().start, zones.addresses().len()),
            None => (reserve(chunks)?, chunks * CHUNK),
        };
        let mut state = State::new(span / CHUNK, chunks);
        state.is_zoned = zones.is_some();
        Ok(Self {
            base,
            span,
            limit: chunks * CHUNK,
            state: Mutex::new(state),
            zones: Mutex::new(zones),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn zones(&self) -> MutexGuard<'_, Option<Zones>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is now.
    pub(crate) fn backing(&self) -> Backing {
        match *self.zones() {
            Some(_) => Backing::Memfd,
            None => Backing::Anonymous,
        }
    }

    /// Whether the address is of this memory.
    pub(crate) fn holds(&self, address: usize) -> bool {
        (self.base..self.base + self.span).contains(&address)
    }

    /// Bytes that are allocated now, rounded up to blocks.
    pub(crate) fn used(&self) -> u64 {
        self.state().used
    }

    /// Chunks that take memory now.
    pub(crate) fn chunks(&self) -> usize {
        self.state().there()
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
        let (index, size) = (class.index(), class.size());
        if state.free.0[index].is_empty() {
            state.take_more(class);
        }
        if state.free.0[index].is_empty() {
            let slab = self.slabs(state, 1)?;
            state.slabs[slab] = Slab::Blocks(class);
            state.free.0[index] = Free::slab(self.base + slab * SLAB, size);
        }
        let block = state.free.0[index].take(size, link);
        state.used += size as u64;
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
        let first = find_ready(state, count).or_else(|| find_any(state, count))?;
        let chunks = first / SLABS..(first + count).div_ceil(SLABS);
        let is_absent = |&index: &usize| state.chunks[index] == Chunk::Absent;
        if state.there() + chunks.clone().filter(is_absent).count() > state.limit {
            return None;
        }
        for index in chunks {
            if state.chunks[index] == Chunk::Absent {
                self.commit(index, false).ok()?;
                state.apart[index] = !state.is_zoned;
            }
            state.chunks[index] = Chunk::Used;
        }
        if state.sealed.is_none() {
            self.join(state);
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
        if let (Chunk::Sealed, Some(sealed)) = (is_sealed, &mut state.sealed) {
            sealed.freed.push(address);
            return;
        }
        match used {
            Slab::Blocks(class) => {
                let free = &mut state.free.0[class.index()];
                set_link(address, free.list);
                free.list = address;
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
}

/// Reserves addresses for so many chunks.
fn reserve(chunks: usize) -> io::Result<usize> {
    let length = (chunks + 1) * CHUNK;
    let start = pages::map(None, length, libc::PROT_NONE, 0, None)?;
    Ok(start.next_multiple_of(CHUNK))
}

/// Finds free slabs in chunks that are there.
fn find_ready(state: &State, count: usize) -> Option<usize> {
    let is_ready = |index: usize| matches!(state.chunks[index], Chunk::Used | Chunk::Spare);
    state.find(count, is_ready)
}

/// Finds free slabs in chunks that are there or can be had.
fn find_any(state: &mut State, count: usize) -> Option<usize> {
    let may = |state: &State, index: usize| {
        let chunk = state.chunks[index];
        matches!(chunk, Chunk::Used | Chunk::Spare | Chunk::Absent)
    };
    let zone = state.busiest_zone();
    let near = state.find(count, |index| zone.contains(&index) && may(state, index));
    near.or_else(|| state.find(count, |index| may(state, index)))
        .or_else(|| {
            state.grow(count.div_ceil(SLABS))?;
            state.find(count, |index| may(state, index))
        })
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
