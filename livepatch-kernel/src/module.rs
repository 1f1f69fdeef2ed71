//! A kernel module's file: its symbols in the order in which the kernel counts them, its code, its build ID.

use crate::image::build_id_in;
use crate::unpack::{UnpackError, unpack};
use livepatch_bundle::BuildId;
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use thiserror::Error;

/// Why a file cannot be used as a module.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// Packed, and cannot be unpacked.
    #[error("cannot unpack the module")]
    Unpack(#[from] UnpackError),
    /// No sound ELF file.
    #[error("the module is malformed")]
    Elf(#[from] object::read::Error),
}

/// A symbol that a module defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleSymbol {
    /// Its name.
    pub name: String,
    /// The `STT_FILE` symbol before it, of local symbols.
    pub source: Option<String>,
    /// Whether other files may use it.
    pub global: bool,
    /// Index of its section.
    pub section: usize,
    /// Offset in the section.
    pub offset: u64,
    /// `st_size`.
    pub size: u64,
}

/// A module's file, unpacked.
#[derive(Debug)]
pub struct ModuleFile {
    data: Vec<u8>,
    /// What it defines, in the order of its symbol table.
    pub symbols: Vec<ModuleSymbol>,
    /// Where contents of sections are in `data`.
    contents: Vec<std::ops::Range<usize>>,
    /// Its build ID.
    pub build_id: Option<BuildId>,
    /// Whether it may use what is exported to modules under the GPL alone.
    pub is_gpl: bool,
}

/// Licences that the kernel takes for compatible (`include/linux/license.h`).
const COMPATIBLE: [&[u8]; 6] = [
    b"GPL",
    b"GPL v2",
    b"GPL and additional rights",
    b"Dual BSD/GPL",
    b"Dual MIT/GPL",
    b"Dual MPL/GPL",
];

/// Whether `.modinfo` names such a licence; of several the first counts.
fn is_gpl(information: &[u8]) -> bool {
    let mut lines = information.split(|byte| *byte == 0);
    let licence = lines.find_map(|line| line.strip_prefix(b"license="));
    licence.is_some_and(|licence| COMPATIBLE.contains(&licence))
}

impl ModuleFile {
    /// Reads a module, packed or not.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(file: &[u8]) -> Result<Self, ModuleError> {
        let data = unpack(file)?.into_owned();
        let header = FileHeader64::<LE>::parse(data.as_slice())?;
        let table = header.sections(LE, data.as_slice())?;
        let mut contents = Vec::new();
        let mut build_id = None;
        let mut gpl = false;
        for section in table.iter() {
            let bytes = section.data(LE, data.as_slice()).unwrap_or_default();
            let start = usize::try_from(section.sh_offset(LE)).unwrap_or_default();
            if table.section_name(LE, section)? == b".note.gnu.build-id" {
                build_id = build_id_in(bytes);
            }
            gpl |= table.section_name(LE, section)? == b".modinfo" && is_gpl(bytes);
            contents.push(if bytes.is_empty() {
                0..0
            } else {
                start..start + bytes.len()
            });
        }
        let symbols = table.symbols(LE, data.as_slice(), elf::SHT_SYMTAB)?;
        let mut found = Vec::new();
        let mut source = None;
        for (index, symbol) in symbols.enumerate() {
            let name = String::from_utf8_lossy(symbols.symbol_name(LE, symbol)?).into_owned();
            if symbol.st_type() == elf::STT_FILE {
                source = Some(name);
                continue;
            }
            let Some(section) = symbols.symbol_section(LE, symbol, index)? else {
                continue;
            };
            let global = symbol.st_bind() != elf::STB_LOCAL;
            found.push(ModuleSymbol {
                name,
                source: source.clone().filter(|_| !global),
                global,
                section: section.0,
                offset: symbol.st_value(LE),
                size: symbol.st_size(LE),
            });
        }
        Ok(Self {
            symbols: found,
            contents,
            build_id,
            is_gpl: gpl,
            data,
        })
    }

    /// The symbols of this name in order: the n-th has the position n.
    pub fn named<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m ModuleSymbol> {
        self.symbols
            .iter()
            .filter(move |symbol| symbol.name == name)
    }

    /// The bytes that a symbol names, as the file has them: fields with relocations are not filled in.
    #[must_use]
    pub fn bytes(&self, symbol: &ModuleSymbol, len: usize) -> Option<&[u8]> {
        let contents = &self.data[self.contents.get(symbol.section)?.clone()];
        let start = usize::try_from(symbol.offset).ok()?;
        contents.get(start..start.checked_add(len)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_told_apart() {
        assert!(is_gpl(b"author=me\0license=Dual MIT/GPL\0"));
        for text in [
            &b""[..],
            b"license=Proprietary\0license=GPL\0",
            b"xlicense=GPL\0",
        ] {
            assert!(!is_gpl(text), "{text:?}");
        }
    }
}
