//! ELF headers and program headers (gABI chapters "ELF Header", "Program Header"), every field checked.

use goblin::elf64::header::{self, Header};
use goblin::elf64::program_header::{PT_LOAD, ProgramHeader};
use livepatch_bundle::LinkAddr;
use scroll::{LE, Pread};
use std::ops::Range;

pub(super) const PAGE: u64 = 4096;
const MAX_SEGMENTS: u16 = 1024;
const SEGMENT_SIZE: usize = 56;
/// User space on x86-64 has at most 56 bits (5-level paging).
const ADDRESS_LIMIT: u64 = 1 << 56;

/// What the file header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// `ET_EXEC`: linked for fixed addresses.
    pub(super) fixed: bool,
    pub(super) segments_at: u64,
    pub(super) segment_count: u16,
    pub(super) sections_at: u64,
    pub(super) section_count: u16,
    pub(super) section_names: u16,
}

impl FileHeader {
    pub(super) const SIZE: usize = 64;

    /// Decodes the first 64 bytes of an x86-64 executable, library or debug file.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let raw: Header = bytes.pread_with(0, LE).ok()?;
        let fits = raw.e_ident[..4] == *header::ELFMAG
            && raw.e_ident[header::EI_CLASS] == header::ELFCLASS64
            && raw.e_ident[header::EI_DATA] == header::ELFDATA2LSB
            && raw.e_machine == header::EM_X86_64
            && matches!(raw.e_type, header::ET_EXEC | header::ET_DYN)
            && (raw.e_phnum == 0 || usize::from(raw.e_phentsize) == SEGMENT_SIZE)
            && raw.e_phnum <= MAX_SEGMENTS;
        fits.then_some(Self {
            fixed: raw.e_type == header::ET_EXEC,
            segments_at: raw.e_phoff,
            segment_count: raw.e_phnum,
            sections_at: raw.e_shoff,
            section_count: raw.e_shnum,
            section_names: raw.e_shstrndx,
        })
    }

    /// Size in bytes of the program header table.
    pub(super) fn segments_size(&self) -> usize {
        usize::from(self.segment_count) * SEGMENT_SIZE
    }
}

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`.
    pub flags: u32,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// `p_vaddr`.
    pub address: LinkAddr,
    /// Bytes that come from the file.
    pub file_size: u64,
    /// Bytes in memory; what the file does not give is zero.
    pub memory_size: u64,
    /// Alignment: a power of two, at least 1.
    pub align: u64,
}

impl Segment {
    /// Decodes a program header table. Entries whose extent or alignment is impossible are left out.
    pub(super) fn parse_table(bytes: &[u8]) -> Vec<Self> {
        let entries = bytes.chunks_exact(SEGMENT_SIZE);
        entries.filter_map(Self::parse).collect()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let raw: ProgramHeader = bytes.pread_with(0, LE).ok()?;
        let in_space = raw.p_vaddr.checked_add(raw.p_memsz)? <= ADDRESS_LIMIT;
        let in_file = raw.p_offset.checked_add(raw.p_filesz)? <= i64::MAX.cast_unsigned();
        let align = raw.p_align.max(1);
        (in_space && in_file && align.is_power_of_two() && align <= 1 << 40).then_some(Self {
            kind: raw.p_type,
            flags: raw.p_flags,
            offset: raw.p_offset,
            address: LinkAddr(raw.p_vaddr),
            file_size: raw.p_filesz,
            memory_size: raw.p_memsz,
            align,
        })
    }

    /// `PT_LOAD`.
    #[must_use]
    pub fn is_load(&self) -> bool {
        self.kind == PT_LOAD
    }

    /// `PF_X`.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.flags & goblin::elf64::program_header::PF_X != 0
    }

    /// `PF_W`.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.flags & goblin::elf64::program_header::PF_W != 0
    }

    /// Whether the link-time address lies in the part that is in memory.
    #[must_use]
    pub fn contains(&self, address: LinkAddr) -> bool {
        address
            .0
            .checked_sub(self.address.0)
            .is_some_and(|offset| offset < self.memory_size)
    }
}

/// The pages from the first to the last loaded segment, link-time.
pub(super) fn extent(segments: &[Segment]) -> Option<Range<LinkAddr>> {
    let loads = || segments.iter().filter(|segment| segment.is_load());
    let start = loads().map(|segment| segment.address.0).min()?;
    let end = loads()
        .map(|segment| segment.address.0 + segment.memory_size)
        .max()?;
    Some(LinkAddr(start & !(PAGE - 1))..LinkAddr(end.checked_next_multiple_of(PAGE)?))
}

/// The load bias when the first page of the file is mapped at `header`.
pub(super) fn bias(file: &FileHeader, segments: &[Segment], header: u64) -> Option<u64> {
    let first = segments
        .iter()
        .find(|segment| segment.is_load() && segment.offset < PAGE)?;
    if first.address.0 % PAGE != first.offset % PAGE {
        return None;
    }
    let bias = header.wrapping_sub(first.address.0 - first.offset % PAGE);
    let extent = extent(segments)?;
    let (start, end) = (extent.start.at(bias), extent.end.at(bias));
    let plausible = if file.fixed {
        bias == 0
    } else {
        bias.is_multiple_of(PAGE)
    };
    (plausible && start.0 <= header && header < end.0 && end.0 <= ADDRESS_LIMIT).then_some(bias)
}
