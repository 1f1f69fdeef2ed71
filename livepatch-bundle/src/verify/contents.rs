//! Rules of sections, symbols and relocations.

use super::{Problems, is_name};
use crate::{Bundle, Definition, Problem, Section, SectionKind, Symbol, SymbolKind, format};
use std::collections::HashSet;

pub(super) fn check(bundle: &Bundle, problems: &mut Problems) {
    let sections = bundle.sections.iter().map(|section| section.name.as_str());
    names("section", sections, problems);
    let symbols = bundle.symbols.iter().map(|symbol| symbol.name.as_str());
    names("symbol", symbols, problems);
    sizes(bundle, problems);
    for section in &bundle.sections {
        shape(section, problems);
        relocations(bundle, section, problems);
    }
    symbol_table(bundle, problems);
}

fn names<'a>(what: &'static str, names: impl Iterator<Item = &'a str>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for name in names {
        problems.unless(is_name(name), || Problem::Name {
            what,
            name: name.to_owned(),
        });
        problems.unless(seen.insert(name), || Problem::Duplicate {
            what,
            name: name.to_owned(),
        });
    }
}

fn sizes(bundle: &Bundle, problems: &mut Problems) {
    let count = bundle.sections.len();
    problems.unless(count <= format::MAX_SECTIONS, || Problem::TooManySections {
        count,
    });
    let total = bundle
        .sections
        .iter()
        .try_fold(0_u64, |sum, section| sum.checked_add(section.size));
    problems.unless(total.is_some_and(|sum| sum <= format::MAX_SIZE), || {
        Problem::TotalSize
    });
}

fn shape(section: &Section, problems: &mut Problems) {
    let name = || section.name.clone();
    problems.unless(format::name_fits(section.kind, &section.name), || {
        Problem::SectionName {
            section: name(),
            kind: section.kind,
        }
    });
    let fits = section.align.is_power_of_two() && section.align <= format::MAX_ALIGN;
    problems.unless(fits, || Problem::Alignment {
        section: name(),
        align: section.align,
    });
    if section.kind == SectionKind::Zero {
        let empty = section.data.is_empty() && section.relocations.is_empty();
        problems.unless(empty, || Problem::ZeroWithContents { section: name() });
    } else {
        let len = section.data.len() as u64;
        problems.unless(section.size == len, || Problem::Size {
            section: name(),
            size: section.size,
            len,
        });
    }
}

fn relocations(bundle: &Bundle, section: &Section, problems: &mut Problems) {
    let mut free_from = 0;
    for reloc in &section.relocations {
        let (offset, kind) = (reloc.offset, reloc.kind);
        let end = offset.checked_add(format::width(kind));
        problems.unless(end.is_some_and(|end| end <= section.size), || {
            Problem::RelocOutside {
                section: section.name.clone(),
                offset,
                kind,
            }
        });
        problems.unless(offset >= free_from, || Problem::RelocOrder {
            section: section.name.clone(),
            offset,
            kind,
        });
        free_from = free_from.max(end.unwrap_or(u64::MAX));
        match bundle.symbols.get(reloc.symbol.0) {
            None => problems.add(Problem::RelocSymbol {
                section: section.name.clone(),
                offset,
                symbol: reloc.symbol.0,
            }),
            Some(symbol) => {
                let reachable = !format::is_placed(section.kind) || has_address(bundle, symbol);
                problems.unless(reachable, || Problem::RelocToOld {
                    section: section.name.clone(),
                    offset,
                    symbol: symbol.name.clone(),
                });
            }
        }
    }
}

/// Whether the symbol has an address in the target: it is placed there, or a constant that runs there.
fn has_address(bundle: &Bundle, symbol: &Symbol) -> bool {
    let Some(definition) = symbol.definition else {
        return true;
    };
    // A definition outside every section is reported for itself.
    bundle
        .sections
        .get(definition.section.0)
        .is_none_or(|section| section.kind != SectionKind::OldCode)
}

fn symbol_table(bundle: &Bundle, problems: &mut Problems) {
    let mut references_began = false;
    for symbol in &bundle.symbols {
        let Some(definition) = symbol.definition else {
            references_began = true;
            continue;
        };
        problems.unless(!references_began, || Problem::SymbolOrder {
            symbol: symbol.name.clone(),
        });
        problems.unless(is_inside(bundle, definition), || Problem::SymbolOutside {
            symbol: symbol.name.clone(),
        });
        problems.unless(symbol.kind != SymbolKind::Tls, || Problem::TlsDefinition {
            symbol: symbol.name.clone(),
        });
    }
}

fn is_inside(bundle: &Bundle, definition: Definition) -> bool {
    let Some(section) = bundle.sections.get(definition.section.0) else {
        return false;
    };
    definition
        .offset
        .checked_add(definition.size)
        .is_some_and(|end| end <= section.size)
}
