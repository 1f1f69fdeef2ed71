//! Where functions begin and end, from the unwind tables that stripped programs keep, too.

use super::image::{Image, MAX_TABLE};
use gimli::{BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, LittleEndian, UnwindSection};
use livepatch_bundle::RunAddr;

/// A contiguous piece of code with one unwind entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeRange {
    /// First byte.
    pub start: RunAddr,
    /// Length in bytes.
    pub len: u64,
}

impl Image<'_> {
    /// Every piece of code that `.eh_frame` describes, ascending; empty when it has no `.eh_frame_hdr`. Reading
    /// ends at the first malformed entry.
    #[must_use]
    pub fn function_starts(&self) -> Vec<CodeRange> {
        let mut found = self.unwind_entries().unwrap_or_default();
        found.retain(|range| range.len > 0 && self.is_code(range.start));
        found.sort_unstable();
        found.dedup();
        found
    }

    fn unwind_entries(&self) -> Option<Vec<CodeRange>> {
        let header = self.eh_frame_hdr()?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header.start.0);
        let bytes = self.table(header.start, (header.end.0 - header.start.0).min(MAX_TABLE))?;
        let parsed = EhFrameHdr::new(&bytes, LittleEndian)
            .parse(&bases, 8)
            .ok()?;
        let gimli::Pointer::Direct(start) = parsed.eh_frame_ptr() else {
            return None;
        };
        let len = self.segment_end(RunAddr(start))?.checked_sub(start)?;
        let bytes = self.table(RunAddr(start), len)?;
        let section = EhFrame::new(&bytes, LittleEndian);
        Some(decode(&section, &bases.set_eh_frame(start)))
    }

    /// Where the segment's part from the file ends.
    fn segment_end(&self, address: RunAddr) -> Option<u64> {
        let segment = self.load_at(self.link(address))?;
        Some(self.run(segment.address).0 + segment.file_size)
    }
}

fn decode(
    section: &EhFrame<gimli::EndianSlice<'_, LittleEndian>>,
    bases: &BaseAddresses,
) -> Vec<CodeRange> {
    let mut found = Vec::new();
    let mut entries = section.entries(bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else {
            break;
        };
        found.push(CodeRange {
            start: RunAddr(fde.initial_address()),
            len: fde.len(),
        });
    }
    found
}
