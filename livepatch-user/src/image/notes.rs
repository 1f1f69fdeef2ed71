//! ELF notes (gABI "Note Section"): the build IDs of GNU and of Go are looked for.

use livepatch_bundle::BuildId;
use scroll::{LE, Pread};

const NT_GNU_BUILD_ID: u32 = 3;
const GO_BUILD_ID: u32 = 4;
const MAX_NOTES: usize = 4096;

/// The build ID among the notes, which are aligned to 4 bytes, or to 8 where `align` says so.
pub(super) fn build_id(notes: &[u8], align: u64) -> Option<BuildId> {
    BuildId::new(note(notes, align, b"GNU\0", NT_GNU_BUILD_ID)?)
}

/// Whether the Go linker made the file (`cmd/link/internal/ld/elf.go`: `ELF_NOTE_GOBUILDID_TAG`).
pub(super) fn is_go(notes: &[u8], align: u64) -> bool {
    note(notes, align, b"Go\0\0", GO_BUILD_ID).is_some()
}

/// The contents of the first note of this name and kind.
fn note<'n>(notes: &'n [u8], align: u64, wanted: &[u8], wanted_kind: u32) -> Option<&'n [u8]> {
    let align = if align == 8 { 8 } else { 4 };
    let mut at = 0usize;
    for _ in 0..MAX_NOTES {
        let name_len = usize::try_from(notes.pread_with::<u32>(at, LE).ok()?).ok()?;
        let len = usize::try_from(notes.pread_with::<u32>(at.checked_add(4)?, LE).ok()?).ok()?;
        let kind: u32 = notes.pread_with(at.checked_add(8)?, LE).ok()?;
        let name = at.checked_add(12)?;
        let contents = name
            .checked_add(name_len)?
            .checked_next_multiple_of(align)?;
        let end = contents.checked_add(len)?;
        if kind == wanted_kind && notes.get(name..name + name_len) == Some(wanted) {
            return notes.get(contents..end);
        }
        at = end.checked_next_multiple_of(align)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], contents: &[u8]) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut note = [len(name), len(contents), kind.to_le_bytes()].concat();
        for part in [name, contents] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn found_behind_other_notes() {
        let mut notes = note(1, b"GNU\0", &[0; 16]);
        notes.extend(note(3, b"Go\0", b"no"));
        notes.extend(note(3, b"GNU\0", &[0xab; 20]));
        assert_eq!(build_id(&notes, 4), BuildId::new(&[0xab; 20]));
    }

    #[test]
    fn programs_of_go_are_known() {
        let mut notes = note(3, b"GNU\0", &[0xab; 20]);
        assert!(!is_go(&notes, 4));
        notes.extend(note(4, b"Go\0\0", b"some/build/id"));
        assert!(is_go(&notes, 4));
    }

    #[test]
    fn hostile_sizes_end_the_search() {
        let mut notes = note(3, b"GNU\0", &[0xab; 20]);
        notes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(build_id(&notes, 4), None);
        assert_eq!(build_id(&notes[..7], 4), None);
        assert_eq!(build_id(&note(3, b"GNU\0", &[]), 4), None);
    }
}
