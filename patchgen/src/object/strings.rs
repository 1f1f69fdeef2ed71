//! Cutting sections whose parts the linker may merge (`SHF_MERGE`) into those parts.

use super::AtomKind;
use super::raw::Section;
use object::elf;
use std::ops::Range;

/// The parts of a mergeable section; `None` when it is not what its flags promise.
pub(super) fn cut(section: &Section<'_>) -> Option<Vec<(AtomKind, Range<u64>)>> {
    let width = usize::try_from(section.entsize)
        .ok()
        .filter(|width| *width > 0)?;
    if section.data.len() as u64 != section.size || !section.data.len().is_multiple_of(width) {
        return None;
    }
    if section.has(elf::SHF_STRINGS) {
        strings(section.data, width)
    } else {
        let starts = (0..section.size).step_by(width);
        Some(
            starts
                .map(|start| (AtomKind::Constant, start..start + width as u64))
                .collect(),
        )
    }
}

/// Strings of characters of `width` bytes, each with its terminator.
fn strings(data: &[u8], width: usize) -> Option<Vec<(AtomKind, Range<u64>)>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (index, character) in data.chunks(width).enumerate() {
        if character.iter().all(|byte| *byte == 0) {
            let end = (index + 1) * width;
            parts.push((AtomKind::String, start as u64..end as u64));
            start = end;
        }
    }
    (start == data.len()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_string_keeps_its_terminator() {
        let parts = strings(b"ab\0\0c\0", 1).expect("terminated");
        let ranges: Vec<_> = parts.into_iter().map(|(_, range)| range).collect();
        assert_eq!(ranges, [0..3, 3..4, 4..6]);
        assert_eq!(strings(b"a\0\0\0", 2).map(|parts| parts.len()), Some(1));
        assert!(strings(b"ab", 1).is_none());
    }
}
