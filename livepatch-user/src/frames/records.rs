//! What can be seen of `.eh_frame` records without understanding them (LSB core, "Exception Frames").

use livepatch_bundle::{Class, RunAddr, Section};

/// Whether one of the records names a personality routine: `patchgen` reaches it through a slot.
pub(super) fn handle_exceptions(records: &Section) -> bool {
    let mut relocations = records.relocations.iter();
    relocations.any(|reloc| reloc.kind.class() == Class::GotSlot)
}

/// The first address that the records describe; `patchgen` writes 32-bit lengths and PC-relative 4-byte addresses only.
pub(super) fn first_code(bytes: &[u8], start: RunAddr) -> Option<RunAddr> {
    let word = |at: usize| {
        let field = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(field.try_into().ok()?))
    };
    let mut at = 0_usize;
    loop {
        let length = word(at).filter(|length| *length != 0 && *length != u32::MAX)?;
        // 0 marks a CIE, anything else is an FDE's distance to its own.
        if word(at + 4)? != 0 {
            let field = start.offset(at as i64 + 8);
            return Some(field.offset(i64::from(word(at + 8)?.cast_signed())));
        }
        at = at.checked_add(4)?.checked_add(length as usize)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_of_code_is_found_behind_the_shared_ones() {
        let mut bytes = vec![4, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([12, 0, 0, 0, 12, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 6, 0, 0, 0]);
        assert_eq!(
            first_code(&bytes, RunAddr(0x1000)),
            Some(RunAddr(0x1000 + 16 - 16))
        );
        for end in 0..bytes.len() - 4 {
            assert_eq!(first_code(&bytes[..end], RunAddr(0x1000)), None);
        }
        assert_eq!(first_code(&[0; 64], RunAddr(0)), None);
        assert_eq!(first_code(&[0xff; 64], RunAddr(0)), None);
    }
}
