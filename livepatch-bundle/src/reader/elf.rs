//! The outer shape: the ELF header, and sections that lie within the file and apart from each other.

use crate::{BundleError, format};
use object::elf::{self, FileHeader64, SectionHeader64};
use object::{LittleEndian as LE, ReadRef, StringTable};

const HEADER_LEN: u64 = size_of::<FileHeader64<LE>>() as u64;
const SECTION_HEADER_LEN: u64 = size_of::<SectionHeader64<LE>>() as u64;

/// A section of the file.
pub(super) struct RawSection<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its header.
    pub(super) header: &'a SectionHeader64<LE>,
    /// Its contents; empty for `SHT_NOBITS`.
    pub(super) data: &'a [u8],
}

/// A relocatable x86-64 file.
pub(crate) struct Elf<'a> {
    /// Every section, the null section included, by ELF index.
    pub(super) sections: Vec<RawSection<'a>>,
    /// `e_shstrndx`.
    pub(super) names_index: usize,
    /// How many bytes of names may be copied out of the string tables.
    pub(super) name_budget: u64,
}

impl<'a> Elf<'a> {
    /// Checks the header and the section headers' ranges.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, BundleError> {
        let header = header(bytes)?;
        let headers = section_headers(bytes, header)?;
        let names_index = usize::from(header.e_shstrndx.get(LE).0);
        let strings = section_names(bytes, headers, names_index)?;
        let sections = headers
            .iter()
            .enumerate()
            .map(|(index, header)| raw_section(bytes, header, index, strings))
            .collect::<Result<Vec<_>, _>>()?;
        no_overlap(header, headers)?;
        Ok(Self {
            sections,
            names_index,
            name_budget: (bytes.len() as u64).saturating_mul(4),
        })
    }

    /// The contents of the manifest's section.
    pub(crate) fn manifest(&self) -> Result<&'a [u8], BundleError> {
        let mut found = self
            .sections
            .iter()
            .filter(|section| section.name == format::MANIFEST);
        let manifest = found.next().ok_or(BundleError::NotABundle)?;
        if found.next().is_some() {
            return Err(BundleError::malformed("two manifests"));
        }
        Ok(manifest.data)
    }
}

fn header(bytes: &[u8]) -> Result<&FileHeader64<LE>, BundleError> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(BundleError::NotElf);
    }
    let len = bytes.len() as u64;
    if len > format::MAX_SIZE {
        return Err(BundleError::TooLarge { size: len });
    }
    ident(bytes)?;
    let header: &FileHeader64<LE> = bytes.read_at(0).map_err(|()| BundleError::Truncated {
        what: "the ELF header".into(),
        needed: HEADER_LEN,
        len,
    })?;
    let wanted = [
        (
            "e_type",
            u64::from(header.e_type.get(LE).0),
            u64::from(elf::ET_REL.0),
        ),
        (
            "e_machine",
            u64::from(header.e_machine.get(LE).0),
            u64::from(elf::EM_X86_64.0),
        ),
        ("e_version", u64::from(header.e_version.get(LE)), 1),
        ("e_entry", header.e_entry.get(LE), 0),
        ("e_phoff", header.e_phoff.get(LE), 0),
        ("e_flags", u64::from(header.e_flags.get(LE).0), 0),
        ("e_ehsize", u64::from(header.e_ehsize.get(LE)), HEADER_LEN),
        ("e_phentsize", u64::from(header.e_phentsize.get(LE)), 0),
        ("e_phnum", u64::from(header.e_phnum.get(LE)), 0),
        (
            "e_shentsize",
            u64::from(header.e_shentsize.get(LE)),
            SECTION_HEADER_LEN,
        ),
    ];
    agree(&wanted)?;
    Ok(header)
}

/// The identification bytes, as far as the file goes: a 32-bit or big-endian file is recognised before its
/// other fields are misread.
fn ident(bytes: &[u8]) -> Result<(), BundleError> {
    let at = |index: usize, field, wanted: u8| {
        let found = bytes.get(index).copied().unwrap_or(wanted);
        (field, u64::from(found), u64::from(wanted))
    };
    agree(&[
        at(4, "EI_CLASS", elf::ELFCLASS64.0),
        at(5, "EI_DATA", elf::ELFDATA2LSB.0),
        at(6, "EI_VERSION", elf::EV_CURRENT.0),
        at(7, "EI_OSABI", elf::ELFOSABI_NONE.0),
        at(8, "EI_ABIVERSION", 0),
    ])
}

fn agree(fields: &[(&'static str, u64, u64)]) -> Result<(), BundleError> {
    match fields.iter().find(|(_, found, wanted)| found != wanted) {
        None => Ok(()),
        Some(&(field, found, wanted)) => Err(BundleError::WrongTarget {
            field,
            found,
            wanted,
        }),
    }
}

fn section_headers<'a>(
    bytes: &'a [u8],
    header: &FileHeader64<LE>,
) -> Result<&'a [SectionHeader64<LE>], BundleError> {
    let offset = header.e_shoff.get(LE);
    let count = usize::from(header.e_shnum.get(LE));
    if offset == 0 || count == 0 {
        return Err(BundleError::NotABundle);
    }
    bytes
        .read_slice_at(offset, count)
        .map_err(|()| BundleError::Truncated {
            what: "the section header table".into(),
            needed: offset.saturating_add(count as u64 * SECTION_HEADER_LEN),
            len: bytes.len() as u64,
        })
}

fn section_names<'a>(
    bytes: &'a [u8],
    headers: &[SectionHeader64<LE>],
    index: usize,
) -> Result<StringTable<'a>, BundleError> {
    let header = headers
        .get(index)
        .filter(|header| header.sh_type.get(LE) == elf::SHT_STRTAB)
        .ok_or_else(|| BundleError::malformed("e_shstrndx is not a string table"))?;
    let data = contents(bytes, header, index)?;
    Ok(StringTable::new(data, 0, data.len() as u64))
}

fn raw_section<'a>(
    bytes: &'a [u8],
    header: &'a SectionHeader64<LE>,
    index: usize,
    strings: StringTable<'a>,
) -> Result<RawSection<'a>, BundleError> {
    let data = contents(bytes, header, index)?;
    let name = match index {
        0 => "",
        _ => strings
            .get(header.sh_name.get(LE))
            .ok()
            .and_then(|name| std::str::from_utf8(name).ok())
            .ok_or_else(|| BundleError::malformed(format!("section {index} has no valid name")))?,
    };
    Ok(RawSection { name, header, data })
}

fn contents<'a>(
    bytes: &'a [u8],
    header: &SectionHeader64<LE>,
    index: usize,
) -> Result<&'a [u8], BundleError> {
    if !has_contents(header) {
        return Ok(&[]);
    }
    let (offset, size) = (header.sh_offset.get(LE), header.sh_size.get(LE));
    let truncated = || BundleError::Truncated {
        what: format!("section {index}"),
        needed: offset.saturating_add(size),
        len: bytes.len() as u64,
    };
    let end = offset.checked_add(size).ok_or_else(truncated)?;
    if end > bytes.len() as u64 {
        return Err(truncated());
    }
    bytes.read_bytes_at(offset, size).map_err(|()| truncated())
}

fn has_contents(header: &SectionHeader64<LE>) -> bool {
    let sh_type = header.sh_type.get(LE);
    sh_type != elf::SHT_NOBITS && sh_type != elf::SHT_NULL
}

/// Bytes that belong to two sections would be decoded twice: a small file could grow without bound.
fn no_overlap(
    header: &FileHeader64<LE>,
    sections: &[SectionHeader64<LE>],
) -> Result<(), BundleError> {
    let table = (
        header.e_shoff.get(LE),
        sections.len() as u64 * SECTION_HEADER_LEN,
    );
    let mut ranges: Vec<(u64, u64)> = sections
        .iter()
        .filter(|section| has_contents(section))
        .map(|section| (section.sh_offset.get(LE), section.sh_size.get(LE)))
        .chain([(0, HEADER_LEN), table])
        .filter(|&(_, size)| size > 0)
        .collect();
    ranges.sort_unstable();
    let apart = |pair: &[(u64, u64)]| pair[0].0.saturating_add(pair[0].1) <= pair[1].0;
    if ranges.windows(2).all(apart) {
        return Ok(());
    }
    Err(BundleError::malformed("sections overlap in the file"))
}
