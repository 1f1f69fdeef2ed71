//! An unwind record for the last byte of the prelude.
//!
//! Unwinders keep the lowest address that a section of records describes. Were that the first function's entry, it could not
//! be told from a function pointer of the program's when the patch is about to go. Nothing but an unwinder points here.

use crate::record::CODE_OFFSET;

/// What gcc writes: version 1, "zR", alignment factors 1 and -8, return address in 16, PC-relative 4-byte addresses;
/// `DW_CFA_def_cfa: r7+8`, `DW_CFA_offset: r16 at cfa-8`, two `DW_CFA_nop`.
const CIE: [u8; 24] = [
    20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
];
/// Length of the FDE: length, distance to the CIE, start, length of the code, no augmentation, padding.
const FDE_LEN: usize = 20;
/// Length of both.
pub(super) const LEN: u64 = (CIE.len() + FDE_LEN) as u64;

/// The records, for `offset` in the patch.
pub(super) fn records(offset: u64) -> [u8; LEN as usize] {
    let mut bytes = [0; LEN as usize];
    let (cie, fde) = bytes.split_at_mut(CIE.len());
    cie.copy_from_slice(&CIE);
    let start_field = offset + CIE.len() as u64 + 8;
    let start = (CODE_OFFSET - 1).wrapping_sub(start_field) as u32;
    let words = [FDE_LEN as u32 - 4, CIE.len() as u32 + 4, start, 1, 0];
    for (field, word) in fde.chunks_mut(4).zip(words) {
        field.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};

    #[test]
    fn it_describes_the_last_byte_of_the_prelude() {
        let offset = 0x1238;
        let bytes = records(offset);
        let section = EhFrame::new(&bytes, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(0x10_0000 + offset);
        let mut entries = section.entries(&bases);
        let mut described = Vec::new();
        while let Some(entry) = entries.next().expect("well-formed") {
            if let CieOrFde::Fde(partial) = entry {
                let fde = partial
                    .parse(EhFrame::cie_from_offset)
                    .expect("well-formed");
                described.push((fde.initial_address(), fde.len()));
            }
        }
        assert_eq!(described, [(0x10_0000 + CODE_OFFSET - 1, 1)]);
    }
}
