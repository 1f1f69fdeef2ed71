//! An ELF file on disk, or unpacked: sections and symbol tables, read piece by piece.
//!
//! Debug files may have hundreds of megabytes: only what is asked for is read. Nothing is mapped, since a
//! file that is cut short under a mapping would kill us.

use super::headers::{FileHeader, Segment};
use super::inside::MAX_TABLE;
use super::notes;
use super::table::SymbolTable;
use goblin::elf::section_header::{SHT_NOBITS, SHT_NOTE, SHT_SYMTAB};
use goblin::elf64::section_header::SectionHeader;
use livepatch_bundle::{BuildId, LinkAddr};
use scroll::{LE, Pread};
use std::fs::File;
use std::os::unix::fs::FileExt;

const SECTION_SIZE: u64 = 64;
const MAX_NOTES: u64 = 1 << 16;

/// An ELF file.
#[derive(Debug)]
pub(super) struct ElfFile {
    contents: Contents,
    len: u64,
    pub(super) segments: Vec<Segment>,
    sections: Vec<Section>,
}

#[derive(Debug)]
enum Contents {
    File(File),
    Bytes(Vec<u8>),
}

/// A section with contents in the file.
#[derive(Clone, Debug)]
pub(super) struct Section {
    name: String,
    kind: u32,
    address: LinkAddr,
    offset: u64,
    size: u64,
    align: u64,
    link: u32,
}

impl ElfFile {
    /// Reads the headers of a file; `None` if it is no x86-64 ELF file.
    pub(super) fn open(file: File) -> Option<Self> {
        let len = file.metadata().ok()?.len();
        Self::new(Contents::File(file), len)
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let len = bytes.len() as u64;
        Self::new(Contents::Bytes(bytes), len)
    }

    fn new(contents: Contents, len: u64) -> Option<Self> {
        let mut this = Self {
            contents,
            len,
            segments: Vec::new(),
            sections: Vec::new(),
        };
        let header = FileHeader::parse(&this.read(0, FileHeader::SIZE as u64)?)?;
        let segments = this.read(header.segments_at, header.segments_size() as u64)?;
        this.segments = Segment::parse_table(&segments);
        this.sections = this.read_sections(&header).unwrap_or_default();
        Some(this)
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of the file; `None` when it is shorter or the request is out of proportion.
    pub(super) fn read(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        let end = offset.checked_add(len)?;
        if end > self.len || len > MAX_TABLE {
            return None;
        }
        let (start, size) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        match &self.contents {
            Contents::Bytes(bytes) => bytes.get(start..start + size).map(<[u8]>::to_vec),
            Contents::File(file) => {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, offset).ok()?;
                Some(bytes)
            }
        }
    }

    fn read_sections(&self, header: &FileHeader) -> Option<Vec<Section>> {
        let size = u64::from(header.section_count) * SECTION_SIZE;
        let table = self.read(header.sections_at, size)?;
        let entries = table.chunks_exact(64);
        let raw: Vec<SectionHeader> = entries
            .filter_map(|entry| entry.pread_with(0, LE).ok())
            .collect();
        let names = raw.get(usize::from(header.section_names))?;
        let names = self.read(names.sh_offset, names.sh_size)?;
        let section = |raw: &SectionHeader| Section {
            name: name_at(&names, raw.sh_name as usize),
            kind: raw.sh_type,
            address: LinkAddr(raw.sh_addr),
            offset: raw.sh_offset,
            size: raw.sh_size,
            align: raw.sh_addralign,
            link: raw.sh_link,
        };
        Some(raw.iter().map(section).collect())
    }

    /// The contents of a section of this name.
    pub(super) fn section(&self, name: &str) -> Option<Vec<u8>> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        self.contents_of(section)
    }

    /// Where a loaded section of this name lies.
    pub(super) fn section_address(&self, name: &str) -> Option<LinkAddr> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        (section.address.0 != 0).then_some(section.address)
    }

    fn contents_of(&self, section: &Section) -> Option<Vec<u8>> {
        if section.kind == SHT_NOBITS {
            return None;
        }
        self.read(section.offset, section.size)
    }

    /// The build ID in the notes.
    pub(super) fn build_id(&self) -> Option<BuildId> {
        let notes = self.sections.iter().filter(|section| {
            section.kind == SHT_NOTE && section.size <= MAX_NOTES && section.size > 0
        });
        let from_section =
            |section: &Section| notes::build_id(&self.contents_of(section)?, section.align);
        notes
            .clone()
            .find_map(from_section)
            .or_else(|| self.build_id_in_segment())
    }

    /// For files whose section headers were cut off.
    fn build_id_in_segment(&self) -> Option<BuildId> {
        use goblin::elf64::program_header::PT_NOTE;
        let mut notes = self.segments.iter().filter(|s| s.kind == PT_NOTE);
        notes.find_map(|segment| {
            let bytes = self.read(segment.offset, segment.file_size.min(MAX_NOTES))?;
            notes::build_id(&bytes, segment.align)
        })
    }

    /// `.symtab`.
    pub(super) fn symbols(&self) -> Option<SymbolTable> {
        let section = self.sections.iter().find(|s| s.kind == SHT_SYMTAB)?;
        let strings = self.sections.get(section.link as usize)?;
        let symbols = self.contents_of(section)?;
        Some(SymbolTable::new(&symbols, self.contents_of(strings)?))
    }
}

/// A section name; names are short, and 65,535 sections may share one string table.
fn name_at(names: &[u8], offset: usize) -> String {
    const MAX_NAME: usize = 64;
    let tail = names.get(offset..).unwrap_or_default();
    let tail = &tail[..tail.len().min(MAX_NAME)];
    let end = memchr::memchr(0, tail).unwrap_or(tail.len());
    String::from_utf8_lossy(&tail[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_own_file_has_symbols_and_a_build_id() {
        let file = File::open("/proc/self/exe").expect("our own file");
        let file = ElfFile::open(file).expect("an ELF file");
        assert!(file.symbols().is_some_and(|table| table.len() > 100));
        assert!(file.section_address(".eh_frame").is_some());
        assert_eq!(file.section(".no_such_section"), None);
        assert!(file.read(file.len, 1).is_none());
    }

    proptest! {
        /// Section headers and the ELF header of a small debug file, damaged.
        #[test]
        fn damaged_files_are_survived(
            damage in prop::collection::vec((0usize..64 + 4 * 64, any::<u8>()), 1..12)
        ) {
            let mut bytes = small_file();
            for (at, value) in damage {
                bytes[at] = value;
            }
            if let Some(file) = ElfFile::from_bytes(bytes) {
                file.build_id();
                file.section(".symtab");
                if let Some(table) = file.symbols() {
                    table.named(b"name");
                }
            }
        }
    }

    /// Header, four sections (null, symbols, strings, notes), then their contents.
    fn small_file() -> Vec<u8> {
        let mut bytes = vec![0; 64 + 4 * 64 + 256];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
        bytes[40] = 64;
        bytes[60..64].copy_from_slice(&[4, 0, 2, 0]);
        for (index, (kind, link)) in [(0, 0), (2, 2), (3, 0), (7, 0)].into_iter().enumerate() {
            let section = &mut bytes[64 + 64 * index..][..64];
            section[4] = kind;
            section[24..28].copy_from_slice(&320u32.to_le_bytes());
            section[32] = 192;
            section[40] = link;
        }
        bytes
    }
}
