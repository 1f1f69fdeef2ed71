//! From checked ELF sections to the model.

use super::elf::Elf;
use super::roles::Roles;
use crate::{
    Bundle, BundleError, Definition, Manifest, Reloc, RelocKind, Section, SectionId, Symbol,
    SymbolId, format,
};
use object::elf::{self, Rela64, Sym64};
use object::{LittleEndian as LE, Pod, ReadRef, StringTable};

/// Decodes the sections, symbols and relocations.
pub(super) fn decode(
    elf: &Elf<'_>,
    roles: &Roles,
    manifest: Manifest,
) -> Result<Bundle, BundleError> {
    let mut names = Names {
        budget: elf.name_budget,
    };
    let mut sections = roles
        .contents
        .iter()
        .map(|&(index, kind)| {
            let raw = &elf.sections[index];
            Ok(Section {
                name: names.take(raw.name)?,
                kind,
                align: raw.header.sh_addralign.get(LE),
                data: raw.data.to_vec(),
                size: raw.header.sh_size.get(LE),
                relocations: Vec::new(),
            })
        })
        .collect::<Result<Vec<_>, BundleError>>()?;
    for &index in &roles.relocations {
        let section = target(elf, roles, index, &sections)?;
        sections[section].relocations = relocations(elf, index)?;
    }
    Ok(Bundle {
        manifest,
        sections,
        symbols: symbols(elf, roles, &mut names)?,
    })
}

/// Names can share bytes in a string table, so that copies could take far more room than the file.
struct Names {
    budget: u64,
}

impl Names {
    fn take(&mut self, name: &str) -> Result<String, BundleError> {
        self.budget = self
            .budget
            .checked_sub(name.len() as u64)
            .ok_or_else(|| BundleError::malformed("names overlap in a string table"))?;
        Ok(name.to_owned())
    }
}

/// The contents of a table of fixed-size records.
fn records<'a, T: Pod>(elf: &Elf<'a>, index: usize) -> Result<&'a [T], BundleError> {
    let section = &elf.sections[index];
    let size = size_of::<T>();
    let whole =
        section.header.sh_entsize.get(LE) == size as u64 && section.data.len().is_multiple_of(size);
    let malformed = || {
        BundleError::malformed(format!(
            "section {index} does not consist of records of {size} bytes"
        ))
    };
    if !whole {
        return Err(malformed());
    }
    let count = section.data.len() / size;
    section
        .data
        .read_slice_at(0, count)
        .map_err(|()| malformed())
}

/// Which section of the model a relocation section is for.
fn target(
    elf: &Elf<'_>,
    roles: &Roles,
    index: usize,
    sections: &[Section],
) -> Result<usize, BundleError> {
    let raw = &elf.sections[index];
    let malformed = |what: &str| BundleError::malformed(format!("section {index} {what}"));
    if raw.header.sh_link.get(LE) as usize != roles.symbols {
        return Err(malformed("is not linked to the symbol table"));
    }
    let target = roles
        .content(raw.header.sh_info.get(LE) as usize)
        .ok_or_else(|| malformed("relocates something that is no section of the patch"))?;
    let named_after = raw.name.strip_prefix(format::RELA);
    if named_after != Some(&sections[target].name) {
        return Err(malformed(
            "is not named after the section that it relocates",
        ));
    }
    if !sections[target].relocations.is_empty() || raw.data.is_empty() {
        return Err(malformed("is a second or empty relocation section"));
    }
    Ok(target)
}

fn relocations(elf: &Elf<'_>, index: usize) -> Result<Vec<Reloc>, BundleError> {
    records::<Rela64<LE>>(elf, index)?
        .iter()
        .map(|rela| {
            let (offset, number) = (rela.r_offset.get(LE), rela.r_type(LE, false).0);
            let failed = |what: &str| {
                BundleError::malformed(format!(
                    "relocation at offset {offset:#x} in section {index} {what}"
                ))
            };
            let symbol = rela.r_sym(LE, false).checked_sub(1);
            Ok(Reloc {
                offset,
                kind: RelocKind::from_elf(number)
                    .ok_or_else(|| failed(&format!("is of the unknown kind {number}")))?,
                symbol: SymbolId(symbol.ok_or_else(|| failed("has no symbol"))? as usize),
                addend: rela.r_addend.get(LE),
            })
        })
        .collect()
}

fn symbols(elf: &Elf<'_>, roles: &Roles, names: &mut Names) -> Result<Vec<Symbol>, BundleError> {
    let header = elf.sections[roles.symbols].header;
    if header.sh_link.get(LE) as usize != roles.strings {
        return Err(BundleError::malformed(
            "`.symtab` is not linked to `.strtab`",
        ));
    }
    let data = elf.sections[roles.strings].data;
    let strings = StringTable::new(data, 0, data.len() as u64);
    let records = records::<Sym64<LE>>(elf, roles.symbols)?;
    let is_null = |record: &Sym64<LE>| object::bytes_of(record).iter().all(|&byte| byte == 0);
    if !records.first().is_some_and(is_null) {
        return Err(BundleError::malformed("the first symbol is not null"));
    }
    let symbols = records
        .iter()
        .enumerate()
        .skip(1)
        .map(|(index, record)| symbol(record, index, roles, strings, names))
        .collect::<Result<Vec<_>, _>>()?;
    let definitions = symbols
        .iter()
        .take_while(|symbol| symbol.definition.is_some())
        .count();
    if header.sh_info.get(LE) as usize != definitions + 1 {
        return Err(BundleError::malformed(
            "`.symtab` miscounts its local symbols",
        ));
    }
    Ok(symbols)
}

fn symbol(
    record: &Sym64<LE>,
    index: usize,
    roles: &Roles,
    strings: StringTable<'_>,
    names: &mut Names,
) -> Result<Symbol, BundleError> {
    let failed = |what: &str| BundleError::malformed(format!("symbol {index} {what}"));
    let name = strings
        .get(record.st_name.get(LE))
        .ok()
        .and_then(|name| std::str::from_utf8(name).ok())
        .ok_or_else(|| failed("has no valid name"))?;
    let kind = format::symbol_kind(record.st_info.st_type())
        .ok_or_else(|| failed("is of a type that a live patch has not"))?;
    if record.st_other.0 != 0 {
        return Err(failed("has a visibility"));
    }
    let definition = definition(record, roles).ok_or_else(|| {
        failed("is neither a local definition in a section of the patch nor a global reference")
    })?;
    Ok(Symbol {
        name: names.take(name)?,
        kind,
        definition,
    })
}

/// `Some(None)` for a reference, `None` for a record that is neither that nor a definition.
#[expect(
    clippy::option_option,
    reason = "three outcomes, told apart at once by the one caller"
)]
fn definition(record: &Sym64<LE>, roles: &Roles) -> Option<Option<Definition>> {
    let section = record.st_shndx.get(LE);
    let (offset, size) = (record.st_value.get(LE), record.st_size.get(LE));
    if section == elf::SHN_UNDEF {
        let global = record.st_info.st_bind() == elf::STB_GLOBAL;
        return (global && offset == 0 && size == 0).then_some(None);
    }
    let section = SectionId(roles.content(usize::from(section.0))?);
    (record.st_info.st_bind() == elf::STB_LOCAL).then_some(Some(Definition {
        section,
        offset,
        size,
    }))
}
