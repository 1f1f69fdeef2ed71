//! Where functions begin, from the unwind table that stripped files keep, too.

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use livepatch_bundle::LinkAddr;

/// The beginnings that an `.eh_frame` section at `address` tells. Reading ends at the first malformed entry.
pub(super) fn function_starts(section: &[u8], address: u64) -> Vec<LinkAddr> {
    let table = EhFrame::new(section, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(address);
    let mut entries = table.entries(&bases);
    let mut starts = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        if let CieOrFde::Fde(partial) = entry {
            let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else {
                break;
            };
            starts.push(LinkAddr(fde.initial_address()));
        }
    }
    starts
}
