//! What is known of the arena's memory, apart from touching it.

use super::layout::{CHUNKS, CLASSES, Class, SLAB, SLABS};
use std::ops::Range;

/// What a slab is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slab {
    Free,
    Blocks(Class),
    /// The first of this many slabs of one block.
    Run(u32),
    /// One of the others.
    Rest,
}

/// The state of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Not to be touched.
    Absent,
    /// Somebody is giving it memory, or taking it.
    Moving,
    /// Ready, with nothing in it.
    Spare,
    /// In use.
    Used,
    /// In use and write-protected.
    Sealed,
    /// As `Absent`, in a zone that is write-protected.
    Closed,
}

impl Chunk {
    /// Whether it takes memory.
    pub(super) fn is_there(self) -> bool {
        !matches!(self, Self::Absent | Self::Closed)
    }
}

/// What is known while memory is sealed.
#[derive(Debug)]
pub(super) struct Sealing {
    /// The lists of what is sealed.
    pub(super) lists: Vec<Lists>,
    /// What was freed of it.
    pub(super) freed: Vec<usize>,
    /// The chunks whose access was changed.
    pub(super) ranges: Vec<Range<usize>>,
}

/// Free blocks of one size.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Free {
    /// Address of the first one that was in use before, 0 for none; they are linked through themselves.
    pub(super) list: usize,
    /// Addresses that never were in use: a slab is not touched before it must be.
    new: usize,
    end: usize,
}

impl Free {
    /// All of a new slab.
    pub(super) fn slab(start: usize, size: usize) -> Self {
        Self {
            list: 0,
            new: start,
            end: start + SLAB / size * size,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list == 0 && self.new == self.end
    }

    /// Takes a block where there is one; `link` reads which follows one in the list.
    pub(super) fn take(&mut self, size: usize, link: impl Fn(usize) -> usize) -> usize {
        if self.list != 0 {
            let next = link(self.list);
            return std::mem::replace(&mut self.list, next);
        }
        self.new += size;
        self.new - size
    }
}

/// Free blocks, by class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists(pub(super) [Free; CLASSES]);

impl Default for Lists {
    fn default() -> Self {
        Self([Free::default(); CLASSES])
    }
}

#[derive(Debug)]
pub(super) struct State {
    /// How many chunks there are addresses for.
    pub(super) most: usize,
    /// How many may take memory at once.
    pub(super) limit: usize,
    /// Whether memory is protected by zones (see `zoning`).
    pub(super) is_zoned: bool,
    /// Those that were ever in use.
    pub(super) chunks: Vec<Chunk>,
    /// Chunks that are in mappings apart from the others.
    pub(super) apart: Vec<bool>,
    pub(super) slabs: Vec<Slab>,
    pub(super) free: Lists,
    /// Further lists, of memory that was sealed.
    pub(super) more: Vec<Lists>,
    pub(super) sealed: Option<Sealing>,
    pub(super) used: u64,
    pub(super) used_at_seal: u64,
    /// Spare chunks that somebody counts on.
    pub(super) wanted: usize,
}

impl State {
    /// Nothing yet; of `most` chunks at most `limit` are there at once.
    pub(super) fn new(most: usize, limit: usize) -> Self {
        Self {
            most,
            limit,
            is_zoned: false,
            chunks: Vec::new(),
            apart: Vec::new(),
            slabs: Vec::new(),
            free: Lists::default(),
            more: Vec::new(),
            sealed: None,
            used: 0,
            used_at_seal: 0,
            wanted: 0,
        }
    }

    /// Takes free blocks of a class from the further lists.
    pub(super) fn take_more(&mut self, class: Class) {
        let index = class.index();
        let mut more = self.more.iter_mut();
        if let Some(lists) = more.find(|lists| !lists.0[index].is_empty()) {
            self.free.0[index] = std::mem::take(&mut lists.0[index]);
        }
        self.more
            .retain(|lists| lists.0.iter().any(|free| !free.is_empty()));
    }

    /// Chunks that take memory.
    pub(super) fn there(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.is_there()).count()
    }

    /// A chunk that takes no memory, to be made ready.
    pub(super) fn absent(&mut self) -> Option<usize> {
        if self.there() >= self.limit {
            return None;
        }
        let first = self.first_of_open_zone();
        while self.chunks.len() <= first && self.grow(1).is_some() {}
        self.absent_from(first).or_else(|| {
            self.grow(1)?;
            self.absent_from(first)
        })
    }

    /// The first that takes none, from this one on, then from the beginning.
    fn absent_from(&self, first: usize) -> Option<usize> {
        let mut order = (first..self.chunks.len()).chain(0..first.min(self.chunks.len()));
        order.find(|&index| self.chunks[index] == Chunk::Absent)
    }

    /// Adds chunks at the end: at least so many, and whole zones where there are any.
    pub(super) fn grow(&mut self, count: usize) -> Option<()> {
        let mut length = self.chunks.len() + count;
        if self.is_zoned {
            length = length.next_multiple_of(CHUNKS);
        }
        if length > self.most {
            return None;
        }
        self.chunks.resize(length, Chunk::Absent);
        self.apart.resize(length, false);
        self.slabs.resize(length * SLABS, Slab::Free);
        Some(())
    }

    /// The first of `count` free slabs in a row, in chunks that may be used.
    pub(super) fn find(&self, count: usize, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut length = 0;
        for chunk in 0..self.chunks.len() {
            if !may(chunk) {
                length = 0;
                continue;
            }
            for slab in chunk * SLABS..(chunk + 1) * SLABS {
                length = match self.slabs[slab] {
                    Slab::Free => length + 1,
                    _ => 0,
                };
                if length == count {
                    return Some(slab + 1 - count);
                }
            }
        }
        None
    }

    pub(super) fn turn(&mut self, from: Chunk, to: Chunk) {
        let chunks = self.chunks.iter_mut();
        chunks
            .filter(|chunk| **chunk == from)
            .for_each(|chunk| *chunk = to);
    }

    /// Marks all chunks of a state as on their way out, with nothing in them; returns which.
    pub(super) fn forget(&mut self, state: Chunk) -> Vec<usize> {
        let chunks = 0..self.chunks.len();
        let gone: Vec<usize> = chunks
            .filter(|&index| self.chunks[index] == state)
            .collect();
        for &index in &gone {
            self.chunks[index] = Chunk::Moving;
            self.slabs[index * SLABS..(index + 1) * SLABS].fill(Slab::Free);
        }
        gone
    }
}
