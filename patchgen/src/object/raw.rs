//! The tables of an ELF64 x86-64 relocatable file, checked and copied out of the file format.
//!
//! Everything is bounds-checked here, so that the rest may index by what it finds: a symbol's section exists and
//! holds its value, relocations are sorted and lie within their section.

use object::LittleEndian;
use object::elf::{self, FileHeader64, SectionHeader64, Sym64};
use object::read::elf::{
    FileHeader, Rela as _, SectionHeader, SectionTable, Sym as _, SymbolTable,
};
use object::read::{SectionIndex, SymbolIndex};
use std::collections::HashMap;
use thiserror::Error;

type Header = FileHeader64<LittleEndian>;
type Sections<'d> = SectionTable<'d, Header>;
type Symbols<'d> = SymbolTable<'d, Header>;

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
    pub relocations: Vec<Relocation>,
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

/// An entry of a relocation section.
#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    /// Offset of the field in the section.
    pub offset: u64,
    /// `R_X86_64_*`.
    pub number: u32,
    /// Index into the symbol table.
    pub symbol: u32,
    /// The addend.
    pub addend: i64,
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In another file.
    Undefined,
    /// A number, no place.
    Absolute,
    /// The linker makes room for it.
    Common,
    /// In this section, at `value`.
    Section(usize),
}

/// A symbol.
#[derive(Clone, Debug)]
pub struct Symbol<'d> {
    /// Its name; empty for most section symbols.
    pub name: &'d str,
    /// `st_type`.
    pub kind: elf::SymbolType,
    /// `st_bind`.
    pub bind: elf::SymbolBind,
    /// Where it is.
    pub place: Place,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
    /// The `STT_FILE` symbol before it, for local symbols.
    pub source: SourceId,
}

/// The number of an `STT_FILE` name; names that are equal have one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

impl SourceId {
    /// No name.
    pub const NONE: Self = Self(0);

    /// The name among all of the file.
    #[must_use]
    pub fn name<'d>(self, sources: &[&'d str]) -> Option<&'d str> {
        let index = (self.0 as usize).checked_sub(1)?;
        sources.get(index).copied()
    }
}

/// The file's tables.
#[derive(Debug, Default)]
pub struct Tables<'d> {
    /// By section index; the first is empty.
    pub sections: Vec<Section<'d>>,
    /// By symbol index; the first is empty.
    pub symbols: Vec<Symbol<'d>>,
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
    let mut sections = table
        .iter()
        .map(|section| read_section(&table, section, data))
        .collect::<Result<Vec<_>, _>>()?;
    let symbol_table = table.symbols(LE, data, elf::SHT_SYMTAB)?;
    let (symbols, sources) = read_symbols(&symbol_table, &sections)?;
    for section in table.iter() {
        read_relocations(section, data, &symbol_table, &mut sections)?;
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
        relocations: Vec::new(),
    })
}

fn read_symbols<'d>(
    table: &Symbols<'d>,
    sections: &[Section<'_>],
) -> Result<(Vec<Symbol<'d>>, Vec<&'d str>), ObjectError> {
    if table.len() > COUNT_MAX || sections.len() > COUNT_MAX {
        return Err(ObjectError::Malformed("too many symbols".into()));
    }
    let mut names = Vec::new();
    let mut numbers = HashMap::new();
    let mut source = SourceId::NONE;
    let mut symbols = Vec::with_capacity(table.len());
    for (index, symbol) in table.enumerate() {
        let mut symbol = read_symbol(table, index, symbol, sections)?;
        if symbol.kind == elf::STT_FILE {
            source = match symbol.name {
                "" => SourceId::NONE,
                name => *numbers.entry(name).or_insert_with(|| {
                    names.push(name);
                    SourceId(names.len() as u32)
                }),
            };
        } else if symbol.bind == elf::STB_LOCAL {
            symbol.source = source;
        }
        symbols.push(symbol);
    }
    Ok((symbols, names))
}

fn read_symbol<'d>(
    table: &Symbols<'d>,
    index: SymbolIndex,
    symbol: &Sym64<LittleEndian>,
    sections: &[Section<'_>],
) -> Result<Symbol<'d>, ObjectError> {
    let name = text(table.symbol_name(LE, symbol)?)?;
    let value = symbol.st_value(LE);
    let number = symbol.st_shndx(LE);
    let place = match table.symbol_section(LE, symbol, index)? {
        Some(SectionIndex(section)) => Place::Section(section),
        None if number == elf::SHN_ABS => Place::Absolute,
        None if number == elf::SHN_COMMON => Place::Common,
        None if number == elf::SHN_UNDEF => Place::Undefined,
        None => {
            return Err(ObjectError::Malformed(format!(
                "symbol `{name}` is in the unknown section {:#x}",
                number.0
            )));
        }
    };
    if let Place::Section(section) = place {
        let within = sections
            .get(section)
            .is_some_and(|section| value <= section.size);
        if !within {
            return Err(ObjectError::Malformed(format!(
                "symbol `{name}` is not in its section"
            )));
        }
    }
    Ok(Symbol {
        name,
        kind: symbol.st_type(),
        bind: symbol.st_bind(),
        place,
        value,
        size: symbol.st_size(LE),
        source: SourceId::NONE,
    })
}

fn read_relocations(
    header: &SectionHeader64<LittleEndian>,
    data: &[u8],
    symbols: &Symbols<'_>,
    sections: &mut [Section<'_>],
) -> Result<(), ObjectError> {
    if header.sh_type(LE) == elf::SHT_REL {
        return Err(ObjectError::Unsuitable(
            "relocations without addends, not for x86-64",
        ));
    }
    let Some((entries, link)) = header.rela(LE, data)? else {
        return Ok(());
    };
    let Some(section) = sections.get_mut(header.sh_info(LE) as usize) else {
        return Err(ObjectError::Malformed("relocations of no section".into()));
    };
    if link != symbols.section() {
        return Err(ObjectError::Malformed(format!(
            "relocations of `{}` use another symbol table",
            section.name
        )));
    }
    section.relocations.reserve_exact(entries.len());
    for entry in entries {
        let number = entry.r_type(LE, false);
        if number == elf::R_X86_64_NONE {
            continue;
        }
        let symbol = entry.r_sym(LE, false);
        let offset = entry.r_offset(LE);
        if symbol as usize >= symbols.len() || offset >= section.full_size() {
            return Err(ObjectError::Malformed(format!(
                "a relocation of `{}` at {offset:#x} is out of range",
                section.name
            )));
        }
        section.relocations.push(Relocation {
            offset,
            number: number.0,
            symbol,
            addend: entry.r_addend(LE),
        });
    }
    section
        .relocations
        .sort_by_key(|relocation| relocation.offset);
    Ok(())
}
