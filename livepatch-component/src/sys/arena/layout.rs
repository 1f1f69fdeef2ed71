//! How large the parts of the arena are.

/// Bytes of a chunk: one huge page.
pub(crate) const CHUNK: usize = 2 << 20;
/// Bytes of a zone: what one entry of a page-table page of the third level (PUD) maps.
pub(super) const ZONE: usize = 1 << 30;
/// Chunks of a zone.
pub(super) const CHUNKS: usize = ZONE / CHUNK;
/// Bytes of a slab.
pub(super) const SLAB: usize = 64 << 10;
/// Slabs of a chunk.
pub(super) const SLABS: usize = CHUNK / SLAB;
/// How many sizes of blocks there are: 16, 32, 48, 64, then four for each power of two.
pub(super) const CLASSES: usize = 4 + 4 * 9;
/// The largest block that shares a slab.
const LARGEST: usize = SLAB / 2;

/// A size of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u8);

impl Class {
    /// The smallest that serves; `None` when a block needs slabs of its own.
    pub(super) fn of(size: usize, align: usize) -> Option<Self> {
        if !align.is_power_of_two() || align > LARGEST {
            return None;
        }
        // Blocks of a power of two lie at multiples of their size.
        let size = match align {
            ..=16 => size.max(1),
            _ => size.max(align).checked_next_power_of_two()?,
        };
        let index = match size {
            ..=64 => (size - 1) / 16,
            65..=LARGEST => {
                let power = (size - 1).ilog2();
                let quarter = (size - 1 - (1 << power)) >> (power - 2);
                4 + (power as usize - 6) * 4 + quarter
            }
            _ => return None,
        };
        u8::try_from(index).ok().map(Self)
    }

    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    /// Bytes of its blocks.
    pub(super) fn size(self) -> usize {
        let index = self.index();
        match index {
            ..4 => (index + 1) * 16,
            _ => {
                let (power, quarter) = ((index - 4) / 4 + 6, (index - 4) % 4);
                (1 << power) + ((quarter + 1) << (power - 2))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 1..=LARGEST {
            let class = Class::of(size, 16).expect("small enough");
            assert!(class.size() >= size, "{size}");
            assert!(class.index() < CLASSES);
            assert_eq!(class.size() % 16, 0);
            if let Some(smaller) = class.0.checked_sub(1).map(Class) {
                assert!(smaller.size() < size, "{size} fits {}", smaller.size());
            }
        }
        assert_eq!(Class::of(LARGEST + 1, 16), None);
    }

    #[test]
    fn alignment_is_kept() {
        for power in 5..=15 {
            let align = 1 << power;
            let class = Class::of(24, align).expect("small enough");
            assert_eq!(class.size() % align, 0, "{align}");
        }
        assert_eq!(Class::of(8, SLAB), None);
        assert_eq!(Class::of(8, 3), None);
    }
}
