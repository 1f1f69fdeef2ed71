//! The symbol table, read where it lies in the file: there are many symbols.

use super::{COUNT_MAX, LE, ObjectError, Section, SymbolTable64, text};
use object::LittleEndian;
use object::elf::{self, Sym64};
use object::read::elf::Sym as _;
use object::read::{SectionIndex, SymbolIndex};
use std::collections::{BTreeMap, HashMap};

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
    /// Whether no other module sees or defines it (`STV_HIDDEN`, `STV_INTERNAL`).
    pub hidden: bool,
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

/// The symbols of a file, all of which can be read.
#[derive(Clone, Debug, Default)]
pub struct Symbols<'d> {
    table: SymbolTable64<'d>,
    /// The `STT_FILE` symbols by index, and what they name.
    sources: Vec<(usize, SourceId)>,
    /// The start of the names of functions that count as nothing but their section.
    ignored: Option<&'static str>,
    /// Symbols that are taken for others than the file says, by index: their types and sizes.
    retyped: BTreeMap<usize, (elf::SymbolType, u64)>,
}

impl<'d> Symbols<'d> {
    /// Checks every symbol; the names of all source files, too.
    pub(super) fn read(
        table: SymbolTable64<'d>,
        sections: &[Section<'_>],
    ) -> Result<(Self, Vec<&'d str>), ObjectError> {
        if table.len() > COUNT_MAX || sections.len() > COUNT_MAX {
            return Err(ObjectError::Malformed("too many symbols".into()));
        }
        let mut names = Vec::new();
        let mut numbers = HashMap::new();
        let mut sources = Vec::new();
        for (index, symbol) in table.enumerate() {
            let name = text(table.symbol_name(LE, symbol)?)?;
            check(&table, index, symbol, name, sections)?;
            if symbol.st_type() == elf::STT_FILE {
                let source = match name {
                    "" => SourceId::NONE,
                    name => *numbers.entry(name).or_insert_with(|| {
                        names.push(name);
                        SourceId(names.len() as u32)
                    }),
                };
                sources.push((index.0, source));
            }
        }
        let symbols = Self {
            table,
            sources,
            ignored: None,
            retyped: BTreeMap::new(),
        };
        Ok((symbols, names))
    }

    /// From now on functions whose names begin so count as symbols of their section.
    pub(in crate::object) fn ignore(&mut self, start: &'static str) {
        self.ignored = Some(start);
    }

    /// From now on the symbol of this number has another type and size.
    pub(in crate::object) fn retype(&mut self, index: usize, kind: elf::SymbolType, size: u64) {
        self.retyped.insert(index, (kind, size));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All symbols, by index; the first is empty.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'d>> {
        self.table
            .enumerate()
            .map(|(index, entry)| self.symbol(index, entry))
    }

    /// The symbol of this number; an undefined one when there is none.
    #[must_use]
    pub fn get(&self, index: u32) -> Symbol<'d> {
        let index = SymbolIndex(index as usize);
        match self.table.symbol(index) {
            Ok(entry) => self.symbol(index, entry),
            Err(_) => Symbol {
                name: "",
                kind: elf::STT_NOTYPE,
                bind: elf::STB_LOCAL,
                hidden: false,
                place: Place::Undefined,
                value: 0,
                size: 0,
                source: SourceId::NONE,
            },
        }
    }

    /// Where a symbol is, and its value there: what costs less than the whole symbol.
    #[must_use]
    pub fn place(&self, index: u32) -> (Place, u64) {
        let index = SymbolIndex(index as usize);
        match self.table.symbol(index) {
            Ok(entry) => (place(&self.table, index, entry), entry.st_value(LE)),
            Err(_) => (Place::Undefined, 0),
        }
    }

    fn symbol(&self, index: SymbolIndex, entry: &Sym64<LittleEndian>) -> Symbol<'d> {
        let name = self.table.symbol_name(LE, entry).ok();
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let mut symbol = Symbol {
            name: name.unwrap_or_default(),
            kind: entry.st_type(),
            bind: entry.st_bind(),
            hidden: matches!(entry.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL),
            place: place(&self.table, index, entry),
            value: entry.st_value(LE),
            size: entry.st_size(LE),
            source: SourceId::NONE,
        };
        if symbol.bind == elf::STB_LOCAL && symbol.kind != elf::STT_FILE {
            symbol.source = self.source(index);
        }
        let ignored = self.ignored.is_some_and(|it| symbol.name.starts_with(it));
        if ignored && symbol.kind == elf::STT_FUNC {
            symbol.kind = elf::STT_SECTION;
        }
        if let Some((kind, size)) = self.retyped.get(&index.0) {
            (symbol.kind, symbol.size) = (*kind, *size);
        }
        symbol
    }

    /// The last `STT_FILE` before a symbol.
    fn source(&self, index: SymbolIndex) -> SourceId {
        let before = self.sources.partition_point(|(at, _)| *at < index.0);
        let last = before
            .checked_sub(1)
            .and_then(|last| self.sources.get(last));
        last.map_or(SourceId::NONE, |(_, source)| *source)
    }
}

fn place(table: &SymbolTable64<'_>, index: SymbolIndex, symbol: &Sym64<LittleEndian>) -> Place {
    match table.symbol_section(LE, symbol, index) {
        Ok(Some(SectionIndex(section))) => Place::Section(section),
        _ if symbol.st_shndx(LE) == elf::SHN_ABS => Place::Absolute,
        _ if symbol.st_shndx(LE) == elf::SHN_COMMON => Place::Common,
        _ => Place::Undefined,
    }
}

/// Whether it is known where the symbol is, and it lies in its section.
fn check(
    table: &SymbolTable64<'_>,
    index: SymbolIndex,
    symbol: &Sym64<LittleEndian>,
    name: &str,
    sections: &[Section<'_>],
) -> Result<(), ObjectError> {
    let number = symbol.st_shndx(LE);
    let known = [elf::SHN_ABS, elf::SHN_COMMON, elf::SHN_UNDEF].contains(&number);
    match table.symbol_section(LE, symbol, index)? {
        Some(SectionIndex(section)) => {
            let section = sections.get(section);
            let within = section.is_some_and(|section| symbol.st_value(LE) <= section.size);
            within.then_some(()).ok_or_else(|| {
                ObjectError::Malformed(format!("symbol `{name}` is not in its section"))
            })
        }
        None if known => Ok(()),
        None => Err(ObjectError::Malformed(format!(
            "symbol `{name}` is in the unknown section {:#x}",
            number.0
        ))),
    }
}
