//! A symbol table (gABI "Symbol Table") with its string table, looked up by name and by address.
//!
//! Tables come from files and from memory that nobody vouches for: the work to index one is linear in its size
//! whatever it contains. Indexes are built when first needed.

use super::gnu_hash::gnu_hash;
use goblin::elf::sym::{
    STB_LOCAL, STT_FILE, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STV_HIDDEN, STV_INTERNAL, st_bind,
    st_type,
};
use goblin::elf64::sym::Sym;
use livepatch_bundle::LinkAddr;
use scroll::{LE, Pread};
use std::sync::OnceLock;

/// Size in bytes of a symbol table's entry.
pub(super) const SYMBOL_SIZE: usize = 24;
/// No entry: the end of a chain.
const END: u32 = u32::MAX;
const SHN_UNDEF: u16 = 0;
const SHN_ABS: u16 = 0xfff1;
/// How far behind a symbol without a size an address may lie and still belong to it.
const MAX_UNSIZED: u64 = 4096;
/// How many symbols that begin before an address are tried for one that covers it.
const MAX_NESTING: usize = 16;
/// `PATH_MAX`: longer names of source files are no names.
const MAX_PATH: usize = 4096;

/// An index into a [`SymbolTable`].
pub(super) type Index = u32;

/// Symbols and their names.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    symbols: Vec<Sym>,
    strings: Vec<u8>,
    names: OnceLock<Names>,
    addresses: OnceLock<Vec<(u64, Index)>>,
    files: OnceLock<Vec<Index>>,
}

/// Chains of symbols whose names have the same hash.
#[derive(Debug)]
struct Names {
    heads: Vec<Index>,
    next: Vec<Index>,
}

impl SymbolTable {
    /// Decodes a table; a partial entry at its end is ignored.
    pub(super) fn new(symbols: &[u8], strings: Vec<u8>) -> Self {
        let entries = symbols.chunks_exact(SYMBOL_SIZE).take(END as usize - 1);
        let symbols = entries.map_while(|entry| entry.pread_with(0, LE).ok());
        Self {
            symbols: symbols.collect(),
            strings,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.symbols.len()
    }

    pub(super) fn get(&self, index: Index) -> Option<&Sym> {
        self.symbols.get(index as usize)
    }

    /// The bytes at an offset of the string table, up to the NUL.
    pub(super) fn string(&self, offset: u64) -> &[u8] {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let tail = self.strings.get(start..).unwrap_or_default();
        &tail[..memchr::memchr(0, tail).unwrap_or(0)]
    }

    /// The name; empty when it has none.
    pub(super) fn name(&self, symbol: &Sym) -> &[u8] {
        self.string(u64::from(symbol.st_name))
    }

    /// All symbols of this name, ascending. GNU ld writes some names in `.symtab` with their version
    /// (`name@V1`, `name@@V2`): they are found with and without it.
    pub(super) fn named(&self, name: &[u8]) -> Vec<Index> {
        let names = self.names.get_or_init(|| self.index_names());
        let mut found = Vec::new();
        let mut at = names.heads[bucket(name, names.heads.len())];
        while let Some(symbol) = self.get(at) {
            let this = self.name(symbol);
            if this == name || without_version(this) == name {
                found.push(at);
            }
            at = names.next[at as usize];
        }
        found
    }

    /// Symbols are chained from the last to the first, so that chains ascend. A table in which the names are
    /// far longer than its strings (no linker writes one) is indexed in part.
    fn index_names(&self) -> Names {
        let mut heads = vec![END; self.symbols.len().next_power_of_two()];
        let mut next = vec![END; self.symbols.len()];
        let mut budget = 16 * self.strings.len() + 256 * self.symbols.len();
        for (index, symbol) in self.symbols.iter().enumerate().rev() {
            let name = self.name(symbol);
            let Some(left) = budget.checked_sub(name.len()) else {
                break;
            };
            budget = left;
            if name.is_empty() || matches!(kind(symbol), STT_FILE) {
                continue;
            }
            let head = &mut heads[bucket(name, next.len().next_power_of_two())];
            next[index] = *head;
            *head = to_index(index);
        }
        Names { heads, next }
    }

    /// The name of the `STT_FILE` symbol that a local symbol follows. GNU ld gives symbols that became local
    /// in the link a file without a name: they have no source, and neither has what precedes the first file.
    pub(super) fn source(&self, index: Index) -> Option<&[u8]> {
        if binding(self.get(index)?) != STB_LOCAL {
            return None;
        }
        let files = self.files.get_or_init(|| self.index_files());
        let group = files.partition_point(|&file| file < index);
        let file = self.get(*files.get(group.checked_sub(1)?)?)?;
        Some(self.name(file)).filter(|name| (1..=MAX_PATH).contains(&name.len()))
    }

    /// Whether the linker made a local symbol local, which was global in its object. Its visibility tells, and GNU ld puts all such
    /// behind the last file, one without a name. `None`: it may be such a symbol or a static one.
    pub(super) fn made_local(&self, index: Index) -> Option<bool> {
        let symbol = self.get(index)?;
        if matches!(symbol.st_other & 3, STV_HIDDEN | STV_INTERNAL) {
            return Some(true);
        }
        let files = self.files.get_or_init(|| self.index_files());
        let last = *files.last()?;
        self.name(self.get(last)?)
            .is_empty()
            .then_some(last < index)
    }

    fn index_files(&self) -> Vec<Index> {
        let symbols = self.symbols.iter().enumerate();
        let files = symbols.filter(|(_, symbol)| kind(symbol) == STT_FILE);
        files.map(|(index, _)| to_index(index)).collect()
    }

    /// The function at a link-time address: the last that begins at or before it and covers it, or that has
    /// no size and is the nearest.
    pub(super) fn function_at(&self, address: LinkAddr) -> Option<(Index, u64)> {
        let order = self.addresses.get_or_init(|| self.index_addresses());
        let end = order.partition_point(|&(start, _)| start <= address.0);
        let candidates = order[..end].iter().rev().take(MAX_NESTING);
        for (distance, &(start, index)) in candidates.enumerate() {
            let size = self.get(index)?.st_size;
            let offset = address.0 - start;
            if offset < size || (size == 0 && distance == 0 && offset < MAX_UNSIZED) {
                return Some((index, offset));
            }
        }
        None
    }

    /// All functions that begin at a link-time address: one with several names is found several times.
    pub(super) fn functions_at(&self, address: LinkAddr) -> impl Iterator<Item = Index> {
        let order = self.addresses.get_or_init(|| self.index_addresses());
        let first = order.partition_point(|&(start, _)| start < address.0);
        let same = order[first..]
            .iter()
            .take_while(move |&&(start, _)| start == address.0);
        same.map(|&(_, index)| index)
    }

    fn index_addresses(&self) -> Vec<(u64, Index)> {
        let named = |symbol: &Sym| symbol.st_name != 0 && is_defined(symbol);
        let mut order: Vec<(u64, Index)> = Vec::new();
        for (index, symbol) in self.symbols.iter().enumerate() {
            let code = matches!(kind(symbol), STT_FUNC | STT_GNU_IFUNC)
                || (kind(symbol) == STT_NOTYPE && symbol.st_shndx != SHN_ABS);
            if code && named(symbol) {
                order.push((symbol.st_value, to_index(index)));
            }
        }
        // Of several at one address the last is taken: a function rather than a label, a global rather than a
        // local name, then the first in the table.
        order.sort_by_cached_key(|&(start, index)| {
            let rank = self
                .get(index)
                .map(|symbol| (kind(symbol) != STT_NOTYPE, binding(symbol) != STB_LOCAL));
            (start, rank, std::cmp::Reverse(index))
        });
        order
    }
}

/// `ELF64_ST_TYPE`.
pub(super) fn kind(symbol: &Sym) -> u8 {
    st_type(symbol.st_info)
}

/// `ELF64_ST_BIND`.
pub(super) fn binding(symbol: &Sym) -> u8 {
    st_bind(symbol.st_info)
}

/// Whether the table's file defines the symbol.
pub(super) fn is_defined(symbol: &Sym) -> bool {
    symbol.st_shndx != SHN_UNDEF
}

/// Whether the value is an address as it stands, to which no load bias is added.
pub(super) fn is_absolute(symbol: &Sym) -> bool {
    symbol.st_shndx == SHN_ABS
}

fn to_index(index: usize) -> Index {
    Index::try_from(index).expect("tables are cut at the largest index")
}

/// The name before the version.
pub(super) fn without_version(name: &[u8]) -> &[u8] {
    match memchr::memchr(b'@', name) {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// The bucket of a name without its version; any hash of names would do.
fn bucket(name: &[u8], buckets: usize) -> usize {
    let hash = gnu_hash(without_version(name));
    // Fibonacci hashing: the upper bits of djb2 of short names hardly vary.
    let spread = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(spread).expect("32 bits") & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scroll::Pwrite;

    const FUNCTION: u8 = STT_FUNC;
    const GLOBAL: u8 = 1 << 4;

    /// A table of (name, info, value, size), behind the empty symbol that every table begins with.
    fn table(entries: &[(&str, u8, u64, u64)]) -> SymbolTable {
        let mut strings = vec![0];
        let mut symbols = vec![0; SYMBOL_SIZE];
        for &(name, st_info, st_value, st_size) in entries {
            let symbol = Sym {
                st_name: u32::try_from(strings.len()).unwrap(),
                st_info,
                st_shndx: 1,
                st_value,
                st_size,
                ..Sym::default()
            };
            let at = symbols.len();
            symbols.resize(at + SYMBOL_SIZE, 0);
            symbols.pwrite_with(symbol, at, LE).unwrap();
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        SymbolTable::new(&symbols, strings)
    }

    #[test]
    fn names_are_found_with_and_without_version() {
        let table = table(&[
            ("a@V1", GLOBAL, 1, 0),
            ("a@@V2", GLOBAL, 2, 0),
            ("a", 0, 3, 0),
            ("@b", 0, 4, 0),
        ]);
        assert_eq!(table.named(b"a"), [1, 2, 3]);
        assert_eq!(table.named(b"a@V1"), [1]);
        assert_eq!(table.named(b"@b"), [4]);
        assert!(table.named(b"").is_empty());
        assert!(SymbolTable::default().named(b"a").is_empty());
    }

    #[test]
    fn local_symbols_belong_to_the_file_before_them() {
        let table = table(&[
            ("early", 0, 0, 0),
            ("a.c", STT_FILE, 0, 0),
            ("x", FUNCTION, 0, 0),
            ("b.c", STT_FILE, 0, 0),
            ("x", FUNCTION, 0, 0),
            ("", STT_FILE, 0, 0),
            ("hidden", FUNCTION, 0, 0),
            ("global", GLOBAL, 0, 0),
        ]);
        let sources: Vec<_> = (1..9).map(|index| table.source(index)).collect();
        let (a, b) = (Some(&b"a.c"[..]), Some(&b"b.c"[..]));
        assert_eq!(sources, [None, None, a, a, b, b, None, None]);
    }

    #[test]
    fn addresses_belong_to_the_function_that_covers_them() {
        let table = table(&[
            ("outer", FUNCTION, 0x100, 0x100),
            ("inner", FUNCTION, 0x140, 0x10),
            ("alias", FUNCTION | GLOBAL, 0x100, 0x100),
            ("label", STT_NOTYPE, 0x300, 0),
        ]);
        let at = |address| {
            let (index, offset) = table.function_at(LinkAddr(address))?;
            Some((table.name(table.get(index)?).to_vec(), offset))
        };
        assert_eq!(at(0x148), Some((b"inner".to_vec(), 8)));
        assert_eq!(at(0x150), Some((b"alias".to_vec(), 0x50)));
        assert_eq!(at(0x200), None);
        assert_eq!(at(0x304), Some((b"label".to_vec(), 4)));
        assert_eq!(at(0x300 + MAX_UNSIZED), None);
        assert_eq!(at(0xff), None);
    }

    /// 20,000 names that are all the rest of one long string: indexed in part, and at once.
    #[test]
    fn endless_names_end_the_index() {
        let count = 20_000;
        let mut symbols = vec![0; count * SYMBOL_SIZE];
        for index in 0..count {
            let symbol = Sym {
                st_name: u32::try_from(index).unwrap(),
                st_shndx: 1,
                ..Sym::default()
            };
            symbols
                .pwrite_with(symbol, index * SYMBOL_SIZE, LE)
                .unwrap();
        }
        let mut strings = vec![b'a'; 1 << 20];
        strings.push(0);
        let table = SymbolTable::new(&symbols, strings);
        assert!(table.named(b"b").is_empty());
    }
}
