//! Which stretch of a section each sized symbol covers.

use super::raw::{ObjectError, Place, Section, Symbol, Tables};
use object::elf;

/// A stretch of a section that belongs to one symbol and its aliases.
#[derive(Debug)]
pub(super) struct Extent<'d> {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// The best one of the symbols at the start.
    pub symbol: Symbol<'d>,
    /// The other ones.
    pub aliases: Vec<Symbol<'d>>,
    /// Symbols inside.
    pub labels: Vec<Symbol<'d>>,
}

/// What a section is made of: named stretches and what lies between them, in order.
#[derive(Debug)]
pub(super) enum Stretch<'d> {
    /// Named.
    Named(Extent<'d>),
    /// Between names: start, end, and the labels in it.
    Gap(u64, u64, Vec<Symbol<'d>>),
}

/// The symbols of a file that name places, by section.
pub(super) struct Names<'t, 'd> {
    tables: &'t Tables<'d>,
    /// Sections and symbols.
    sorted: Vec<(u32, u32)>,
}

impl<'t, 'd> Names<'t, 'd> {
    /// Sorts the symbols of a file.
    pub(super) fn of(tables: &'t Tables<'d>) -> Self {
        let numbered = (0..).zip(tables.symbols.iter());
        let places = numbered.filter_map(|(index, symbol)| match symbol.place {
            Place::Section(section) if symbol.kind != elf::STT_SECTION => {
                Some((section as u32, index))
            }
            _ => None,
        });
        let mut sorted: Vec<(u32, u32)> = places.collect();
        sorted.sort_unstable();
        Self { tables, sorted }
    }

    /// Cuts a section by its symbols. Sections whose parts the linker may merge have no names that matter.
    pub(super) fn stretches(&self, section: usize) -> Result<Vec<Stretch<'d>>, ObjectError> {
        let number = section as u32;
        let first = self.sorted.partition_point(|(of, _)| *of < number);
        let own = self.sorted[first..].iter();
        let own = own.take_while(|(of, _)| *of == number);
        let symbols = own.map(|(_, index)| self.tables.symbols.get(*index));
        cut(&self.tables.sections[section], symbols.collect())
    }
}

fn cut<'d>(
    section: &Section<'_>,
    mut symbols: Vec<Symbol<'d>>,
) -> Result<Vec<Stretch<'d>>, ObjectError> {
    if !section.is_loaded() || section.is_unwind() {
        return Ok(Vec::new());
    }
    let named = |symbol: &Symbol<'_>| names_extent(section, symbol);
    // Of several symbols at one place those that name something go first: global, then weak, then local.
    symbols.sort_by_key(|symbol| (symbol.value, !named(symbol), rank(symbol)));
    let mut extents: Vec<Extent<'_>> = Vec::new();
    let mut labels = Vec::new();
    for (position, symbol) in symbols.iter().enumerate() {
        if !named(symbol) {
            labels.push(symbol.clone());
            continue;
        }
        let end = end_of(section, symbol, &symbols[position..])?;
        match extents.last_mut() {
            Some(last) if last.start == symbol.value => {
                last.aliases.push(symbol.clone());
                last.end = last.end.max(end);
            }
            Some(last) if symbol.value < last.end => {
                last.labels.push(symbol.clone());
                last.end = last.end.max(end);
            }
            _ => extents.push(Extent {
                start: symbol.value,
                end,
                symbol: symbol.clone(),
                aliases: Vec::new(),
                labels: Vec::new(),
            }),
        }
    }
    Ok(with_gaps(section, extents, labels))
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
    later: &[Symbol<'_>],
) -> Result<u64, ObjectError> {
    if symbol.size == 0 {
        let mut later = later.iter();
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

fn with_gaps<'d>(
    section: &Section<'_>,
    extents: Vec<Extent<'d>>,
    labels: Vec<Symbol<'d>>,
) -> Vec<Stretch<'d>> {
    let mut labels = labels.into_iter().peekable();
    let mut before = |end: u64| -> Vec<Symbol<'d>> {
        std::iter::from_fn(|| labels.next_if(|symbol| symbol.value < end)).collect()
    };
    let mut stretches = Vec::with_capacity(extents.len() + 1);
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
    use super::super::raw::{Relocations, SourceId};
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
            relocations: Relocations::default(),
        }
    }

    fn symbol(name: &str, kind: elf::SymbolType, value: u64, size: u64) -> Symbol<'_> {
        Symbol {
            name,
            kind,
            bind: elf::STB_GLOBAL,
            hidden: false,
            place: Place::Section(1),
            value,
            size,
            source: SourceId::NONE,
        }
    }

    fn joined<'s>(symbols: impl IntoIterator<Item = &'s Symbol<'s>>) -> String {
        let names: Vec<&str> = symbols.into_iter().map(|symbol| symbol.name).collect();
        names.join(" ")
    }

    fn cut_text(symbols: &[Symbol<'_>]) -> Result<Vec<String>, ObjectError> {
        let text = section(".text", elf::SHF_EXECINSTR, 64);
        let stretches = cut(&text, symbols.to_vec())?;
        let show = |stretch: Stretch<'_>| match stretch {
            Stretch::Named(e) => {
                let all = std::iter::once(&e.symbol).chain(&e.aliases);
                format!(
                    "{}-{} {} ({})",
                    e.start,
                    e.end,
                    joined(all),
                    joined(&e.labels)
                )
            }
            Stretch::Gap(start, end, labels) => format!("gap {start}-{end} ({})", joined(&labels)),
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
                "0-16 f alias (label)",
                "gap 16-32 ()",
                "32-40 g ()",
                "gap 40-64 (after)"
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
        assert_eq!(found, ["0-32 f ()", "32-64 g ()"]);
    }

    #[test]
    fn a_symbol_past_the_end_is_refused() {
        assert!(cut_text(&[symbol("f", elf::STT_FUNC, 60, 8)]).is_err());
        assert!(cut_text(&[symbol("f", elf::STT_FUNC, 60, u64::MAX)]).is_err());
    }
}
