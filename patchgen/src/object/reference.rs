//! References between atoms.

use super::{AtomId, Site};
use livepatch_bundle::RelocKind;

/// A reference from one atom to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// See [`offset`](Self::offset).
    field: u32,
    /// See [`at`](Self::at).
    place: i32,
    /// How the field is computed.
    pub kind: RelocKind,
    /// What it refers to.
    pub target: AtomId,
    /// What PC-relative fields have beyond where they lead: how far it is from the field to the next instruction, or to the
    /// start of the table.
    pub bias: i32,
    /// Whether the target was found by a place in a section that others share, by code that may compute with it: a
    /// pointer to before an array is a pointer into its neighbour.
    pub loose: bool,
    /// The instruction that holds the field; the field itself for data.
    pub site: Site,
}

impl Link {
    /// A reference from the field at `offset` of an atom to the place `at` of another; `None` where these are 4 GiB into atoms, or
    /// 2 GiB before or behind them.
    #[must_use]
    pub fn new(offset: u64, kind: RelocKind, target: AtomId, at: i64) -> Option<Self> {
        Some(Self {
            field: u32::try_from(offset).ok()?,
            place: i32::try_from(at).ok()?,
            kind,
            target,
            bias: 0,
            loose: false,
            site: Site::data(kind.width()),
        })
    }

    /// A reference to an atom by the slot that holds its address.
    #[must_use]
    pub fn to_slot(target: AtomId) -> Self {
        Self {
            field: 0,
            place: 0,
            kind: RelocKind::GotPcRel,
            target,
            bias: 0,
            loose: false,
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
        self.place.into()
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
