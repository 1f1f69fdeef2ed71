//! From an ELF image in memory to its call-frame information. Nothing read here is trusted.

use super::image::Tables;
use super::section::Section;
use crate::memory::Memory;
use goblin::container::{Container, Ctx};
use goblin::elf::program_header::{PF_X, PT_GNU_EH_FRAME, PT_LOAD, ProgramHeader};
use livepatch_bundle::{LinkAddr, RunAddr};
use object::{Object, ObjectSection};

/// The largest section that is read.
pub(crate) const MAX_TABLE: usize = 256 << 20;
/// ELF header, program headers and build ID lie within it.
const FINGERPRINT: u64 = 4096;
const ELF_HEADER: usize = 64;
const MAX_PROGRAM_HEADERS: u16 = 1024;

/// Reads the tables of the image with its ELF header at `header`; the headers must know of executable code in `code`, or
/// it is another image by now.
pub(crate) fn read(
    header: RunAddr,
    bias: u64,
    code: &[(RunAddr, RunAddr)],
    file: Option<&[u8]>,
    memory: &dyn Memory,
) -> Option<Tables> {
    let (entry, headers) = program_headers(header, memory)?;
    let mut code = code.iter();
    if !code.any(|range| is_executable(*range, bias, &headers)) {
        return None;
    }
    let section = section_in_memory(bias, &headers, memory)
        .or_else(|| file.and_then(|file| section_in_file(file, bias)))?;
    Some(Tables {
        section,
        fingerprint: fingerprint(header, &headers, memory),
        entry: (entry.0 != 0).then(|| entry.at(bias)),
    })
}

/// The entry point and the program headers.
fn program_headers(header: RunAddr, memory: &dyn Memory) -> Option<(LinkAddr, Vec<ProgramHeader>)> {
    let bytes = memory.read_vec(header, ELF_HEADER).ok()?;
    let elf = goblin::elf::Elf::parse_header(&bytes).ok()?;
    let is_ours = elf.e_machine == goblin::elf::header::EM_X86_64
        && bytes[4] == goblin::elf::header::ELFCLASS64;
    if !is_ours || elf.e_phnum > MAX_PROGRAM_HEADERS || elf.e_phentsize != 56 {
        return None;
    }
    let at = RunAddr(header.0.checked_add(elf.e_phoff)?);
    let count = usize::from(elf.e_phnum);
    let bytes = memory.read_vec(at, count * 56).ok()?;
    let context = Ctx::new(Container::Big, goblin::container::Endian::Little);
    let headers = ProgramHeader::parse(&bytes, 0, count, context).ok()?;
    Some((LinkAddr(elf.e_entry), headers))
}

/// Whether the loadable executable segments, page by page, cover the mapping.
fn is_executable((start, end): (RunAddr, RunAddr), bias: u64, headers: &[ProgramHeader]) -> bool {
    headers.iter().any(|header| {
        let first = header.p_vaddr.wrapping_add(bias) & !4095;
        let last = header
            .p_vaddr
            .wrapping_add(header.p_memsz)
            .wrapping_add(bias);
        let last = last.saturating_add(4095) & !4095;
        header.p_type == PT_LOAD && header.p_flags & PF_X != 0 && first <= start.0 && end.0 <= last
    })
}

fn section_in_memory(bias: u64, headers: &[ProgramHeader], memory: &dyn Memory) -> Option<Section> {
    let header = headers
        .iter()
        .find(|header| header.p_type == PT_GNU_EH_FRAME)?;
    let address = LinkAddr(header.p_vaddr).at(bias);
    let len = usize::try_from(header.p_memsz)
        .ok()
        .filter(|len| *len <= MAX_TABLE)?;
    let index = memory.read_vec(address, len).ok()?;
    let start = eh_frame_start(address, &index)?;
    let len = usize::try_from(segment_end(start, bias, headers)?.checked_sub(start.0)?).ok()?;
    if len > MAX_TABLE {
        return None;
    }
    let bytes = memory.read_vec(start, len).ok()?;
    Some(Section::mapped(start, bytes, Some((address, index))))
}

fn eh_frame_start(address: RunAddr, header: &[u8]) -> Option<RunAddr> {
    let bases = gimli::BaseAddresses::default().set_eh_frame_hdr(address.0);
    let header = gimli::EhFrameHdr::new(header, gimli::LittleEndian);
    let start = header.parse(&bases, 8).ok()?.eh_frame_ptr().direct().ok()?;
    Some(RunAddr(start))
}

/// End of the file-backed part of the segment that holds `address`.
fn segment_end(address: RunAddr, bias: u64, headers: &[ProgramHeader]) -> Option<u64> {
    let link = address.unbias(bias).0;
    let segment = headers.iter().find(|header| {
        let end = header.p_vaddr.saturating_add(header.p_filesz);
        header.p_type == PT_LOAD && (header.p_vaddr..end).contains(&link)
    })?;
    segment
        .p_vaddr
        .checked_add(segment.p_filesz)?
        .checked_add(bias)
}

fn section_in_file(file: &[u8], bias: u64) -> Option<Section> {
    let elf = object::File::parse(file).ok()?;
    let bytes = |name: &str| {
        let section = elf.section_by_name(name)?;
        let range = section.compressed_file_range().ok()?;
        let plain = range.format == object::CompressionFormat::None;
        let data = section
            .data()
            .ok()
            .filter(|data| plain && !data.is_empty() && data.len() <= MAX_TABLE)?;
        Some((section.address(), data.to_vec()))
    };
    let eh_frame =
        bytes(".eh_frame").map(|(start, data)| Section::eh_frame_of_file(start, data, bias));
    eh_frame
        .or_else(|| bytes(".debug_frame").map(|(_, data)| Section::debug_frame_of_file(data, bias)))
}

/// The start of the first segment; it is mapped where the ELF header is.
fn fingerprint(
    header: RunAddr,
    headers: &[ProgramHeader],
    memory: &dyn Memory,
) -> Option<(RunAddr, Vec<u8>)> {
    let first = headers.iter().find(|header| header.p_type == PT_LOAD)?;
    let len = first.p_filesz.clamp(ELF_HEADER as u64, FINGERPRINT);
    let bytes = memory.read_vec(header, usize::try_from(len).ok()?).ok()?;
    Some((header, bytes))
}
