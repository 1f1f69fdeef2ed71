//! Numbers by number, with gaps.

/// For each number below a bound another number, or none.
#[derive(Debug, Default)]
pub(crate) struct Mapping(Vec<u32>);

/// No atom or function has this number.
const NONE: u32 = u32::MAX;

impl Mapping {
    /// Nothing but gaps, for numbers below `len`.
    pub(crate) fn new(len: usize) -> Self {
        Self(vec![NONE; len])
    }

    pub(crate) fn get(&self, from: u32) -> Option<u32> {
        let found = self.0.get(from as usize).copied();
        found.filter(|to| *to != NONE)
    }

    pub(crate) fn set(&mut self, from: u32, to: u32) {
        self.0[from as usize] = to;
    }
}
