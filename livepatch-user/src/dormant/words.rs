//! Words that point into some ranges, anywhere in memory.

use crate::retire::{AddressRange, Found, Needles, Source};
use crate::sys::pagescan::PageRun;
use livepatch_bundle::RunAddr;
use std::ops::ControlFlow;

/// Words that are remembered at most.
const MOST: usize = 1 << 20;

/// What to collect.
pub(super) struct Words(Needles);

impl Words {
    /// Words that point into `ranges`, plain or disguised with the guard.
    pub(super) fn new(ranges: &[AddressRange], guard: Option<u64>) -> Self {
        let guards: Vec<u64> = guard.into_iter().collect();
        Self(Needles::new(&joined(ranges), &guards))
    }

    /// All of them that are aligned as the compiler and the C library align them.
    pub(super) fn collect(&self, source: &Source<'_>, runs: &[PageRun]) -> Vec<Found> {
        let mut found = Vec::new();
        // What cannot be read is gone.
        let _ = source.read(runs, &mut |bytes, base| {
            self.0.find(bytes, base, &mut found);
            match found.len() > MOST {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        found.retain(|word| word.at.0.is_multiple_of(8));
        found.sort_unstable_by_key(|word| word.at);
        found.dedup_by_key(|word| word.at);
        found
    }
}

/// The same addresses in few ranges.
fn joined(ranges: &[AddressRange]) -> Vec<AddressRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<AddressRange> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => {
                last.end = RunAddr(last.end.0.max(range.end.0));
            }
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_are_one() {
        let range = |start, end| AddressRange {
            start: RunAddr(start),
            end: RunAddr(end),
        };
        let ranges = [range(0x30, 0x40), range(0x10, 0x28), range(0x20, 0x2c)];
        assert_eq!(joined(&ranges), [range(0x10, 0x2c), range(0x30, 0x40)]);
        assert_eq!(joined(&[]), []);
    }
}
