//! Which stretch of a section each sized symbol covers.

use super::raw::{ObjectError, Place, Section, Symbol, Tables};
use object::elf;

/// A stretch of a section that belongs to one symbol and its aliases.
#[derive(Debug)]
pub(super) struct Extent {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Indices of the symbols at the start, the best one first.
    pub symbols: Vec<usize>,
    /// Indices of symbols inside.
    pub labels: Vec<usize>,
}

/// What a section is made of: named stretches and what lies between them, in order.
#[derive(Debug)]
pub(super) enum Stretch {
    /// Named.
    Named(Extent),
    /// Between names: start, end, and the labels in it.
    Gap(u64, u64, Vec<usize>),
}

/// Cuts every section by its symbols. Sections whose parts the linker may merge have no names that matter.
pub(super) fn stretches(tables: &Tables<'_>) -> Result<Vec<Vec<Stretch>>, ObjectError> {
    let mut by_section = vec![Vec::new(); tables.sections.len()];
    for (index, symbol) in tables.symbols.iter().enumerate() {
        if let Place::Section(section) = symbol.place
            && symbol.kind != elf::STT_SECTION
        {
            by_section[section].push(index);
        }
    }
    let sections = tables.sections.iter().zip(by_section);
    sections
        .map(|(section, symbols)| cut(section, symbols, &tables.symbols))
        .collect()
}

fn cut(
    section: &Section<'_>,
    mut indices: Vec<usize>,
    symbols: &[Symbol<'_>],
) -> Result<Vec<Stretch>, ObjectError> {
    if !section.is_loaded() || section.is_unwind() {
        return Ok(Vec::new());
    }
    let named = |symbol: &Symbol<'_>| names_extent(section, symbol);
    // Of several symbols at one place those that name something go first: global, then weak, then local.
    indices.sort_by_key(|index| {
        let symbol = &symbols[*index];
        (symbol.value, !named(symbol), rank(symbol), *index)
    });
    let mut extents: Vec<Extent> = Vec::new();
    let mut labels = Vec::new();
    for (position, &index) in indices.iter().enumerate() {
        let symbol = &symbols[index];
        if !named(symbol) {
            labels.push(index);
            continue;
        }
        let end = end_of(section, symbol, &indices[position..], symbols)?;
        match extents.last_mut() {
            Some(last) if last.start == symbol.value => {
                last.symbols.push(index);
                last.end = last.end.max(end);
            }
            Some(last) if symbol.value < last.end => {
                last.labels.push(index);
                last.end = last.end.max(end);
            }
            _ => extents.push(Extent {
                start: symbol.value,
                end,
                symbols: vec![index],
                labels: Vec::new(),
            }),
        }
    }
    Ok(with_gaps(section, extents, &labels, symbols))
}

/// Whether the symbol names a stretch, rather than a place in one.
fn names_extent(section: &Section<'_>, symbol: &Symbol<'_>) -> bool {
    if section.is_code() {
        return matches!(symbol.kind, elf::STT_FUNC | elf::STT_GNU_IFUNC);
    }
    // Structures without members have sections of their own, in which nothing is: lock classes of the kernel.
    let empty = section.size == 0 && symbol.kind == elf::STT_OBJECT;
    !section.has(elf::SHF_MERGE) && (symbol.size > 0 || empty)
}

fn rank(symbol: &Symbol<'_>) -> u8 {
    match symbol.bind {
        elf::STB_LOCAL => 2,
        elf::STB_WEAK => 1,
        _ => 0,
    }
}

/// Where the symbol's stretch ends. Assembly code often says no size: then at the next name.
fn end_of(
    section: &Section<'_>,
    symbol: &Symbol<'_>,
    later: &[usize],
    symbols: &[Symbol<'_>],
) -> Result<u64, ObjectError> {
    if symbol.size == 0 {
        let mut later = later.iter().map(|index| &symbols[*index]);
        let next = later.find(|other| other.value > symbol.value && names_extent(section, other));
        return Ok(next.map_or(section.size, |other| other.value));
    }
    let end = symbol.value.checked_add(symbol.size);
    end.filter(|end| *end <= section.size).ok_or_else(|| {
        ObjectError::Malformed(format!(
            "symbol `{}` runs past the end of its section",
            symbol.name
        ))
    })
}

fn with_gaps(
    section: &Section<'_>,
    extents: Vec<Extent>,
    labels: &[usize],
    symbols: &[Symbol<'_>],
) -> Vec<Stretch> {
    let mut labels = labels.iter().copied().peekable();
    let mut before = |end: u64| -> Vec<usize> {
        std::iter::from_fn(|| labels.next_if(|index| symbols[*index].value < end)).collect()
    };
    let mut stretches = Vec::new();
    let mut from = 0;
    for mut extent in extents {
        let skipped = before(extent.start);
        if extent.start > from {
            stretches.push(Stretch::Gap(from, extent.start, skipped));
        }
        from = extent.end;
        extent.labels.extend(before(extent.end));
        stretches.push(Stretch::Named(extent));
    }
    if section.size > from {
        stretches.push(Stretch::Gap(from, section.size, before(u64::MAX)));
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::super::raw::SourceId;
    use super::*;

    fn section(name: &str, flags: elf::SectionFlags, size: u64) -> Section<'_> {
        Section {
            name,
            sh_type: elf::SHT_PROGBITS,
            flags: (elf::SHF_ALLOC | flags).0,
            data: &[],
            size,
            align: 1,
            entsize: 0,
            relocations: Vec::new(),
        }
    }

    fn symbol(name: &str, kind: elf::SymbolType, value: u64, size: u64) -> Symbol<'_> {
        Symbol {
            name,
            kind,
            bind: elf::STB_GLOBAL,
            place: Place::Section(1),
            value,
            size,
            source: SourceId::NONE,
        }
    }

    fn cut_text(symbols: &[Symbol<'_>]) -> Result<Vec<String>, ObjectError> {
        let text = section(".text", elf::SHF_EXECINSTR, 64);
        let stretches = cut(&text, (0..symbols.len()).collect(), symbols)?;
        let show = |stretch: Stretch| match stretch {
            Stretch::Named(e) => format!("{}-{} {:?} {:?}", e.start, e.end, e.symbols, e.labels),
            Stretch::Gap(start, end, labels) => format!("gap {start}-{end} {labels:?}"),
        };
        Ok(stretches.into_iter().map(show).collect())
    }

    #[test]
    fn aliases_labels_and_gaps_are_told_apart() {
        let symbols = [
            symbol("f", elf::STT_FUNC, 0, 16),
            symbol("alias", elf::STT_FUNC, 0, 16),
            symbol("label", elf::STT_NOTYPE, 4, 0),
            symbol("g", elf::STT_FUNC, 32, 8),
            symbol("after", elf::STT_NOTYPE, 48, 0),
        ];
        let found = cut_text(&symbols).expect("inside");
        assert_eq!(
            found,
            [
                "0-16 [0, 1] [2]",
                "gap 16-32 []",
                "32-40 [3] []",
                "gap 40-64 [4]"
            ]
        );
    }

    #[test]
    fn a_function_without_size_ends_at_the_next() {
        let symbols = [
            symbol("f", elf::STT_FUNC, 0, 0),
            symbol("g", elf::STT_FUNC, 32, 0),
        ];
        let found = cut_text(&symbols).expect("inside");
        assert_eq!(found, ["0-32 [0] []", "32-64 [1] []"]);
    }

    #[test]
    fn a_symbol_past_the_end_is_refused() {
        assert!(cut_text(&[symbol("f", elf::STT_FUNC, 60, 8)]).is_err());
        assert!(cut_text(&[symbol("f", elf::STT_FUNC, 60, u64::MAX)]).is_err());
    }
}
