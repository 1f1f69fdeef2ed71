//! Read-only data without names: where one piece ends and the next begins.
//!
//! The assembler forgets the compiler's `.L` labels. What is left are the places that code refers to: an address that
//! is taken, or indexed, is the start of something; a plain access may be to the middle of it, and only begins a *part*.
//! A jump table is known by its contents: consecutive addresses of places inside functions.

use super::Role;
use super::link::Resolver;
use super::raw::{Place, Section};
use object::elf;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A stretch of read-only data without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A jump table.
    Table(Range<u64>),
    /// Anything else, and whether something begins there.
    Literal(Range<u64>, bool),
}

/// The places in a section that are referred to, and whether something begins there.
pub(super) type Starts = BTreeMap<u64, bool>;

/// The places in read-only sections that are referred to, by section.
pub(super) fn starts(resolver: &Resolver<'_, '_>) -> HashMap<usize, Starts> {
    let sections = &resolver.tables.sections;
    let mut starts: HashMap<usize, Starts> = HashMap::new();
    for (from, section) in sections.iter().enumerate() {
        if !section.is_loaded() || section.is_unwind() {
            continue;
        }
        for index in 0..section.relocations.len() {
            let Some(lead) = resolver.lead(from, index) else {
                continue;
            };
            let Place::Section(to) = lead.place else {
                continue;
            };
            let begins = !matches!(lead.site.role, Role::Access | Role::Call | Role::Jump);
            if let Ok(offset) = u64::try_from(lead.offset)
                && has_literals(&sections[to])
            {
                *starts.entry(to).or_default().entry(offset).or_default() |= begins;
            }
        }
    }
    starts
}

/// Whether nameless parts of the section are literals.
pub(super) fn has_literals(section: &Section<'_>) -> bool {
    let writable = section.has(elf::SHF_WRITE) && !section.name.starts_with(".data.rel.ro");
    section.is_loaded() && !section.is_code() && !writable && !section.has(elf::SHF_TLS)
}

/// Cuts a nameless stretch of section `section` at `starts`.
pub(super) fn cut(
    resolver: &Resolver<'_, '_>,
    section: usize,
    gap: Range<u64>,
    starts: &Starts,
) -> Vec<Part> {
    let mut parts = Vec::new();
    let inner = starts.range(gap.start + 1..gap.end);
    let mut cuts: Vec<(u64, bool)> = inner.map(|(at, begins)| (*at, *begins)).collect();
    cuts.push((gap.end, true));
    let (mut from, mut begins) = (gap.start, true);
    for (cut, next_begins) in cuts {
        let table_end = table_end(resolver, section, from..cut);
        if table_end > from {
            parts.push(Part::Table(from..table_end));
        }
        if cut > table_end {
            parts.push(Part::Literal(table_end..cut, begins || table_end > from));
        }
        (from, begins) = (cut, next_begins);
    }
    parts
}

/// How far a jump table reaches that begins with `range`.
fn table_end(resolver: &Resolver<'_, '_>, section: usize, range: Range<u64>) -> u64 {
    let relocations = &resolver.tables.sections[section].relocations;
    let mut end = range.start;
    for index in relocations.within(range.clone()) {
        let Some(relocation) = relocations.get(index) else {
            break;
        };
        let width = match relocation.number {
            number if number == elf::R_X86_64_PC32.0 => 4,
            number if number == elf::R_X86_64_64.0 => 8,
            _ => break,
        };
        let fits = relocation.offset == end && range.end - end >= width;
        if !fits || !leads_into_code(resolver, section, index, width == 8) {
            break;
        }
        end += width;
    }
    end
}

/// Whether a field leads into a function: an entry of a `switch`, not the address of a function.
fn leads_into_code(
    resolver: &Resolver<'_, '_>,
    section: usize,
    index: usize,
    absolute: bool,
) -> bool {
    let Some(relocation) = resolver.tables.sections[section].relocations.get(index) else {
        return false;
    };
    let (Place::Section(to), value) = resolver.tables.symbols.place(relocation.symbol) else {
        return false;
    };
    if !resolver.tables.sections[to].is_code() {
        return false;
    }
    let target = value.wrapping_add_signed(relocation.addend);
    !absolute || !resolver.is_entry(to, target)
}
