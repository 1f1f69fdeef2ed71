//! The model of a patch: sections, symbols and relocations, and the manifest that explains them.

use crate::{Manifest, RelocKind};
use std::collections::{BTreeSet, HashMap};

/// The index of a section in [`Bundle::sections`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub usize);

/// The index of a symbol in [`Bundle::symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(pub usize);

/// A patch, decoded. Symbol names are unique and not empty; the manifest refers to symbols by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What the patch is for and what it does.
    pub manifest: Manifest,
    /// New code and data, unwind information of the new code, and the old functions to prove.
    pub sections: Vec<Section>,
    /// Local definitions first, then references to the running program.
    pub symbols: Vec<Symbol>,
}

/// What a section is for; it decides flags in the file and protection in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// New functions; `SHF_ALLOC|SHF_EXECINSTR`.
    Code,
    /// New read-only data: constants, strings, jump tables; `SHF_ALLOC`.
    ReadOnly,
    /// New writable data; `SHF_ALLOC|SHF_WRITE`.
    Data,
    /// New zeroed data; `SHF_ALLOC|SHF_WRITE`, `SHT_NOBITS`.
    Zero,
    /// The `.eh_frame` records of the new functions; `SHF_ALLOC`.
    Unwind,
    /// An old function, to be matched with the running code; not allocated, named `.livepatch.old.text.*`.
    OldCode,
    /// Read-only data of an old function; not allocated, named `.livepatch.old.rodata.*`. What is placed refers by it to
    /// the program's own, where old code that refers to it is found.
    OldReadOnly,
}

impl SectionKind {
    /// Whether the section is placed in the program; the others are only compared with it.
    #[must_use]
    pub fn is_placed(self) -> bool {
        !matches!(self, Self::OldCode | Self::OldReadOnly)
    }
}

/// A run of bytes with its relocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Unique name; the prefix follows from the kind (see [`SectionKind`]).
    pub name: String,
    /// What it is for.
    pub kind: SectionKind,
    /// Alignment in bytes, a power of two, at most 4096.
    pub align: u64,
    /// The contents; empty for [`SectionKind::Zero`].
    pub data: Vec<u8>,
    /// The size in bytes; `data.len()` except for [`SectionKind::Zero`].
    pub size: u64,
    /// Sorted by offset; fields do not overlap and lie within the section.
    pub relocations: Vec<Reloc>,
}

/// A field to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Offset of the field in its section.
    pub offset: u64,
    /// How the value is computed.
    pub kind: RelocKind,
    /// What it refers to.
    pub symbol: SymbolId,
    /// `A` of the psABI's formulas.
    pub addend: i64,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// A function.
    Function,
    /// A variable or constant.
    Object,
    /// A thread-local variable.
    Tls,
    /// Not told by the object file (`STT_NOTYPE`), as for most undefined symbols.
    Unknown,
}

/// A name for a place in the bundle, or for something in the running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Unique within the bundle. What the running program calls it stands in [`crate::Reference::name`].
    pub name: String,
    /// What it names.
    pub kind: SymbolKind,
    /// Where it lies in the bundle; `None` for a reference to the running program.
    pub definition: Option<Definition>,
}

/// A place in the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The section.
    pub section: SectionId,
    /// Offset within it.
    pub offset: u64,
    /// Size in bytes; 0 when not known.
    pub size: u64,
}

/// A bundle's symbols by name, for those who look up many.
#[derive(Clone, Debug)]
pub struct Names<'a>(HashMap<&'a str, SymbolId>);

impl Names<'_> {
    /// The symbol of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<SymbolId> {
        self.0.get(name).copied()
    }
}

impl Bundle {
    /// The relocations of everything that is placed in the program, in the order of the sections.
    pub fn placed_relocations(&self) -> impl Iterator<Item = &Reloc> {
        let placed = self.sections.iter().filter(|one| one.kind.is_placed());
        placed.flat_map(|section| &section.relocations)
    }

    /// The symbols to which what is placed in the program refers; only compared code refers to the others.
    #[must_use]
    pub fn needed_symbols(&self) -> BTreeSet<SymbolId> {
        self.placed_relocations()
            .map(|reloc| reloc.symbol)
            .collect()
    }

    /// The constants of the running program to which what is placed refers: their copies tell them.
    #[must_use]
    pub fn needed_constants(&self) -> BTreeSet<SymbolId> {
        let mut needed = self.needed_symbols();
        needed.retain(|symbol| self.is_old_constant(*symbol));
        needed
    }

    /// The bytes of a place; `None` where it is not inside its section, or that has no contents.
    #[must_use]
    pub fn contents(&self, place: Definition) -> Option<&[u8]> {
        let start = usize::try_from(place.offset).ok()?;
        let end = start.checked_add(usize::try_from(place.size).ok()?)?;
        self.sections.get(place.section.0)?.data.get(start..end)
    }

    /// Whether the symbol is the copy of a constant of an old function.
    #[must_use]
    pub fn is_old_constant(&self, symbol: SymbolId) -> bool {
        let definition = self.symbols.get(symbol.0).and_then(|one| one.definition);
        let section = definition.and_then(|one| self.sections.get(one.section.0));
        section.is_some_and(|section| section.kind == SectionKind::OldReadOnly)
    }

    /// All symbols by name.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        let symbols = self.symbols.iter().enumerate();
        Names(
            symbols
                .map(|(index, symbol)| (symbol.name.as_str(), SymbolId(index)))
                .collect(),
        )
    }

    /// The symbol of this name; see [`Bundle::names`] for many.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<SymbolId> {
        self.symbols
            .iter()
            .position(|symbol| symbol.name == name)
            .map(SymbolId)
    }
}
