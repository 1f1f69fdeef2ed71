//! Finding pointers into a patch among arbitrary bytes.
//!
//! A pointer may lie at any offset (packed structures, immediate operands of code made at run time), and glibc
//! keeps some disguised: `PTR_MANGLE` stores `rol(pointer ^ guard, 17)` for `atexit` handlers and in `jmp_buf`s,
//! with a guard per process at `%fs:0x30`. In both cases the upper bytes of the word are known once the patch's
//! addresses are, so a substring search finds candidates at memory speed, and each is then checked exactly.

use super::AddressRange;
use livepatch_bundle::RunAddr;
use memchr::memmem::Finder;

/// Addresses that share their bytes from the third on: one needle each.
const WINDOW: u64 = 1 << 16;
/// By how much `PTR_MANGLE` rotates (glibc, `sysdeps/unix/sysv/linux/x86_64/pointer_guard.h`).
const ROTATION: u32 = 2 * 8 + 1;

/// A word that points into the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it lies.
    pub(crate) at: RunAddr,
    /// Where it points, undisguised.
    pub(crate) value: RunAddr,
}

/// One substring to search for.
#[derive(Debug)]
struct Needle {
    finder: Finder<'static>,
    /// Where the substring is in the word.
    offset: usize,
    /// The guard, when the word is disguised.
    guard: Option<u64>,
}

/// What to search for.
#[derive(Debug)]
pub(crate) struct Needles {
    ranges: Vec<AddressRange>,
    needles: Vec<Needle>,
}

impl Needles {
    /// Searches for pointers into any of the ranges, plain or disguised with any of the guards.
    pub(crate) fn new(ranges: &[AddressRange], guards: &[u64]) -> Self {
        let windows = windows(ranges);
        let plain = windows.iter().map(|&window| plain(window));
        let disguised = guards
            .iter()
            .flat_map(|&guard| windows.iter().map(move |&window| disguised(window, guard)));
        Self {
            ranges: ranges.to_vec(),
            needles: plain.chain(disguised).collect(),
        }
    }

    /// Whether the value points into the patch.
    pub(super) fn covers(&self, value: u64) -> bool {
        let value = RunAddr(value);
        self.ranges.iter().any(|range| range.contains(value))
    }

    /// Where this word points, if into the patch.
    pub(super) fn target(&self, word: u64) -> Option<RunAddr> {
        let guards = self.needles.iter().filter_map(|needle| needle.guard);
        let values = std::iter::once(word).chain(guards.map(|guard| reveal(word, guard)));
        values
            .into_iter()
            .find(|&value| self.covers(value))
            .map(RunAddr)
    }

    /// Appends every word in `bytes`, which lie at `base`, that points into the patch.
    pub(crate) fn find(&self, bytes: &[u8], base: RunAddr, found: &mut Vec<Found>) {
        for needle in &self.needles {
            self.find_one(needle, bytes, base, found);
        }
    }

    fn find_one(&self, needle: &Needle, bytes: &[u8], base: RunAddr, found: &mut Vec<Found>) {
        let mut from = 0;
        while let Some(at) = needle.finder.find(&bytes[from..]).map(|at| from + at) {
            // Matches may overlap, so the search goes on at the next byte.
            from = at + 1;
            let Some(word) = at
                .checked_sub(needle.offset)
                .and_then(|start| word(bytes, start))
            else {
                continue;
            };
            let value = needle.guard.map_or(word, |guard| reveal(word, guard));
            if self.covers(value) {
                let at = RunAddr(base.0.wrapping_add((at - needle.offset) as u64));
                let value = RunAddr(value);
                found.push(Found { at, value });
            }
        }
    }
}

fn word(bytes: &[u8], start: usize) -> Option<u64> {
    let word = bytes.get(start..)?.first_chunk()?;
    Some(u64::from_le_bytes(*word))
}

/// `PTR_DEMANGLE`.
pub(crate) fn reveal(word: u64, guard: u64) -> u64 {
    word.rotate_right(ROTATION) ^ guard
}

/// `PTR_MANGLE`.
fn disguise(pointer: u64, guard: u64) -> u64 {
    (pointer ^ guard).rotate_left(ROTATION)
}

/// The beginnings of all windows that the ranges touch.
fn windows(ranges: &[AddressRange]) -> Vec<u64> {
    let mut windows: Vec<u64> = ranges
        .iter()
        .filter(|range| range.start < range.end)
        .flat_map(|range| range.start.0 / WINDOW..=(range.end.0 - 1) / WINDOW)
        .map(|number| number * WINDOW)
        .collect();
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// The bytes 2 to 7 of every pointer into the window. They are not all zero: nothing is mapped in the lowest 64 KiB.
fn plain(window: u64) -> Needle {
    needle(window, 2..8, None)
}

/// Bits 16 to 63 of the pointer are known; rotated by 17, they cover the bytes 5 to 7 whole.
fn disguised(window: u64, guard: u64) -> Needle {
    needle(disguise(window, guard), 5..8, Some(guard))
}

fn needle(word: u64, bytes: std::ops::Range<usize>, guard: Option<u64>) -> Needle {
    let offset = bytes.start;
    Needle {
        finder: Finder::new(&word.to_le_bytes()[bytes]).into_owned(),
        offset,
        guard,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GUARD: u64 = 0x3c5a_96f1_77e2_0b4d;

    fn range(start: u64, end: u64) -> AddressRange {
        AddressRange {
            start: RunAddr(start),
            end: RunAddr(end),
        }
    }

    fn found(needles: &Needles, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        needles.find(bytes, RunAddr(0x1000), &mut found);
        found
    }

    #[test]
    fn plain_and_disguised_at_any_offset() {
        let needles = Needles::new(&[range(0x7f12_3456_7000, 0x7f12_3456_9000)], &[GUARD]);
        for offset in 0..16 {
            for word in [0x7f12_3456_7008, disguise(0x7f12_3456_7008, GUARD)] {
                let mut bytes = vec![0xa5; 40];
                bytes[offset..offset + 8].copy_from_slice(&u64::to_le_bytes(word));
                let expected = Found {
                    at: RunAddr(0x1000 + offset as u64),
                    value: RunAddr(0x7f12_3456_7008),
                };
                assert_eq!(found(&needles, &bytes), [expected]);
                assert_eq!(needles.target(word), Some(expected.value));
            }
        }
    }

    #[test]
    fn the_end_is_outside() {
        let needles = Needles::new(&[range(0x40_0000, 0x40_1000)], &[]);
        let bytes: Vec<u8> = [0x3f_ffff_u64, 0x40_0000, 0x40_0fff, 0x40_1000]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let values: Vec<u64> = found(&needles, &bytes).iter().map(|f| f.value.0).collect();
        assert_eq!(values, [0x40_0000, 0x40_0fff]);
    }

    #[test]
    fn needles_that_overlap_themselves() {
        // The bytes 2 to 7 are 55 55 55 55 55 55: eight words in the same fifteen bytes.
        let needles = Needles::new(&[range(0x5555_5555_5555_0000, 0x5555_5555_5556_0000)], &[]);
        assert_eq!(found(&needles, &[0x55; 15]).len(), 8);
    }

    #[test]
    fn a_word_cut_off_at_either_end_is_none() {
        let needles = Needles::new(&[range(0x7f00_0001_0000, 0x7f00_0002_0000)], &[]);
        let word = 0x7f00_0001_1234_u64.to_le_bytes();
        assert!(found(&needles, &word[1..]).is_empty());
        assert!(found(&needles, &word[..7]).is_empty());
        assert!(found(&needles, &[]).is_empty());
    }

    fn naive(ranges: &[AddressRange], bytes: &[u8]) -> Vec<u64> {
        (0..bytes.len())
            .filter(|&at| {
                word(bytes, at)
                    .is_some_and(|value| ranges.iter().any(|r| r.contains(RunAddr(value))))
            })
            .map(|at| 0x1000 + at as u64)
            .collect()
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_word(
            start in 0x1_0000_u64..0x7fff_ff00_0000,
            len in 1_u64..0x3_0000,
            seed in proptest::collection::vec((0_usize..64, any::<u64>(), any::<bool>()), 0..12),
        ) {
            let ranges = [range(start, start + len)];
            let mut bytes = vec![0; 80];
            for (at, value, inside) in seed {
                let value = if inside { start + value % (len + 2) } else { value };
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            let mut at: Vec<u64> = found(&Needles::new(&ranges, &[]), &bytes)
                .iter()
                .map(|found| found.at.0)
                .collect();
            at.sort_unstable();
            prop_assert_eq!(at, naive(&ranges, &bytes));
        }
    }
}
