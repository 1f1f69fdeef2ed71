//! The code that no thread may be inside when the patch is committed.

use livepatch_bundle::RunAddr;

/// Code of a function, or of a piece of one, that is about to be replaced or unmapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenRange {
    /// First byte.
    pub start: RunAddr,
    /// First byte behind.
    pub end: RunAddr,
    /// What to call it in messages.
    pub label: String,
    /// A thread whose instruction pointer is exactly `start` has run nothing of it and is not inside.
    ///
    /// True only for an entry that no branch of the same function leads back to (a loop over the whole body does), and
    /// never for a `.cold` piece, which is jumped to from the middle.
    pub free_entry: bool,
}

impl ForbiddenRange {
    /// A range whose every byte is forbidden.
    #[must_use]
    pub fn new(start: RunAddr, end: RunAddr, label: impl Into<String>) -> Self {
        Self {
            start,
            end,
            label: label.into(),
            free_entry: false,
        }
    }

    /// The same, but a thread about to execute its first instruction is outside; see [`Self::free_entry`].
    #[must_use]
    pub fn with_free_entry(mut self) -> Self {
        self.free_entry = true;
        self
    }
}

/// Disjoint ranges in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForbiddenSet {
    ranges: Vec<ForbiddenRange>,
}

/// Longest jump that a patch writes over an entry, with a kept `endbr64`: `endbr64; jmp [rip+0]; .quad`.
const LONGEST_ENTRY_JUMP: u64 = 18;

impl ForbiddenSet {
    /// Sorts; ranges that overlap become one with both labels. Empty ranges are dropped.
    pub(crate) fn new(mut ranges: Vec<ForbiddenRange>) -> Self {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut disjoint: Vec<ForbiddenRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match disjoint.last_mut() {
                Some(last) if range.start < last.end => absorb(last, &range),
                _ => disjoint.push(range),
            }
        }
        Self { ranges: disjoint }
    }

    /// The range that `address` lies in.
    pub(crate) fn find(&self, address: RunAddr) -> Option<&ForbiddenRange> {
        let (first, last) = (self.ranges.first()?, self.ranges.last()?);
        if address < first.start || address >= last.end {
            return None;
        }
        let after = self.ranges.partition_point(|range| range.start <= address);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (address < range.end).then_some(range)
    }

    /// The range that a thread with this instruction pointer is inside.
    pub(crate) fn at_pc(&self, pc: RunAddr) -> Option<&ForbiddenRange> {
        self.find(pc)
            .filter(|range| !(range.free_entry && range.start == pc))
    }

    /// The range that a call returning to `address` was made from.
    pub(crate) fn at_return(&self, address: RunAddr) -> Option<&ForbiddenRange> {
        self.find(address.offset(-1))
    }

    /// Whether the bytes before a return address may have been overwritten by an earlier patch's jump.
    pub(crate) fn near_entry(range: &ForbiddenRange, address: RunAddr) -> bool {
        address.0 - range.start.0 <= LONGEST_ENTRY_JUMP
    }
}

fn absorb(last: &mut ForbiddenRange, range: &ForbiddenRange) {
    last.free_entry = last.free_entry && range.free_entry && last.start == range.start;
    last.end = last.end.max(range.end);
    if last.label != range.label {
        last.label = format!("{}, {}", last.label, range.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64, label: &str) -> ForbiddenRange {
        ForbiddenRange::new(RunAddr(start), RunAddr(end), label)
    }

    fn label(found: Option<&ForbiddenRange>) -> Option<&str> {
        found.map(|range| range.label.as_str())
    }

    #[test]
    fn a_pc_is_exact_and_a_return_address_belongs_to_the_call() {
        let set = ForbiddenSet::new(vec![range(0x200, 0x210, "g"), range(0x100, 0x110, "f")]);
        assert_eq!(label(set.at_pc(RunAddr(0x100))), Some("f"));
        assert_eq!(label(set.at_pc(RunAddr(0x110))), None);
        assert_eq!(label(set.at_return(RunAddr(0x110))), Some("f"));
        assert_eq!(label(set.at_return(RunAddr(0x200))), None);
        assert_eq!(label(set.at_pc(RunAddr(0x20f))), Some("g"));
        assert_eq!(label(set.at_pc(RunAddr(0x50))), None);
    }

    #[test]
    fn a_free_entry_frees_only_the_instruction_pointer() {
        let set = ForbiddenSet::new(vec![range(0x100, 0x110, "f").with_free_entry()]);
        assert_eq!(label(set.at_pc(RunAddr(0x100))), None);
        assert_eq!(label(set.at_pc(RunAddr(0x101))), Some("f"));
        assert_eq!(label(set.at_return(RunAddr(0x101))), Some("f"));
    }

    #[test]
    fn overlapping_ranges_become_one() {
        let set = ForbiddenSet::new(vec![
            range(0x100, 0x200, "f"),
            range(0x120, 0x130, "g"),
            range(0x300, 0x300, "empty"),
        ]);
        assert_eq!(label(set.at_pc(RunAddr(0x180))), Some("f, g"));
        assert_eq!(label(set.at_pc(RunAddr(0x300))), None);
        assert_eq!(label(ForbiddenSet::default().at_pc(RunAddr(0))), None);
    }

    #[test]
    fn an_entry_that_is_also_the_middle_of_another_is_not_free() {
        let set = ForbiddenSet::new(vec![
            range(0x100, 0x200, "f").with_free_entry(),
            range(0x100, 0x110, "piece"),
        ]);
        assert!(set.at_pc(RunAddr(0x100)).is_some());
    }
}
