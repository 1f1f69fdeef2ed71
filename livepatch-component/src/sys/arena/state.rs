//! What is known of the arena's memory, apart from touching it.

use super::layout::{CLASSES, Class, SLAB, SLABS};
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
    /// How many chunks there may be.
    pub(super) most: usize,
    /// Those that were ever in use.
    pub(super) chunks: Vec<Chunk>,
    /// Chunks that are in mappings apart from the others.
    pub(super) apart: Vec<bool>,
    pub(super) slabs: Vec<Slab>,
    pub(super) free: Lists,
    /// Further lists, of memory that was sealed.
    pub(super) more: Vec<Lists>,
    /// The lists of sealed memory, and what was freed of it.
    pub(super) sealed: Option<(Vec<Lists>, Vec<usize>)>,
    pub(super) used: u64,
    pub(super) used_at_seal: u64,
    /// Spare chunks that somebody counts on.
    pub(super) wanted: usize,
}

impl State {
    /// Nothing yet, of at most so many chunks.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
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

    /// A chunk that takes no memory.
    pub(super) fn absent(&mut self) -> Option<usize> {
        let found = self.chunks.iter().position(|chunk| *chunk == Chunk::Absent);
        found.or_else(|| {
            self.grow(1)?;
            Some(self.chunks.len() - 1)
        })
    }

    /// Adds chunks at the end.
    pub(super) fn grow(&mut self, count: usize) -> Option<()> {
        let length = self.chunks.len() + count;
        if length > self.most {
            return None;
        }
        self.chunks.resize(length, Chunk::Absent);
        self.apart.resize(length, false);
        self.slabs.resize(length * SLABS, Slab::Free);
        Some(())
    }

    /// The first of `count` free slabs in a row, in chunks that may be used.
    pub(super) fn find(&self, count: usize, may: impl Fn(Chunk) -> bool) -> Option<usize> {
        let mut length = 0;
        for (chunk, state) in self.chunks.iter().enumerate() {
            if !may(*state) {
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

    /// The chunks of a state, in as few ranges as possible.
    pub(super) fn ranges(&self, state: Chunk) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let chunks = self.chunks.iter().enumerate();
        for (index, _) in chunks.filter(|(_, chunk)| **chunk == state) {
            match ranges.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ => ranges.push(index..index + 1),
            }
        }
        ranges
    }
}
