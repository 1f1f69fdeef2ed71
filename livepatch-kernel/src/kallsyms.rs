//! The kernel's symbols, in the order in which the kernel itself counts those of one name.
//!
//! Livepatches name a function or variable by name and position (`klp_func.old_sympos`): the n-th of this name in the order of
//! addresses. That order is the order of the kernel's own table, read here out of its image or from `/proc/kallsyms`.

use crate::image::Image;
use crate::live::{self, Read, Wanted};
use crate::tables;
use livepatch_bundle::{LinkAddr, TablePlace};
use std::collections::HashMap;
use thiserror::Error;

pub use tables::TablesError;

/// A symbol of the kernel or a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSymbol {
    /// Its name.
    pub name: String,
    /// Its kind, as `nm` shows it: `t` and `T` for code; upper case for symbols that other files may use.
    pub kind: char,
    /// Where it is. In an image: where it was linked, without the offset of address randomisation.
    pub address: u64,
    /// The module it belongs to; `None` for the kernel's own.
    pub module: Option<String>,
}

impl KernelSymbol {
    /// Whether other files of the kernel may use it.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.kind.is_ascii_uppercase()
    }
}

/// Why symbols cannot be read from `/proc/kallsyms`.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KallsymsError {
    /// A line is not of the expected form.
    #[error("line {0} of kallsyms is malformed")]
    Line(usize),
    /// All addresses are zero.
    #[error("kallsyms shows no addresses: root is needed, and `kernel.kptr_restrict` below 2")]
    Hidden,
}

/// All symbols in the kernel's order.
#[derive(Debug)]
pub struct Kallsyms {
    symbols: Vec<KernelSymbol>,
    by_name: HashMap<String, Vec<usize>>,
    /// All of them, by address.
    by_address: Vec<usize>,
    /// Where the name of each begins in the table of an image, in bytes.
    begins: Vec<usize>,
}

impl Kallsyms {
    /// Decodes the tables in the kernel's image.
    ///
    /// # Errors
    /// When they are not found, or inconsistent.
    pub fn of_image(image: &Image) -> Result<Self, TablesError> {
        let (symbols, begins) = tables::decode(image)?;
        Ok(Self {
            begins,
            ..Self::new(symbols)
        })
    }

    /// Reads those of the kernel's own symbols that matter out of its memory, by its notes for crash dumps (`VMCOREINFO`); `None` when
    /// it does not tell where they are, or they are not laid out as known.
    #[must_use]
    pub fn of_memory(notes: &str, read: Read<'_>, wanted: &Wanted<'_>) -> Option<Self> {
        live::symbols(notes, read, wanted).map(Self::new)
    }

    /// Reads the text of `/proc/kallsyms`.
    ///
    /// # Errors
    /// When a line is malformed, or the reader may not see addresses.
    pub fn parse(text: &str) -> Result<Self, KallsymsError> {
        let mut symbols = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let symbol = line_of(line).ok_or(KallsymsError::Line(number + 1))?;
            symbols.push(symbol);
        }
        if symbols.iter().all(|symbol| symbol.address == 0) {
            return Err(KallsymsError::Hidden);
        }
        Ok(Self::new(symbols))
    }

    fn new(symbols: Vec<KernelSymbol>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, symbol) in symbols.iter().enumerate() {
            by_name.entry(symbol.name.clone()).or_default().push(index);
        }
        let mut by_address: Vec<usize> = (0..symbols.len()).collect();
        by_address.sort_by_key(|index| symbols[*index].address);
        Self {
            symbols,
            by_name,
            by_address,
            begins: Vec::new(),
        }
    }

    /// All symbols in order.
    #[must_use]
    pub fn all(&self) -> &[KernelSymbol] {
        &self.symbols
    }

    /// The symbols of this name that the kernel (`None`) or a module has, in order: the n-th has the position n.
    pub fn named<'k>(
        &'k self,
        name: &str,
        module: Option<&'k str>,
    ) -> impl Iterator<Item = &'k KernelSymbol> + use<'k> {
        let indices = self.by_name.get(name).into_iter().flatten();
        let symbols = indices.map(|index| &self.symbols[*index]);
        symbols.filter(move |symbol| symbol.module.as_deref() == module)
    }

    /// Where the symbol of an image's table stands that the kernel finds by name and position (0: the only one of its name).
    #[must_use]
    pub fn place(&self, name: &str, position: u32) -> Option<TablePlace> {
        let indices = self.by_name.get(name)?;
        let index = match position {
            0 if indices.len() > 1 => return None,
            position => *indices.get(position.saturating_sub(1) as usize)?,
        };
        let start = self.named(live::START, None).next()?;
        Some(TablePlace {
            index: u32::try_from(index).ok()?,
            name_at: u32::try_from(*self.begins.get(index)?).ok()?,
            from_start: self.symbols[index].address.checked_sub(start.address)?,
        })
    }

    /// The symbols at an address, in order.
    pub fn at(&self, address: LinkAddr) -> impl Iterator<Item = &KernelSymbol> {
        let first = self
            .by_address
            .partition_point(|index| self.symbols[*index].address < address.0);
        let rest = self.by_address[first..].iter();
        rest.map(|index| &self.symbols[*index])
            .take_while(move |symbol| symbol.address == address.0)
    }

    /// The address of the first symbol behind an address: no symbol there reaches farther.
    #[must_use]
    pub fn next_address(&self, address: LinkAddr) -> Option<LinkAddr> {
        let next = self
            .by_address
            .partition_point(|index| self.symbols[*index].address <= address.0);
        let next = self.by_address.get(next)?;
        Some(LinkAddr(self.symbols[*next].address))
    }
}

// ffffffff81000000 T _text
// ffffffffc0000000 t dummy_xmit	[dummy]
fn line_of(line: &str) -> Option<KernelSymbol> {
    let mut parts = line.split_whitespace();
    let address = u64::from_str_radix(parts.next()?, 16).ok()?;
    let mut kind = parts.next()?.chars();
    let symbol = KernelSymbol {
        address,
        kind: kind.next()?,
        name: parts.next()?.to_owned(),
        module: match parts.next() {
            None => None,
            Some(module) => Some(module.strip_prefix('[')?.strip_suffix(']')?.to_owned()),
        },
    };
    (kind.next().is_none() && parts.next().is_none()).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ffffffff81000000 T _text\nffffffff81000010 t show\nffffffff81000020 t show\n\
                        ffffffffc0000000 t show\t[dummy]\n";

    #[test]
    fn equal_names_are_counted_by_object() {
        let symbols = Kallsyms::parse(TEXT).expect("well formed");
        let own: Vec<u64> = symbols
            .named("show", None)
            .map(|s| s.address & 0xff)
            .collect();
        assert_eq!(own, [0x10, 0x20]);
        assert_eq!(symbols.named("show", Some("dummy")).count(), 1);
        assert_eq!(symbols.named("show", Some("other")).count(), 0);
        let at: Vec<_> = symbols.at(LinkAddr(0xffff_ffff_8100_0010)).collect();
        assert_eq!(at[0].name, "show");
        let next = symbols.next_address(LinkAddr(0xffff_ffff_8100_0010));
        assert_eq!(next, Some(LinkAddr(0xffff_ffff_8100_0020)));
    }

    #[test]
    fn hidden_addresses_and_malformed_lines_are_told() {
        let hidden = Kallsyms::parse("0000000000000000 T _text\n");
        assert_eq!(hidden.err(), Some(KallsymsError::Hidden));
        for line in ["zz T a", "10 T", "10 TT a", "10 T a [b", "10 T a [b] c"] {
            let error = Kallsyms::parse(line).err();
            assert_eq!(error, Some(KallsymsError::Line(1)), "{line}");
        }
    }
}
