//! Symbols out of the memory of the running kernel.
//!
//! `/proc/kallsyms` has to be written by the kernel line by line, which takes longer than all else that is asked of it together. Its notes for
//! crash dumps (`VMCOREINFO`, which `/proc/kcore` shows, too) tell where the tables behind it lie (`tables`), from Linux 6.0 on:
//!
//! ```text
//! SYMBOL(_stext)=ffffffff88200000
//! SYMBOL(kallsyms_names)=ffffffff893bdac0
//! ```
//!
//! Only the kernel's own symbols are in them, not those of modules.

use crate::kallsyms::KernelSymbol;
use crate::tables::{Tokens, address, length};
use livepatch_bundle::TablePlace;
use std::collections::HashSet;
use std::io;

/// How the kernel's memory is read: bytes from an address on.
pub type Read<'a> = &'a dyn Fn(u64, usize) -> io::Result<Vec<u8>>;

/// The symbol whose address the notes tell, too.
pub const START: &str = "_stext";
/// More than the names of all symbols take, in bytes.
const MOST: u64 = 64 << 20;
/// More than the texts of all tokens take.
const MOST_TOKENS: u64 = 64 << 10;
/// More than a name takes: of 512 characters (`KSYM_NAME_LEN`), with its length.
const LONGEST: usize = 520;
/// Two bytes per token.
const INDEX: u64 = 512;

/// Which symbols matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// Those of these names.
    pub names: HashSet<&'a str>,
    /// Those whose names end like this.
    pub suffix: Option<&'a str>,
}

impl Wanted<'_> {
    /// Whether a symbol of this name matters.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.suffix.is_some_and(|suffix| name.ends_with(suffix))
    }

    /// Whether a name that ends with this may matter; the text may be the whole of it, with its kind before it.
    fn may_end_with(&self, text: &str) -> bool {
        let mut ends = self.names.iter().copied().chain(self.suffix);
        ends.any(|end| end.ends_with(text) || text.ends_with(end))
    }
}

/// Reads the kernel's own symbols that matter, in its order; `None` when it does not tell where they are, or they are not laid out as known.
pub(crate) fn symbols(
    notes: &str,
    read: Read<'_>,
    wanted: &Wanted<'_>,
) -> Option<Vec<KernelSymbol>> {
    let mut all = wanted.clone();
    // Shows that addresses are made out as the kernel does.
    all.names.insert(START);
    let mut symbols = Tables::read(notes, read)?.symbols(&all)?;
    let start = symbols.iter().position(|symbol| symbol.name == START)?;
    let told = symbols[start].address == told(notes, START)?;
    if !wanted.has(START) {
        symbols.remove(start);
    }
    told.then_some(symbols)
}

/// The addresses of symbols of the running kernel whose places in its table are known. `None` unless that has each of these names at its place, with an
/// address that is as far from [`START`] as it was told, and as [`START`] is by the notes.
#[must_use]
pub fn confirmed(notes: &str, read: Read<'_>, wanted: &[(&str, TablePlace)]) -> Option<Vec<u64>> {
    let entries = Entries::of(notes, read)?;
    let found = wanted.iter();
    found
        .map(|(name, place)| entries.address(name, *place))
        .collect()
}

/// The kernel's table, of which single entries are read.
struct Entries<'r> {
    read: Read<'r>,
    tokens: Tokens,
    names: u64,
    count: u32,
    offsets: u64,
    base: u64,
    start: u64,
}

impl<'r> Entries<'r> {
    fn of(notes: &str, read: Read<'r>) -> Option<Self> {
        let place = |name: &str| told(notes, &format!("kallsyms_{name}"));
        let (table, index) = (place("token_table")?, place("token_index")?);
        let index = index
            .checked_sub(table)
            .filter(|size| *size < MOST_TOKENS)?;
        let data = read(table, usize::try_from(index + INDEX).ok()?).ok()?;
        Some(Self {
            read,
            tokens: Tokens::between(&data, 0, usize::try_from(index).ok()?)?,
            names: place("names")?,
            count: u32::from_le_bytes(number(read, place("num_syms")?)?),
            offsets: place("offsets")?,
            base: u64::from_le_bytes(number(read, place("relative_base")?)?),
            start: told(notes, START)?,
        })
    }

    fn address(&self, name: &str, place: TablePlace) -> Option<u64> {
        let at = self.names.checked_add(u64::from(place.name_at))?;
        let (text, _) = self.tokens.name(&(self.read)(at, LONGEST).ok()?, 0)?;
        let mut chars = text.chars();
        let kind = chars.next();
        let named = kind.is_some() && chars.as_str() == name && place.index < self.count;
        let at = self.offsets.checked_add(u64::from(place.index) * 4)?;
        let offset = u32::from_le_bytes(number(self.read, at)?);
        let address = address(self.base, offset);
        (named && self.start.checked_add(place.from_start) == Some(address)).then_some(address)
    }
}

/// The bytes of a number in the kernel's memory.
fn number<const N: usize>(read: Read<'_>, at: u64) -> Option<[u8; N]> {
    read(at, N).ok()?.try_into().ok()
}

/// The address of a symbol by the kernel's notes.
fn told(notes: &str, symbol: &str) -> Option<u64> {
    let mut lines = notes.lines();
    let address = lines.find_map(|line| {
        let (name, address) = line.strip_prefix("SYMBOL(")?.split_once(")=")?;
        (name == symbol).then_some(address)
    });
    u64::from_str_radix(address?, 16).ok()
}

struct Tables {
    tokens: Tokens,
    /// From the first name to the index of tokens.
    data: Vec<u8>,
    /// Four bytes per symbol.
    offsets: Vec<u8>,
    base: u64,
}

impl Tables {
    fn read(notes: &str, read: Read<'_>) -> Option<Self> {
        let place = |name: &str| told(notes, &format!("kallsyms_{name}"));
        let names = place("names")?;
        let within = |name| {
            let distance = place(name)?.checked_sub(names)?;
            usize::try_from(distance).ok().filter(|_| distance < MOST)
        };
        let (table, index) = (within("token_table")?, within("token_index")?);
        let data = read(names, index.checked_add(INDEX as usize)?).ok()?;
        let count = u64::from(u32::from_le_bytes(number(read, place("num_syms")?)?));
        let size = count.checked_mul(4).filter(|size| *size < MOST)?;
        Some(Self {
            tokens: Tokens::between(&data, table, index)?,
            offsets: read(place("offsets")?, usize::try_from(size).ok()?).ok()?,
            base: u64::from_le_bytes(number(read, place("relative_base")?)?),
            data,
        })
    }

    fn symbols(&self, wanted: &Wanted<'_>) -> Option<Vec<KernelSymbol>> {
        let may_end = |token: u8| wanted.may_end_with(self.tokens.text(token));
        // Most names are told apart by their last token.
        let may_end: Vec<bool> = (0..=255).map(may_end).collect();
        let mut symbols = Vec::new();
        let mut at = 0;
        for offset in self.offsets.chunks_exact(4) {
            let (len, tokens) = length(&self.data, at)?;
            let next = tokens.checked_add(len)?;
            let last = self.data.get(tokens..next)?.last()?;
            if may_end[usize::from(*last)] {
                let (text, _) = self.tokens.name(&self.data, at)?;
                let offset = u32::from_le_bytes(offset.try_into().ok()?);
                symbols.extend(symbol(&text, address(self.base, offset), wanted));
            }
            at = next;
        }
        Some(symbols)
    }
}

fn symbol(text: &str, address: u64, wanted: &Wanted<'_>) -> Option<KernelSymbol> {
    let mut chars = text.chars();
    let kind = chars.next()?;
    let name = chars.as_str();
    wanted.has(name).then(|| KernelSymbol {
        name: name.to_owned(),
        kind,
        address,
        module: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::tests::{placed, tables};

    const AT: u64 = 0xffff_ffff_8200_0000;

    /// The symbols of 600 that matter; the tables lie at [`AT`], and `spoil` changes what the kernel tells.
    fn found(
        wanted: &Wanted<'_>,
        offsets_last: bool,
        spoil: impl Fn(String) -> String,
    ) -> Option<usize> {
        with_kernel(offsets_last, spoil, |notes, read| {
            symbols(notes, read, wanted).map(|found| found.len())
        })
    }

    /// Does something with such a kernel.
    fn with_kernel<T>(
        offsets_last: bool,
        spoil: impl Fn(String) -> String,
        ask: impl Fn(&str, Read<'_>) -> T,
    ) -> T {
        let data = tables(600, offsets_last);
        let places = placed(&data);
        let mut notes = "OSRELEASE=6.1\nSYMBOL(_stext)=ffffffff81000010\n".to_owned();
        for (name, at) in places {
            notes += &format!("SYMBOL(kallsyms_{name})={:x}\n", AT + at as u64);
        }
        let read = |address: u64, length: usize| {
            let start = usize::try_from(address.wrapping_sub(AT)).unwrap_or(usize::MAX);
            let bytes = data.get(start..start.saturating_add(length));
            bytes
                .map(<[u8]>::to_vec)
                .ok_or_else(|| io::Error::other("nothing is there"))
        };
        ask(&spoil(notes), &read)
    }

    #[test]
    fn a_place_is_confirmed_or_not_believed() {
        let place = |index, name_at, from_start| TablePlace {
            index,
            name_at,
            from_start,
        };
        // `Tsym` takes 5 bytes, `T_stext` 8; `_stext` is the second, and all are 16 apart.
        let right = place(3, 5 + 8 + 5, 0x20);
        for offsets_last in [false, true] {
            let address = |name: &str, place, spoil: &dyn Fn(String) -> String| {
                with_kernel(offsets_last, spoil, |notes, read| {
                    Some(confirmed(notes, read, &[(name, place)])?[0])
                })
            };
            let plain = |notes| notes;
            assert_eq!(address("sym", right, &plain), Some(0xffff_ffff_8100_0030));
            assert_eq!(address("syn", right, &plain), None);
            for wrong in [
                place(4, 18, 0x20),
                place(3, 17, 0x20),
                place(3, 18, 0x21),
                place(600, 18, 0x20),
                place(u32::MAX, 18, 0x20),
                place(3, u32::MAX, 0x20),
                place(3, 18, u64::MAX),
            ] {
                assert_eq!(address("sym", wrong, &plain), None, "{wrong:?}");
            }
            for (from, to) in [
                ("_stext)=ffffffff8100001", "_stext)=ffffffff8100002"),
                ("(kallsyms_names)=", "(names)="),
                ("(kallsyms_token_index)=f", "(kallsyms_token_index)="),
            ] {
                let spoilt = address("sym", right, &|notes: String| notes.replace(from, to));
                assert_eq!(spoilt, None, "{from}");
            }
        }
    }

    fn named<'a>(name: &'a str) -> Wanted<'a> {
        Wanted {
            names: HashSet::from([name]),
            suffix: None,
        }
    }

    #[test]
    fn symbols_are_found_by_name_and_end() {
        for offsets_last in [false, true] {
            let count = |wanted: &Wanted<'_>| found(wanted, offsets_last, |notes| notes);
            assert_eq!(count(&named("sym")), Some(599));
            assert_eq!(count(&named("ym")), Some(0));
            assert_eq!(count(&named("_stext")), Some(1));
            let suffix = Wanted {
                suffix: Some("ym"),
                ..Wanted::default()
            };
            assert_eq!(count(&suffix), Some(599));
        }
    }

    #[test]
    fn what_the_kernel_tells_must_agree() {
        let wanted = named("sym");
        for (from, to) in [
            ("_stext)=ffffffff8100001", "_stext)=ffffffff8100002"),
            ("(kallsyms_names)=", "(kallsyms_names)=1"),
            ("(kallsyms_names)=", "(names)="),
            ("(kallsyms_token_index)=f", "(kallsyms_token_index)="),
            ("(kallsyms_num_syms)=", "(kallsyms_relative_base)="),
        ] {
            let spoilt = found(&wanted, true, |notes| notes.replace(from, to));
            assert_eq!(spoilt, None, "{from}");
        }
    }
}
