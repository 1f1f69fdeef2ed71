//! Relocation sections, read where they lie in the file: there are many entries.

use super::{LE, ObjectError, Section, SymbolTable64};
use object::LittleEndian;
use object::elf::{self, Rela64, SectionHeader64};
use object::read::elf::{Rela as _, SectionHeader};
use std::borrow::Cow;
use std::ops::Range;

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

impl Relocation {
    fn of(entry: &Rela64<LittleEndian>) -> Self {
        Self {
            offset: entry.r_offset(LE),
            number: entry.r_type(LE, false).0,
            symbol: entry.r_sym(LE, false),
            addend: entry.r_addend(LE),
        }
    }
}

/// The relocations of a section, sorted by offset.
#[derive(Clone, Debug, Default)]
pub struct Relocations<'d>(Cow<'d, [Rela64<LittleEndian>]>);

impl Relocations<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one of this number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Relocation> {
        self.0.get(index).map(Relocation::of)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Relocation> {
        self.0.iter().map(Relocation::of)
    }

    /// The numbers of those whose fields begin in `places`.
    #[must_use]
    pub fn within(&self, places: Range<u64>) -> Range<usize> {
        let before = |place| self.0.partition_point(|entry| entry.r_offset(LE) < place);
        let first = before(places.start);
        first..before(places.end).max(first)
    }

    /// The number of one whose field begins at `offset`.
    #[must_use]
    pub fn find(&self, offset: u64) -> Option<usize> {
        let found = self
            .0
            .binary_search_by_key(&offset, |entry| entry.r_offset(LE));
        found.ok()
    }
}

impl<'d> Relocations<'d> {
    /// Sorts the entries, of which those that do nothing are left out.
    fn of(entries: &'d [Rela64<LittleEndian>]) -> Self {
        let is_none = |entry: &Rela64<LittleEndian>| entry.r_type(LE, false) == elf::R_X86_64_NONE;
        if entries.is_sorted_by_key(|entry| entry.r_offset(LE)) && !entries.iter().any(is_none) {
            return Self(Cow::Borrowed(entries));
        }
        let mut own: Vec<_> = entries.to_vec();
        own.retain(|entry| !is_none(entry));
        own.sort_by_key(|entry| entry.r_offset(LE));
        Self(Cow::Owned(own))
    }

    /// These and others: nothing forbids a section to have several relocation sections.
    fn and(self, others: &Self) -> Self {
        if others.is_empty() {
            return self;
        }
        let mut all = others.0.to_vec();
        all.extend_from_slice(&self.0);
        all.sort_by_key(|entry| entry.r_offset(LE));
        Self(Cow::Owned(all))
    }
}

/// Gives the section that a relocation section is about its relocations; other sections are left alone.
pub(super) fn read<'d>(
    header: &SectionHeader64<LittleEndian>,
    data: &'d [u8],
    symbols: &SymbolTable64<'d>,
    sections: &mut [Section<'d>],
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
    let relocations = Relocations::of(entries).and(&section.relocations);
    let size = section.full_size();
    let stray = relocations
        .iter()
        .find(|entry| entry.symbol as usize >= symbols.len() || entry.offset >= size);
    if let Some(Relocation { offset, .. }) = stray {
        return Err(ObjectError::Malformed(format!(
            "a relocation of `{}` at {offset:#x} is out of range",
            section.name
        )));
    }
    section.relocations = relocations;
    Ok(())
}
