//! Where functions begin and end, from the unwind tables that stripped programs keep, too.

use super::image::Image;
use super::inside::MAX_TABLE;
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
    /// Every piece of code that `.eh_frame` describes, ascending. Reading ends at the first malformed entry.
    /// The table is found by `.eh_frame_hdr`, which static programs may lack: then by the sections of the file.
    #[must_use]
    pub fn function_starts(&self) -> &[CodeRange] {
        self.function_starts.get_or_init(|| self.read_starts())
    }

    fn read_starts(&self) -> Vec<CodeRange> {
        let mut found = self.unwind_entries().unwrap_or_default();
        found.retain(|range| range.len > 0 && self.is_code(range.start));
        found.sort_unstable();
        found.dedup();
        found
    }

    fn unwind_entries(&self) -> Option<Vec<CodeRange>> {
        let start = self.eh_frame_by_header().or_else(|| {
            let address = self.file().ok()?.file.section_address(".eh_frame")?;
            Some(self.run(address))
        })?;
        let len = self.segment_end(start)?.checked_sub(start.0)?;
        let bytes = self.table(start, len)?;
        let section = EhFrame::new(&bytes, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(start.0);
        Some(decode(&section, &bases))
    }

    fn eh_frame_by_header(&self) -> Option<RunAddr> {
        let header = self.eh_frame_hdr()?;
        let bytes = self.table(header.start, (header.end.0 - header.start.0).min(MAX_TABLE))?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(header.start.0);
        let header = EhFrameHdr::new(&bytes, LittleEndian).parse(&bases, 8);
        match header.ok()?.eh_frame_ptr() {
            gimli::Pointer::Direct(start) => Some(RunAddr(start)),
            gimli::Pointer::Indirect(_) => None,
        }
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
