//! The module in a `.kpatch`: where its functions are, and a copy that does nothing by itself.

use object::elf::{
    FileHeader64, R_X86_64_NONE, Rela64, SHF_EXECINSTR, SHT_RELA, SectionHeader64, Sym64,
};
use object::read::elf::{FileHeader, SectionHeader as _, SectionTable, Sym as _, SymbolTable};
use object::{LittleEndian as LE, SymbolIndex};
use std::ops::Range;

/// What a signed module ends with, and how long what stands before it is: the length of the signature is in its last 4 bytes.
const SIGNED: &[u8] = b"~Module signature appended~\n";
const SIGNATURE_INFO: usize = 12;
/// The section that becomes `struct module`; its only relocations are the functions that run at loading and unloading.
const THIS_MODULE: &str = ".rela.gnu.linkonce.this_module";
/// Where `patchgen` puts what it tells the kernel's livepatch core: its references to code are new functions and call-backs.
const LIVEPATCH_DATA: &str = ".rela.data.livepatch";
/// Names of those functions, and of the sections that they alone lie in.
const INIT_AND_EXIT: [&[u8]; 4] = [
    b"init_module",
    b"cleanup_module",
    b".init.text",
    b".exit.text",
];
/// Sections with references to code that is not exported: `.klp.rela.OBJECT.SECTION`.
const LATE_REFERENCES: &str = ".klp.rela.";
/// Size of a relocation with addend, and where its kind and symbol are in it.
const RELA: usize = 24;
const INFO: Range<usize> = 8..16;

/// A module file.
#[derive(Debug)]
pub struct Module<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) sections: SectionTable<'a, FileHeader64<LE>>,
    pub(super) symbols: SymbolTable<'a, FileHeader64<LE>>,
}

/// Where a function is in a module's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// The name of its section.
    pub section: &'a [u8],
    /// Where it is in the section, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl<'a> Module<'a> {
    /// Reads the headers and symbols.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, object::read::Error> {
        let header = FileHeader64::<LE>::parse(bytes)?;
        let sections = header.sections(LE, bytes)?;
        let symbols = sections.symbols(LE, bytes, object::elf::SHT_SYMTAB)?;
        Ok(Self {
            bytes,
            sections,
            symbols,
        })
    }

    /// A function that the module defines; `None` when there is none of this name, or several.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function<'a>> {
        let symbols = self.symbols.enumerate();
        let mut found = symbols.filter(|(_, symbol)| {
            let defined = symbol.st_type() == object::elf::STT_FUNC && !symbol.is_undefined(LE);
            defined && self.symbols.symbol_name(LE, symbol) == Ok(name.as_bytes())
        });
        let (index, symbol): (_, &Sym64<LE>) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        let section = self.symbols.symbol_section(LE, symbol, index).ok()??;
        let section = self.sections.section(section).ok()?;
        Some(Function {
            section: self.sections.section_name(LE, section).ok()?,
            offset: symbol.st_value(LE),
            size: symbol.st_size(LE),
        })
    }

    /// The modules whose insides the code refers to: their references are filled in by the kernel's livepatch code only.
    #[must_use]
    pub fn late_references(&self) -> Vec<String> {
        let names = self.sections.iter().filter_map(|section| {
            let name = self.sections.section_name(LE, section).ok()?;
            let rest = std::str::from_utf8(name)
                .ok()?
                .strip_prefix(LATE_REFERENCES)?;
            rest.split('.').next().map(str::to_owned)
        });
        let mut names: Vec<_> = names
            .filter(|name| name != livepatch_bundle::VMLINUX)
            .collect();
        names.dedup();
        names
    }

    /// How many references to code the livepatch core is given: more than new functions are call-backs. `None` when that
    /// cannot be told. A module for a kernel without that core has none.
    #[must_use]
    pub fn code_references(&self) -> Option<usize> {
        let mut count = 0;
        if self.section(LIVEPATCH_DATA).is_none() {
            return Some(0);
        }
        for relocation in self.relocations(LIVEPATCH_DATA)? {
            let index = SymbolIndex(relocation.r_sym(LE, false) as usize);
            let symbol = self.symbols.symbol(index).ok()?;
            let section = self.symbols.symbol_section(LE, symbol, index).ok()??;
            let section = self.sections.section(section).ok()?;
            count += usize::from(section.sh_flags(LE).contains(SHF_EXECINSTR));
        }
        Some(count)
    }

    /// The relocations in the section of this name.
    fn relocations(&self, name: &str) -> Option<&'a [Rela64<LE>]> {
        Some(self.section(name)?.rela(LE, self.bytes).ok()??.0)
    }

    /// The section of relocations of this name.
    fn section(&self, name: &str) -> Option<&'a SectionHeader64<LE>> {
        let mut sections = self.sections.iter();
        sections.find(|section| {
            let found = self.sections.section_name(LE, section);
            section.sh_type(LE) == SHT_RELA && found == Ok(name.as_bytes())
        })
    }

    /// A copy without signature that runs nothing when it is loaded or unloaded.
    ///
    /// # Errors
    /// When it is not laid out as a module.
    pub fn inert(&self) -> Result<Vec<u8>, &'static str> {
        let mut bytes = self.bytes.to_vec();
        let range = match self.section(THIS_MODULE) {
            Some(section) => self.init_relocations(section),
            // For a kernel without livepatch core, which has nothing to call.
            None => Some(0..0),
        };
        let relocations = bytes
            .get_mut(range.ok_or("it has no init function where a module has it")?)
            .ok_or("its relocations are out of range")?;
        for relocation in relocations.chunks_exact_mut(RELA) {
            relocation[INFO].copy_from_slice(&u64::from(R_X86_64_NONE.0).to_le_bytes());
        }
        bytes.truncate(unsigned_length(&bytes));
        Ok(bytes)
    }

    /// The bytes of the relocations of `struct module`, which must be those of its two functions.
    fn init_relocations(&self, section: &SectionHeader64<LE>) -> Option<Range<usize>> {
        let relocations = self.relocations(THIS_MODULE)?;
        let mut symbols = relocations
            .iter()
            .map(|relocation| SymbolIndex(relocation.r_sym(LE, false) as usize));
        let all_known = symbols.all(|index| self.leads_to_init_or_exit(index).unwrap_or(false));
        let (start, size) = section.file_range(LE)?;
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        (all_known && !relocations.is_empty()).then_some(start..end)
    }

    /// Whether a symbol is a function that runs when a module is loaded or unloaded, or the section of such.
    fn leads_to_init_or_exit(&self, index: SymbolIndex) -> Option<bool> {
        let symbol = self.symbols.symbol(index).ok()?;
        let name = if symbol.st_type() == object::elf::STT_SECTION {
            let section = self.symbols.symbol_section(LE, symbol, index).ok()??;
            self.sections
                .section_name(LE, self.sections.section(section).ok()?)
                .ok()?
        } else {
            self.symbols.symbol_name(LE, symbol).ok()?
        };
        Some(INIT_AND_EXIT.contains(&name))
    }
}

/// How long a module is without its signature.
fn unsigned_length(bytes: &[u8]) -> usize {
    let Some(rest) = bytes.strip_suffix(SIGNED) else {
        return bytes.len();
    };
    let without = || {
        let length = rest.last_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.len().checked_sub(SIGNATURE_INFO)?.checked_sub(length)
    };
    without().unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_cut_off() {
        let mut signed = b"module".to_vec();
        signed.extend(b"signature");
        signed.extend([0; 8]);
        signed.extend(9_u32.to_be_bytes());
        signed.extend(SIGNED);
        assert_eq!(unsigned_length(&signed), 6);
        assert_eq!(unsigned_length(b"module"), 6);
    }

    #[test]
    fn a_signature_longer_than_the_file_is_none() {
        let mut hostile = vec![0; 8];
        hostile.extend(u32::MAX.to_be_bytes());
        hostile.extend(SIGNED);
        assert_eq!(unsigned_length(&hostile), hostile.len());
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        assert!(Module::parse(b"").is_err());
        assert!(Module::parse(&[0x7f; 100]).is_err());
    }
}
