//! The tables of an ELF64 x86-64 relocatable file, checked.
//!
//! Everything is bounds-checked here, so that the rest may index by what it finds: a symbol's section exists and
//! holds its value, relocations are sorted and lie within their section.

mod relocations;
mod symbols;

pub use relocations::{Relocation, Relocations};
pub use symbols::{Place, SourceId, Symbol, Symbols};

use object::LittleEndian;
use object::elf::{self, FileHeader64, SectionHeader64};
use object::read::elf::{FileHeader, SectionHeader, SectionTable, SymbolTable};
use thiserror::Error;

type Header = FileHeader64<LittleEndian>;
type Sections<'d> = SectionTable<'d, Header>;
type SymbolTable64<'d> = SymbolTable<'d, Header>;

const LE: LittleEndian = LittleEndian;
/// More sections or symbols than any compiler makes: their numbers fit 32 bits many times over.
const COUNT_MAX: usize = 1 << 28;

/// Why a file cannot be read as an object file.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// No ELF file at all.
    #[error("not an ELF file")]
    NotElf,
    /// An ELF file of another kind, class or machine.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// Truncated or inconsistent.
    #[error("malformed object file")]
    Elf(#[from] object::read::Error),
    /// Inconsistent, found by us.
    #[error("malformed object file: {0}")]
    Malformed(String),
}

/// A section's header and contents.
#[derive(Clone, Debug)]
pub struct Section<'d> {
    /// Its name.
    pub name: &'d str,
    /// `sh_type`.
    pub sh_type: elf::SectionType,
    /// `sh_flags`.
    pub flags: u64,
    /// Contents; empty for `SHT_NOBITS`.
    pub data: &'d [u8],
    /// `sh_size`.
    pub size: u64,
    /// `sh_addralign`, at least 1.
    pub align: u64,
    /// `sh_entsize`.
    pub entsize: u64,
    /// Relocations sorted by offset.
    pub relocations: Relocations<'d>,
}

impl Section<'_> {
    /// Whether all of `flags` are set.
    #[must_use]
    pub fn has(&self, flags: elf::SectionFlags) -> bool {
        self.flags & flags.0 == flags.0
    }

    /// The size of the contents that relocations are about: compressed sections are relocated when decompressed.
    #[must_use]
    pub fn full_size(&self) -> u64 {
        match self.has(elf::SHF_COMPRESSED) {
            true => super::debug::full_size(self.data).unwrap_or(self.size),
            false => self.size,
        }
    }

    /// Whether the section is loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.has(elf::SHF_ALLOC)
    }

    /// Whether it holds code.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.is_loaded() && self.has(elf::SHF_EXECINSTR)
    }

    /// Whether it holds the records of `.eh_frame`.
    #[must_use]
    pub fn is_unwind(&self) -> bool {
        self.name == ".eh_frame"
    }
}

/// The file's tables.
#[derive(Debug, Default)]
pub struct Tables<'d> {
    /// By section index; the first is empty.
    pub sections: Vec<Section<'d>>,
    /// By symbol index; the first is empty.
    pub symbols: Symbols<'d>,
    /// The names of `STT_FILE` symbols, by [`SourceId`].
    pub sources: Vec<&'d str>,
}

/// Reads the tables.
///
/// # Errors
/// When the file is not a well-formed ELF64 x86-64 relocatable file.
pub fn read(data: &[u8]) -> Result<Tables<'_>, ObjectError> {
    let header = header(data)?;
    let table = header.sections(LE, data)?;
    let mut sections = Vec::with_capacity(table.len());
    for section in table.iter() {
        sections.push(read_section(&table, section, data)?);
    }
    let symbol_table = table.symbols(LE, data, elf::SHT_SYMTAB)?;
    let (symbols, sources) = Symbols::read(symbol_table, &sections)?;
    for section in table.iter() {
        relocations::read(section, data, &symbol_table, &mut sections)?;
    }
    Ok(Tables {
        sections,
        symbols,
        sources,
    })
}

fn header(data: &[u8]) -> Result<&Header, ObjectError> {
    if !data.starts_with(&elf::ELFMAG) {
        return Err(ObjectError::NotElf);
    }
    match data.get(4..6) {
        Some([class, encoding])
            if *class == elf::ELFCLASS64.0 && *encoding == elf::ELFDATA2LSB.0 => {}
        Some(_) => return Err(ObjectError::Unsuitable("not a 64-bit little-endian file")),
        None => return Err(ObjectError::Malformed("the header is cut off".into())),
    }
    let header = Header::parse(data)?;
    if header.e_machine(LE) != elf::EM_X86_64 {
        return Err(ObjectError::Unsuitable("not for x86-64"));
    }
    if header.e_type(LE) != elf::ET_REL {
        return Err(ObjectError::Unsuitable(
            "a linked file, not an object file (pass it with `--target`)",
        ));
    }
    Ok(header)
}

fn text(bytes: &[u8]) -> Result<&str, ObjectError> {
    std::str::from_utf8(bytes).map_err(|_| {
        ObjectError::Malformed(format!("the name `{}` is not UTF-8", bytes.escape_ascii()))
    })
}

fn read_section<'d>(
    table: &Sections<'d>,
    header: &SectionHeader64<LittleEndian>,
    data: &'d [u8],
) -> Result<Section<'d>, ObjectError> {
    let name = text(table.section_name(LE, header)?)?;
    let align = header.sh_addralign(LE).max(1);
    if !align.is_power_of_two() {
        return Err(ObjectError::Malformed(format!(
            "section `{name}` has the alignment {align:#x}"
        )));
    }
    let kind = header.sh_type(LE);
    let flags = header.sh_flags(LE).0;
    let loaded = flags & elf::SHF_ALLOC.0 != 0;
    if kind == elf::SHT_NOBITS && loaded && flags & elf::SHF_WRITE.0 == 0 {
        return Err(ObjectError::Unsuitable(
            "a file of debug information only, its code was stripped",
        ));
    }
    let contents = if kind == elf::SHT_NULL {
        &[]
    } else {
        header.data(LE, data)?
    };
    Ok(Section {
        name,
        sh_type: kind,
        flags,
        data: contents,
        size: header.sh_size(LE),
        align,
        entsize: header.sh_entsize(LE),
        relocations: Relocations::default(),
    })
}
