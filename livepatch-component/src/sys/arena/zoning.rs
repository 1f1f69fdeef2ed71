//! Which chunks are protected together, where that is done by exchanging views (`zones`).
//!
//! A whole *zone* of 1 GiB is exchanged in less time than a few chunks of it, for the kernel moves one entry of its page tables and cuts no
//! mapping in two. But then nothing in it can be written, so one zone stays *open* for what is allocated meanwhile: never that with most in
//! it, and one that has little in it where there is such. Of that, and of zones in which chunks are ready, what is in use is exchanged chunk
//! by chunk.

use super::layout::CHUNKS;
use super::state::{Chunk, State};
use std::ops::Range;

/// A zone with more chunks in use stays open only where all have more.
const FEW: usize = 4;

impl State {
    fn zones(&self) -> usize {
        self.chunks.len().div_ceil(CHUNKS)
    }

    /// The chunks of a zone.
    fn zone(&self, zone: usize) -> &[Chunk] {
        let end = ((zone + 1) * CHUNKS).min(self.chunks.len());
        &self.chunks[zone * CHUNKS..end]
    }

    fn count(&self, zone: usize, state: Chunk) -> usize {
        let chunks = self.zone(zone).iter();
        chunks.filter(|chunk| **chunk == state).count()
    }

    /// The zone that has most in it.
    fn busiest(&self) -> usize {
        let used = |zone: &usize| self.count(*zone, Chunk::Used);
        // Of several the first.
        (0..self.zones()).rev().max_by_key(used).unwrap_or(0)
    }

    /// The chunks of the zone that has most in it: where there should be more.
    pub(super) fn busiest_zone(&self) -> Range<usize> {
        if !self.is_zoned {
            return 0..self.chunks.len();
        }
        let first = self.busiest() * CHUNKS;
        first..first + CHUNKS
    }

    /// The first chunk of the zone that should stay open.
    pub(super) fn first_of_open_zone(&self) -> usize {
        if !self.is_zoned {
            return 0;
        }
        let busiest = self.busiest();
        let others = || (0..self.zones()).filter(|&zone| zone != busiest);
        let few = others().find(|&zone| self.count(zone, Chunk::Used) <= FEW);
        // A new one, or when there are no more that with the least in it.
        let new = || (self.zones() < self.most / CHUNKS).then(|| self.zones());
        let least = || others().min_by_key(|&zone| self.count(zone, Chunk::Used));
        few.or_else(new).or_else(least).unwrap_or(busiest) * CHUNKS
    }

    /// Whether something in a zone must be writable while the rest is protected.
    fn is_at_work(&self, zone: usize) -> bool {
        let mut chunks = self.zone(zone).iter();
        let is_at_work = |chunk: &Chunk| matches!(chunk, Chunk::Spare | Chunk::Moving);
        chunks.any(is_at_work)
    }

    /// The chunks to protect, in ranges of one zone each.
    pub(super) fn to_protect(&self) -> Vec<Range<usize>> {
        if !self.is_zoned {
            return self.ranges(Chunk::Used);
        }
        let (open, mut found) = (self.first_of_open_zone(), Vec::new());
        for zone in (0..self.zones()).filter(|&zone| self.count(zone, Chunk::Used) > 0) {
            let first = zone * CHUNKS;
            match first == open || self.is_at_work(zone) {
                true => found.extend(ranges(self.zone(zone), first, Chunk::Used)),
                false => found.push(first..first + CHUNKS),
            }
        }
        found
    }

    /// The chunks of a state, in ranges of one zone each.
    pub(super) fn runs(&self, state: Chunk) -> Vec<Range<usize>> {
        let zones = 0..self.zones();
        zones
            .flat_map(|zone| ranges(self.zone(zone), zone * CHUNKS, state))
            .collect()
    }

    /// Takes note that what is in use, in these ranges, is protected.
    pub(super) fn close(&mut self, protected: &[Range<usize>]) {
        self.turn(Chunk::Used, Chunk::Sealed);
        for range in protected {
            for chunk in &mut self.chunks[range.clone()] {
                if *chunk == Chunk::Absent {
                    *chunk = Chunk::Closed;
                }
            }
        }
    }

    /// The chunks of a state, in as few ranges as possible.
    pub(super) fn ranges(&self, state: Chunk) -> Vec<Range<usize>> {
        ranges(&self.chunks, 0, state)
    }
}

/// The chunks of a state, of some that begin at `first`.
fn ranges(chunks: &[Chunk], first: usize, state: Chunk) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let found = chunks.iter().enumerate().filter(|(_, it)| **it == state);
    for (index, _) in found {
        let index = first + index;
        match ranges.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            _ => ranges.push(index..index + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    /// Three zones, of which these chunks are in use.
    fn using(used: &[Range<usize>]) -> State {
        let mut state = State::new(3 * CHUNKS, 3 * CHUNKS);
        state.is_zoned = true;
        state.grow(1).expect("there is room");
        for range in used {
            while state.chunks.len() < range.end {
                state.grow(1).expect("there is room");
            }
            state.chunks[range.clone()].fill(Chunk::Used);
        }
        state
    }

    #[test]
    fn data_is_exchanged_with_its_zone_and_the_next_stays_open() {
        let mut state = using(&[0..1, 3..20]);
        assert_eq!(state.first_of_open_zone(), CHUNKS);
        let first = 0..CHUNKS;
        assert_eq!(state.to_protect(), from_ref(&first));
        assert_eq!(state.absent(), Some(CHUNKS));
        state.chunks[CHUNKS] = Chunk::Spare;
        let protected = state.to_protect();
        assert_eq!(protected, from_ref(&first));
        state.close(&protected);
        assert_eq!(state.chunks[1], Chunk::Closed);
        assert_eq!(state.chunks[3], Chunk::Sealed);
        assert_eq!(state.chunks[CHUNKS + 1], Chunk::Absent);
    }

    #[test]
    fn what_is_in_the_open_zone_is_exchanged_by_itself() {
        let mut state = using(&[0..1, CHUNKS..CHUNKS + 3, CHUNKS + 4..CHUNKS + 9]);
        assert_eq!(state.first_of_open_zone(), 0);
        assert_eq!(state.to_protect(), [0..1, CHUNKS..2 * CHUNKS]);
        state.chunks[2..9].fill(Chunk::Used);
        let first = 2 * CHUNKS;
        assert_eq!(state.first_of_open_zone(), first, "both have much in them");
    }

    #[test]
    fn a_zone_in_which_chunks_are_ready_stays_open() {
        let mut state = using(&[0..20, CHUNKS..CHUNKS + 2]);
        state.chunks[20] = Chunk::Spare;
        let side = CHUNKS..CHUNKS + 2;
        assert_eq!(state.to_protect(), [0..20, side]);
    }

    #[test]
    fn when_all_zones_have_much_that_with_the_least_stays_open() {
        let state = using(&[0..20, CHUNKS..CHUNKS + 9, 2 * CHUNKS..3 * CHUNKS]);
        assert_eq!(state.first_of_open_zone(), CHUNKS);
        let (all, least) = (2 * CHUNKS..3 * CHUNKS, CHUNKS..CHUNKS + 9);
        assert_eq!(state.to_protect(), [0..CHUNKS, least, all]);
        assert_eq!(state.busiest_zone(), 2 * CHUNKS..3 * CHUNKS);
    }
}
