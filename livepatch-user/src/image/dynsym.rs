//! Dynamic symbols as they lie in memory, with their versions.
//!
//! No header tells how many there are: the hash tables do (gABI "Hash Table"; for `DT_GNU_HASH` the end of the
//! longest chain).

use super::dynamic::{
    DT_GNU_HASH, DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERNEED, DT_VERSYM,
};
use super::image::{Image, MAX_TABLE};
use super::table::{Index, SYMBOL_SIZE, SymbolTable, binding, is_defined};
use super::versions::{Version, Versions};
use livepatch_bundle::RunAddr;
use scroll::{LE, Pread};

/// Bytes beyond which version records are not read.
const MAX_VERSIONS: u64 = 1 << 20;
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

    /// The definition that a reference to `name` binds to in this image: of that version; else the default
    /// one; an image without versions answers for any.
    pub(super) fn definition(&self, name: &str, version: Option<&str>) -> Option<Index> {
        let named = self.table.named(name.as_bytes());
        let defined = || {
            named
                .iter()
                .copied()
                .filter(|&index| self.is_exported(index))
        };
        match version {
            Some(version) => defined().find(|&index| {
                let has = self.version(index);
                has.name == Some(version) || (has.name.is_none() && has.default)
            }),
            None => defined()
                .find(|&index| self.version(index).default)
                .or_else(|| defined().next()),
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
        image.table(address, image.mapped_from(address).min(MAX_VERSIONS))
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
    let gnu = || gnu_count(image, image.pointer(DT_GNU_HASH)?);
    sysv().or_else(gnu)
}

/// `DT_GNU_HASH`: buckets, first hashed symbol, Bloom words, Bloom shift; the filter; the buckets; then one
/// hash per symbol, whose lowest bit ends a chain.
fn gnu_count(image: &Image<'_>, table: RunAddr) -> Option<u64> {
    let header = image.table(table, 16)?;
    let [buckets, first, bloom] = [0, 4, 8].map(|at| word(&header, at).map(u64::from));
    let (buckets, first) = (buckets?, first?);
    let bucket_table = table.0.checked_add(16 + bloom? * 8)?;
    let starts = image.table(RunAddr(bucket_table), buckets * 4)?;
    let starts = starts.chunks_exact(4).filter_map(|word_| word(word_, 0));
    let last = u64::from(starts.max()?);
    if last < first {
        return Some(first);
    }
    let chains = bucket_table.checked_add(buckets * 4)?;
    let end = chain_end(image, RunAddr(chains.checked_add((last - first) * 4)?))?;
    last.checked_add(end)
}

/// How many hashes there are up to the end of a chain, itself included.
fn chain_end(image: &Image<'_>, start: RunAddr) -> Option<u64> {
    const CHUNK: u64 = 1024;
    let (mut at, end) = (start.0, start.0.checked_add(image.mapped_from(start))?);
    while at < end {
        let bytes = image.table(RunAddr(at), (end - at).min(CHUNK))?;
        let mut hashes = bytes.chunks_exact(4);
        if let Some(found) = hashes.position(|hash| hash[0] & 1 == 1) {
            return Some((at - start.0) / 4 + found as u64 + 1);
        }
        at += CHUNK;
    }
    None
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
}
