//! Where the fields of a file's tables are, to be damaged one by one. The tests of `patchgen` use this file, too.

use object::LittleEndian as LE;
use object::elf::{FileHeader64, SHT_RELA, SHT_SYMTAB, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use std::ops::Range;

/// The places of all fields of the file header, section headers, symbols and relocations of a sound file.
pub(crate) fn fields(bytes: &[u8]) -> Vec<Range<usize>> {
    let header = FileHeader64::<LE>::parse(bytes).expect("an ELF file");
    let sections = header.sections(LE, bytes).expect("it has sections");
    let ident: &[usize] = &[4, 1, 1, 1, 1, 1, 7, 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2];
    let mut places = records(0..size_of::<FileHeader64<LE>>(), ident);
    let table = usize::try_from(header.e_shoff(LE)).expect("a small file");
    let end = table + sections.len() * size_of::<SectionHeader64<LE>>();
    places.extend(records(table..end, &[4, 4, 8, 8, 8, 8, 4, 4, 8, 8]));
    for section in sections.iter() {
        let (offset, size) = section.file_range(LE).unwrap_or((0, 0));
        let start = usize::try_from(offset).expect("a small file");
        let range = start..start + usize::try_from(size).expect("a small file");
        match section.sh_type(LE) {
            SHT_RELA => places.extend(records(range, &[8, 4, 4, 8])),
            SHT_SYMTAB => places.extend(records(range, &[4, 1, 1, 2, 8, 8])),
            _ => {}
        }
    }
    places
}

/// Records of fields of these widths, one after the other.
pub(crate) fn records(range: Range<usize>, widths: &[usize]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = range.start;
    while at < range.end {
        for width in widths {
            places.push(at..at + width);
            at += width;
        }
    }
    assert_eq!(at, range.end, "whole records");
    places
}
