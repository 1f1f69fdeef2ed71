//! The functions of an object file, cut out of their sections.

use livepatch_bundle::RelocKind;
use livepatch_match::{Code, Field, Target};
use object::read::elf::{ElfFile64, ElfSection64};
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
    SymbolIndex, SymbolKind,
};

/// An object file's functions.
pub(crate) struct Unit {
    pub(crate) pieces: Vec<Piece>,
    /// Name, section and value of each symbol, by number.
    pub(crate) symbols: Vec<Named>,
    /// `STT_FILE`.
    pub(crate) source: Option<String>,
}

/// A symbol of an object file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) section: Option<SectionIndex>,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) is_section: bool,
    pub(crate) is_defined: bool,
    pub(crate) is_tls: bool,
}

/// What a reference leads to.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) offset: i64,
    /// It has a name of its own: no string or constant that the linker merges.
    pub(crate) exact: bool,
}

impl Place {
    fn of(named: &Named, offset: i64) -> Self {
        Self {
            name: named.name.clone(),
            offset,
            exact: !named.name.is_empty() && !named.name.starts_with(".L"),
        }
    }
}

/// One function's code.
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    pub(crate) section: SectionIndex,
    pub(crate) start: u64,
}

impl Piece {
    pub(crate) fn code(&self) -> Code<'_> {
        Code {
            bytes: &self.bytes,
            base: self.start,
            fields: Some(&self.fields),
        }
    }
}

impl Unit {
    pub(crate) fn read(data: &[u8]) -> Self {
        let file = ElfFile64::<object::Endianness>::parse(data).expect("an object file");
        let symbols: Vec<Named> = {
            let count = file.symbols().map(|s| s.index().0 + 1).max().unwrap_or(0);
            let mut list = vec![Named::default(); count];
            for symbol in file.symbols() {
                list[symbol.index().0] = Named {
                    name: symbol.name().expect("a name").to_owned(),
                    section: symbol.section_index(),
                    value: symbol.address(),
                    size: symbol.size(),
                    is_section: symbol.kind() == SymbolKind::Section,
                    is_defined: !symbol.is_undefined(),
                    is_tls: symbol.kind() == SymbolKind::Tls,
                };
            }
            list
        };
        let pieces = file
            .symbols()
            .filter(|s| s.kind() == SymbolKind::Text && s.size() > 0 && s.section_index().is_some())
            .map(|s| {
                let index = s.section_index().expect("checked");
                let section = file.section_by_index(index).expect("it exists");
                cut(&symbols, &section, s.index(), s.address(), s.size())
            })
            .collect();
        let source = file
            .symbols()
            .find(|s| s.kind() == SymbolKind::File)
            .map(|s| s.name().expect("a name").to_owned());
        Self {
            pieces,
            symbols,
            source,
        }
    }

    pub(crate) fn piece(&self, name: &str) -> &Piece {
        (self.pieces.iter().find(|piece| piece.name == name))
            .unwrap_or_else(|| panic!("no `{name}`"))
    }

    /// What a reference of `piece` leads to.
    pub(crate) fn place(&self, piece: &Piece, target: Target) -> Result<Place, String> {
        let (section, offset) = match target {
            Target::Address(_) => return Err("an object file's reference is no address".into()),
            Target::Inside(offset) => (piece.section, (piece.start + offset) as i64),
            Target::Outside(offset) => (piece.section, piece.start as i64 + offset),
            Target::Symbol { symbol, offset } => {
                let named = &self.symbols[symbol as usize];
                match named.section {
                    Some(section) if named.is_section => (section, offset),
                    _ => return Ok(Place::of(named, offset)),
                }
            }
        };
        let at = self.symbol_at(section, offset);
        let unnamed = Named::default();
        Ok(at.map_or(Place::of(&unnamed, offset), |(named, offset)| {
            Place::of(named, offset)
        }))
    }

    /// The named symbol that covers an offset of a section.
    pub(crate) fn symbol_at(&self, section: SectionIndex, offset: i64) -> Option<(&Named, i64)> {
        self.symbols
            .iter()
            .filter(|s| s.section == Some(section) && !s.is_section && !s.name.is_empty())
            .find(|s| {
                let from = s.value as i64;
                (from..from + s.size.max(1) as i64).contains(&offset)
            })
            .map(|s| (s, offset - s.value as i64))
    }
}

fn cut(
    symbols: &[Named],
    section: &ElfSection64<'_, '_>,
    function: SymbolIndex,
    start: u64,
    size: u64,
) -> Piece {
    let data = section.data().expect("its data");
    let bytes = data[start as usize..(start + size) as usize].to_vec();
    let mut fields: Vec<Field> = section
        .relocations()
        .filter(|(offset, _)| (start..start + size).contains(offset))
        .map(|(offset, relocation)| {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                panic!("not ELF");
            };
            let kind = RelocKind::from_elf(r_type.0)
                .unwrap_or_else(|| panic!("relocation type {r_type:?}"));
            let RelocationTarget::Symbol(symbol) = relocation.target() else {
                panic!("no symbol");
            };
            let named = &symbols[symbol.0];
            let mut addend = relocation.addend();
            let near =
                named.value as i64 + addend - start as i64 + i64::from(kind.width() == 4) * 4;
            let inside = named.section == Some(section.index())
                && (symbol == function || (0..size as i64).contains(&near));
            if inside {
                addend += named.value as i64 - start as i64;
            }
            Field {
                offset: offset - start,
                kind,
                symbol: symbol.0 as u32,
                addend,
                inside,
            }
        })
        .collect();
    fields.sort_by_key(|field| field.offset);
    Piece {
        name: symbols[function.0].name.clone(),
        bytes,
        fields,
        section: section.index(),
        start,
    }
}
