//! References between atoms.

use super::{AtomId, Site};
use livepatch_bundle::RelocKind;

/// A reference from one atom to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// See [`offset`](Self::offset).
    field: u32,
    /// See [`at`](Self::at): the lower 32 bits.
    place: u32,
    /// Twice those above (the kernel tells physical from virtual addresses by adding 2 GiB), and 1 if it is
    /// [loose](Self::is_loose): there are many links.
    above: i8,
    /// How the field is computed.
    pub kind: RelocKind,
    /// What it refers to.
    pub target: AtomId,
    /// What PC-relative fields have beyond where they lead: how far it is from the field to the next instruction, or to the
    /// start of the table.
    pub bias: i32,
    /// The instruction that holds the field; the field itself for data.
    pub site: Site,
}

impl Link {
    /// A reference from the field at `offset` of an atom to the place `at` of another; `None` where these are 4 GiB into atoms, or
    /// 256 GiB before or behind them.
    #[must_use]
    pub fn new(offset: u64, kind: RelocKind, target: AtomId, at: i64) -> Option<Self> {
        Some(Self {
            field: u32::try_from(offset).ok()?,
            place: (at & i64::from(u32::MAX)) as u32,
            above: i8::try_from(at >> 32).ok()?.checked_mul(2)?,
            kind,
            target,
            bias: 0,
            site: Site::data(kind.width()),
        })
    }

    /// A reference to an atom by the slot that holds its address.
    #[must_use]
    pub fn to_slot(target: AtomId) -> Self {
        Self {
            field: 0,
            place: 0,
            above: 0,
            kind: RelocKind::GotPcRel,
            target,
            bias: 0,
            site: Site::data(RelocKind::GotPcRel.width()),
        }
    }

    /// The same field, leading to the slot that holds the address of an atom.
    #[must_use]
    pub fn through_slot(&self, target: AtomId) -> Self {
        Self {
            field: self.field,
            site: self.site,
            ..Self::to_slot(target)
        }
    }

    /// Offset of the field in the atom.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.field.into()
    }

    /// Where in the target it leads, without the bias.
    #[must_use]
    pub fn at(&self) -> i64 {
        i64::from(self.above >> 1) << 32 | i64::from(self.place)
    }

    /// Whether the target was found by a place in a section that others share, by code that may compute with it: a
    /// pointer to before an array is a pointer into its neighbour.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.above & 1 == 1
    }

    /// The same link, [loose](Self::is_loose) or not.
    #[must_use]
    pub fn loose(self, loose: bool) -> Self {
        Self {
            above: self.above & !1 | i8::from(loose),
            ..self
        }
    }

    /// `A` of the psABI's formulas, with `S` the start of the target.
    #[must_use]
    pub fn addend(&self) -> i64 {
        self.at().wrapping_sub(self.bias.into())
    }

    /// Offset in the atom of the instruction that holds the field.
    #[must_use]
    pub fn site_start(&self) -> u64 {
        self.site.start(self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_before_and_far_behind_atoms_are_kept() {
        let link = |at| {
            Link::new(0, RelocKind::Abs64, AtomId(0), at)
                .map(|link| (link.at(), link.loose(true).at()))
        };
        for at in [
            0,
            -1,
            -4096,
            0x8000_0000,
            -0x8000_0001,
            (1 << 38) - 1,
            -(1 << 38),
        ] {
            assert_eq!(link(at), Some((at, at)), "{at:#x}");
        }
        assert_eq!((link(1 << 38), link(i64::MIN)), (None, None));
        assert_eq!(size_of::<Link>(), 24, "there are many");
    }
}
