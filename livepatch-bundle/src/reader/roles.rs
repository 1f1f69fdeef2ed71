//! What each section of the file is for. A section that nobody knows is refused.

use super::elf::{Elf, RawSection};
use crate::problem::printable;
use crate::{BundleError, SectionKind, format};
use object::LittleEndian as LE;
use object::elf::{self, SectionHeader64};

/// ELF indices by role.
#[derive(Default)]
pub(super) struct Roles {
    /// Sections of the model, in file order: their positions here are the `SectionId`s.
    pub(super) contents: Vec<(usize, SectionKind)>,
    /// Relocation sections.
    pub(super) relocations: Vec<usize>,
    /// `.symtab`.
    pub(super) symbols: usize,
    /// `.strtab`.
    pub(super) strings: usize,
}

/// What one section is.
enum Role {
    Content(SectionKind),
    Relocations,
    Symbols,
    Strings,
    /// Nothing to decode: the section names, the manifest, which was read before, and a signature.
    Aside,
}

impl Roles {
    /// Classifies every section and checks that there is one symbol table with its strings.
    pub(super) fn assign(elf: &Elf<'_>) -> Result<Self, BundleError> {
        let mut roles = Self::default();
        null_section(elf.sections.first())?;
        for (index, section) in elf.sections.iter().enumerate().skip(1) {
            match role(section, index, elf)? {
                Role::Content(kind) => roles.contents.push((index, kind)),
                Role::Relocations => roles.relocations.push(index),
                Role::Symbols => once(&mut roles.symbols, index, ".symtab")?,
                Role::Strings => once(&mut roles.strings, index, ".strtab")?,
                Role::Aside => {}
            }
        }
        if roles.symbols == 0 || roles.strings == 0 {
            return Err(BundleError::malformed("no symbol table"));
        }
        Ok(roles)
    }

    /// The position in `contents` of the section with this ELF index.
    pub(super) fn content(&self, index: usize) -> Option<usize> {
        self.contents
            .binary_search_by_key(&index, |&(index, _)| index)
            .ok()
    }
}

fn once(slot: &mut usize, index: usize, name: &str) -> Result<(), BundleError> {
    if *slot != 0 {
        return Err(BundleError::malformed(format!("two sections `{name}`")));
    }
    *slot = index;
    Ok(())
}

fn null_section(section: Option<&RawSection<'_>>) -> Result<(), BundleError> {
    let empty = section.is_some_and(|RawSection { header, .. }| {
        header.sh_name.get(LE) == 0
            && header.sh_type.get(LE) == elf::SHT_NULL
            && header.sh_flags.get(LE).0 == 0
            && header.sh_addr.get(LE) == 0
            && header.sh_size.get(LE) == 0
            && header.sh_link.get(LE) == 0
            && header.sh_info.get(LE) == 0
    });
    if empty {
        return Ok(());
    }
    Err(BundleError::malformed("the first section is not null"))
}

fn role(section: &RawSection<'_>, index: usize, elf: &Elf<'_>) -> Result<Role, BundleError> {
    let (sh_type, flags) = (
        section.header.sh_type.get(LE),
        section.header.sh_flags.get(LE).0,
    );
    let bare = sh_type == elf::SHT_PROGBITS && flags == 0;
    let role = match section.name {
        _ if index == elf.names_index => (flags == 0).then_some(Role::Aside),
        format::MANIFEST => bare.then_some(Role::Aside),
        format::SIGNATURE => bare.then_some(Role::Aside),
        ".symtab" => (sh_type == elf::SHT_SYMTAB && flags == 0).then_some(Role::Symbols),
        ".strtab" => (sh_type == elf::SHT_STRTAB && flags == 0).then_some(Role::Strings),
        name if name.starts_with(format::RELA) => {
            let rela = sh_type == elf::SHT_RELA && flags == elf::SHF_INFO_LINK.0;
            rela.then_some(Role::Relocations)
        }
        name => format::kind_of(name, sh_type.0, flags).map(Role::Content),
    };
    let role = role.ok_or_else(|| {
        let name = printable(section.name);
        BundleError::malformed(format!(
            "section {index}, `{name}`, of type {sh_type:#x} with flags {flags:#x} is none that a live patch has"
        ))
    })?;
    let linked = matches!(role, Role::Relocations | Role::Symbols);
    unlinked(section.header, linked).map_err(|field| {
        BundleError::malformed(format!("section {index} has an unexpected `{field}`"))
    })?;
    Ok(role)
}

/// Fields that must be 0: in every section `sh_addr`, and in sections that are no tables the others, too.
fn unlinked(header: &SectionHeader64<LE>, linked: bool) -> Result<(), &'static str> {
    let fields = [
        ("sh_addr", header.sh_addr.get(LE), true),
        ("sh_link", u64::from(header.sh_link.get(LE)), !linked),
        ("sh_info", u64::from(header.sh_info.get(LE)), !linked),
    ];
    match fields.iter().find(|(_, value, must)| *must && *value != 0) {
        Some((field, ..)) => Err(field),
        None => Ok(()),
    }
}
