//! Dynamic symbols as they lie in memory, with their versions.
//!
//! No header tells how many there are: the hash tables do (gABI "Hash Table", and [`super::gnu_hash`]).

use super::dynamic::{DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERNEED, DT_VERSYM};
use super::gnu_hash::GnuHash;
use super::image::Image;
use super::inside::MAX_TABLE;
use super::table::{Index, SYMBOL_SIZE, SymbolTable, binding, is_defined};
use super::versions::{Version, Versions};
use scroll::{LE, Pread};

/// Bytes beyond which version records are not read; libc has 2 KiB of them.
const MAX_VERSIONS: u64 = 1 << 16;
const MAX_NAME: usize = 4096;

/// `.dynsym`, `.dynstr` and the versions.
#[derive(Debug, Default)]
pub(super) struct DynamicSymbols {
    pub(super) table: SymbolTable,
    versions: Versions,
}

impl DynamicSymbols {
    /// Reads the tables; what cannot be read is empty.
    pub(super) fn read(image: &Image<'_>) -> Self {
        Self::try_read(image).unwrap_or_default()
    }

    fn try_read(image: &Image<'_>) -> Option<Self> {
        let symbols = image.pointer(DT_SYMTAB)?;
        let strings = image.pointer(DT_STRTAB)?;
        let count = symbol_count(image)?.min(MAX_TABLE / SYMBOL_SIZE as u64);
        let symbols = image.table(symbols, count * SYMBOL_SIZE as u64)?;
        let strings = image.table(strings, image.dynamic().get(DT_STRSZ)?)?;
        let table = SymbolTable::new(&symbols, strings);
        let versions = versions(image, &table, count);
        Some(Self { table, versions })
    }

    pub(super) fn version(&self, symbol: Index) -> Version<'_> {
        self.versions.of(symbol)
    }

    /// Of symbols that may be called `name` the definition that a reference binds to: of that version; else the
    /// default one; an image without versions answers for any.
    fn choose(&self, symbols: &[Index], name: &str, version: Option<&str>) -> Option<Index> {
        let is_called = |index| {
            let symbol = self.table.get(index);
            symbol.is_some_and(|symbol| self.table.name(symbol) == name.as_bytes())
        };
        let fitting = symbols.iter().copied();
        let mut defined = fitting.filter(|&index| is_called(index) && self.is_exported(index));
        match version {
            Some(version) => defined.find(|&index| {
                let has = self.version(index);
                has.name == Some(version) || (has.name.is_none() && has.default)
            }),
            None => {
                let first = defined.clone().next();
                defined.find(|&index| self.version(index).default).or(first)
            }
        }
    }

    fn is_exported(&self, index: Index) -> bool {
        use goblin::elf::sym::{STB_LOCAL, STV_DEFAULT, STV_PROTECTED};
        self.table.get(index).is_some_and(|symbol| {
            is_defined(symbol)
                && binding(symbol) != STB_LOCAL
                && matches!(symbol.st_other & 3, STV_DEFAULT | STV_PROTECTED)
        })
    }
}

fn versions(image: &Image<'_>, table: &SymbolTable, count: u64) -> Versions {
    let versym = image.pointer(DT_VERSYM);
    let Some(versym) = versym.and_then(|address| image.table(address, count * 2)) else {
        return Versions::default();
    };
    let records = |tag| {
        let address = image.pointer(tag)?;
        image.table(address, image.mapped_from(address, MAX_VERSIONS))
    };
    let string = |offset| {
        let name = table.string(offset);
        String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]).into_owned()
    };
    Versions::parse(
        &versym,
        &records(DT_VERDEF).unwrap_or_default(),
        &records(DT_VERNEED).unwrap_or_default(),
        &string,
    )
}

fn symbol_count(image: &Image<'_>) -> Option<u64> {
    let sysv = || {
        let header = image.table(image.pointer(DT_HASH)?, 8)?;
        Some(u64::from(word(&header, 4)?))
    };
    let gnu = || image.gnu_hash()?.symbol_count(image);
    sysv().or_else(gnu)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.pread_with(at, LE).ok()
}

impl Image<'_> {
    /// The dynamic symbols, read when first asked for.
    pub(super) fn dynamic_symbols(&self) -> &DynamicSymbols {
        self.dynamic_symbols
            .get_or_init(|| DynamicSymbols::read(self))
    }

    pub(super) fn gnu_hash(&self) -> Option<&GnuHash> {
        let hash = self.gnu_hash.get_or_init(|| GnuHash::read(self));
        hash.as_ref()
    }

    /// Whether it exports a definition of the name.
    #[must_use]
    pub fn exports(&self, name: &str) -> bool {
        self.definition(name, None).is_some()
    }

    /// The exported definition of a name. Most images have none and tell so by their hash table, whereupon
    /// their symbols are not read.
    pub(super) fn definition(&self, name: &str, version: Option<&str>) -> Option<Index> {
        let candidates = match self.gnu_hash() {
            Some(hash) => hash.candidates(self, name.as_bytes()),
            None => self.dynamic_symbols().table.named(name.as_bytes()),
        };
        if candidates.is_empty() {
            return None;
        }
        self.dynamic_symbols().choose(&candidates, name, version)
    }
}
