//! Where a patch may lie: free address ranges within reach of the code that it changes.
//!
//! Pure: mappings in, addresses out. A `jmp rel32` and every PC-relative field reach ±2 GiB (psABI, small code
//! model), so a patch wants to be near its module; code that is not position-independent also needs addresses
//! below 2 GiB. Room that the kernel will give to others is left alone: the heap grows up from `[heap]`
//! (brk(2)), stacks grow down.

use livepatch_bundle::RunAddr;
use std::ops::Range;

/// The page size of x86-64.
pub const PAGE: u64 = 4096;
/// How far a signed 32-bit displacement reaches, less room for the width of instructions.
const REACH: u64 = (1 << 31) - (1 << 16);
/// The end of the user half with four-level paging; nothing is placed in the last page below it.
const USER_END: u64 = 0x7fff_ffff_f000;
/// The lowest address used: above any sane `vm.mmap_min_addr`.
const USER_START: u64 = 0x11_0000;
/// Room left above the heap and below stacks.
const GROWTH: u64 = 256 << 20;

/// A range of addresses that is taken, and how it may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// First address.
    pub start: RunAddr,
    /// One past the last address.
    pub end: RunAddr,
    /// Whether it grows, and in which direction.
    pub growth: Growth,
}

/// The direction in which a mapping grows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It does not.
    None,
    /// `[heap]`.
    Up,
    /// `[stack]`.
    Down,
}

/// What the patch must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// First address of the module.
    pub start: RunAddr,
    /// One past its last address.
    pub end: RunAddr,
    /// Whether the module is linked to fixed addresses, so that its code may hold 32-bit absolute ones.
    pub absolute32: bool,
}

impl Reach {
    /// The addresses from which every byte of the module is within a 32-bit displacement.
    fn window(self) -> Range<u64> {
        let low = self.end.0.saturating_sub(REACH).max(USER_START);
        let mut high = self.start.0.saturating_add(REACH).min(USER_END);
        if self.absolute32 {
            high = high.min(REACH);
        }
        low..high
    }
}

/// Free places for `size` bytes, best first: nearest below the module, then nearest above it.
///
/// Each place keeps a free page on both sides, so that neither the kernel joins it with a neighbour nor a
/// stray access of a neighbour runs into it. `taken` must be sorted by address and not overlap.
#[must_use]
pub fn near(taken: &[Taken], reach: Reach, size: u64) -> Vec<RunAddr> {
    let window = reach.window();
    let mut places: Vec<u64> = gaps(taken)
        .into_iter()
        .filter_map(|gap| fit(&gap, &window, size, reach.start.0))
        .collect();
    places.sort_by_key(|&place| (place > reach.start.0, place.abs_diff(reach.start.0)));
    places.into_iter().map(RunAddr).collect()
}

/// Free places for `size` bytes anywhere, highest first: for code that needs no displacement to the module.
#[must_use]
pub fn anywhere(taken: &[Taken], size: u64) -> Vec<RunAddr> {
    let window = USER_START..USER_END;
    let mut places: Vec<u64> = gaps(taken)
        .into_iter()
        .filter_map(|gap| fit(&gap, &window, size, USER_END))
        .collect();
    places.sort_unstable_by(|a, b| b.cmp(a));
    places.into_iter().map(RunAddr).collect()
}

/// The free ranges between what is taken, each shrunk by a guard page at both ends.
fn gaps(taken: &[Taken]) -> Vec<Range<u64>> {
    let mut gaps = Vec::with_capacity(taken.len() + 1);
    let mut free = USER_START;
    for mapping in taken {
        let below = if mapping.growth == Growth::Down {
            GROWTH
        } else {
            0
        };
        let above = if mapping.growth == Growth::Up {
            GROWTH
        } else {
            0
        };
        gaps.push(free..mapping.start.0.saturating_sub(below));
        free = free.max(mapping.end.0.saturating_add(above));
    }
    gaps.push(free..USER_END);
    gaps.into_iter()
        .map(|gap| gap.start.saturating_add(PAGE)..gap.end.saturating_sub(PAGE))
        .filter(|gap| gap.start < gap.end)
        .collect()
}

/// The place in `gap` and `window` that is nearest to `anchor`, page-aligned.
fn fit(gap: &Range<u64>, window: &Range<u64>, size: u64, anchor: u64) -> Option<u64> {
    let low = gap.start.max(window.start).next_multiple_of(PAGE);
    let high = gap.end.min(window.end).checked_sub(size)? & !(PAGE - 1);
    (low <= high).then(|| anchor.clamp(low, high) & !(PAGE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(start: u64, end: u64, growth: Growth) -> Taken {
        Taken {
            start: RunAddr(start),
            end: RunAddr(end),
            growth,
        }
    }

    fn pie() -> (Vec<Taken>, Reach) {
        let maps = vec![
            taken(0x5555_5555_4000, 0x5555_5556_0000, Growth::None),
            taken(0x5555_5556_1000, 0x5555_5558_2000, Growth::Up),
            taken(0x7fff_f7c0_0000, 0x7fff_f7e0_0000, Growth::None),
            taken(0x7fff_fffd_e000, 0x7fff_ffff_f000, Growth::Down),
        ];
        let reach = Reach {
            start: RunAddr(0x5555_5555_4000),
            end: RunAddr(0x5555_5556_0000),
            absolute32: false,
        };
        (maps, reach)
    }

    #[test]
    fn the_nearest_place_lies_below_the_module_with_a_guard_page() {
        let (maps, reach) = pie();
        assert_eq!(
            near(&maps, reach, 2 * PAGE)[0],
            RunAddr(0x5555_5555_4000 - 3 * PAGE)
        );
    }

    #[test]
    fn every_place_is_free_and_within_reach() {
        let (maps, reach) = pie();
        for place in near(&maps, reach, 16 * PAGE) {
            assert!(
                maps.iter()
                    .all(|m| place.0 + 16 * PAGE <= m.start.0 || place.0 >= m.end.0)
            );
            assert!(place.0.abs_diff(reach.end.0) < 1 << 31);
            assert!((place.0 + 16 * PAGE).abs_diff(reach.start.0) < 1 << 31);
        }
    }

    #[test]
    fn room_above_the_heap_is_left_to_the_heap() {
        let (maps, reach) = pie();
        for place in near(&maps, reach, PAGE) {
            assert!(place.0 < 0x5555_5555_4000 || place.0 >= 0x5555_5558_2000 + GROWTH);
        }
    }

    #[test]
    fn code_linked_to_fixed_addresses_stays_below_two_gigabytes() {
        let maps = [
            taken(0x40_0000, 0x48_0000, Growth::None),
            taken(0x100_0000, 0x110_0000, Growth::Up),
        ];
        let reach = Reach {
            start: RunAddr(0x40_0000),
            end: RunAddr(0x48_0000),
            absolute32: true,
        };
        let places = near(&maps, reach, PAGE);
        assert!(!places.is_empty());
        assert!(places.iter().all(|place| place.0 < 1 << 31));
    }

    #[test]
    fn a_module_walled_in_has_no_place_near() {
        let maps = [taken(0x1_0000, USER_END, Growth::None)];
        let reach = Reach {
            start: RunAddr(0x40_0000),
            end: RunAddr(0x41_0000),
            absolute32: false,
        };
        assert_eq!(near(&maps, reach, PAGE), []);
        assert_eq!(anywhere(&maps, PAGE), []);
    }
}
