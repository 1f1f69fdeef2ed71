//! The first instructions of a function, which a jump will overwrite.

use iced_x86::{Code, Decoder, DecoderOptions};

/// What stands at a function's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryLayout {
    /// It begins with `endbr64` (4 bytes), which has to stay for indirect branch tracking.
    pub endbr: bool,
    /// The length of the whole instructions after `endbr64` that cover the bytes asked for.
    pub length: usize,
}

/// The layout of an entry of which `covered` bytes, after `endbr64` if there is one, shall be overwritten. `None` when the
/// bytes end before, or are no instructions.
#[must_use]
pub fn entry_layout(bytes: &[u8], covered: usize) -> Option<EntryLayout> {
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let first = decoder.decode();
    let endbr = first.code() == Code::Endbr64;
    let start = if endbr { first.len() } else { 0 };
    decoder.set_position(start).ok()?;
    let end = start.checked_add(covered)?;
    while decoder.position() < end {
        if decoder.decode().is_invalid() {
            return None;
        }
    }
    Some(EntryLayout {
        endbr,
        length: decoder.position() - start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // f3 0f 1e fa       endbr64
    // 55                push rbp
    // 48 89 e5          mov rbp, rsp
    // 48 83 ec 10       sub rsp, 0x10
    const ENTRY: &[u8] = &[
        0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10,
    ];

    #[test]
    fn whole_instructions_cover_the_jump() {
        let layout = |endbr, length| Some(EntryLayout { endbr, length });
        assert_eq!(entry_layout(ENTRY, 5), layout(true, 8));
        assert_eq!(entry_layout(&ENTRY[4..], 4), layout(false, 4));
        assert_eq!(entry_layout(ENTRY, 0), layout(true, 0));
    }

    #[test]
    fn too_short_or_undecodable_is_none() {
        assert_eq!(entry_layout(ENTRY, 9), None);
        assert_eq!(entry_layout(&[0xc3, 0x06, 0, 0, 0], 5), None);
        assert_eq!(entry_layout(&[], 1), None);
        assert_eq!(entry_layout(ENTRY, usize::MAX), None);
    }
}
