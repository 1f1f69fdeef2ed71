//! How the model lies in the ELF file: names, types, flags and limits. Reader and writer share this table.
//!
//! ```text
//! ELF header                ET_REL, EM_X86_64, no program headers
//! contents of each section  in the order of `Bundle::sections`, which have the ELF indices 1, 2, ...
//! .rela<name> of each       for the sections that have relocations
//! .livepatch.manifest       JSON, one trailing newline
//! .symtab                   null, definitions (STB_LOCAL), references (STB_GLOBAL, SHN_UNDEF)
//! .strtab .shstrtab
//! section headers
//! ```
//!
//! A signed bundle has one section more, `.livepatch.signature` (`SHT_PROGBITS`, no flags); it has the last header, and
//! its contents lie behind the headers, as the last bytes of the file. It is no part of the model: whoever checks
//! signatures does so on the bytes before decoding them (`signature`). [`crate::write`] makes none.

use crate::{RelocKind, SectionKind, SymbolKind};
use object::elf;

/// The largest bundle that is read or written, in bytes; the sections' sizes together keep to it, too.
pub(crate) const MAX_SIZE: u64 = 256 << 20;
/// The largest number of sections: with their relocations they fit `e_shnum` without an extension.
pub(crate) const MAX_SECTIONS: usize = 32_000;
/// The largest alignment of a section: a page.
pub(crate) const MAX_ALIGN: u64 = 4096;

/// The manifest's section.
pub(crate) const MANIFEST: &str = ".livepatch.manifest";
/// The signature's section.
pub(crate) const SIGNATURE: &str = ".livepatch.signature";
/// Where relocations of `<name>` are: `.rela<name>`.
pub(crate) const RELA: &str = ".rela";

/// How a section's name tells its kind, beside type and flags.
enum Name {
    /// It begins so.
    Prefix(&'static str),
    /// It is this, or this and a dot and more.
    Family(&'static str),
    /// Any name that no other rule claims.
    Free,
}

impl Name {
    fn admits(&self, name: &str) -> bool {
        match self {
            Self::Prefix(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            Self::Family(family) => name
                .strip_prefix(family)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            Self::Free => !CLAIMED.iter().any(|prefix| name.starts_with(prefix)),
        }
    }
}

/// Names that begin so are not free.
const CLAIMED: [&str; 6] = [
    ".livepatch.",
    ".eh_frame",
    RELA,
    ".symtab",
    ".strtab",
    ".shstrtab",
];

/// How one kind of section looks in the file.
struct Shape {
    kind: SectionKind,
    name: Name,
    sh_type: elf::SectionType,
    sh_flags: u64,
}

const ALLOC: u64 = elf::SHF_ALLOC.0;
const WRITE: u64 = elf::SHF_WRITE.0;
const EXEC: u64 = elf::SHF_EXECINSTR.0;

#[rustfmt::skip]
const SHAPES: [Shape; 7] = [
    shape(SectionKind::Code,        Name::Free, elf::SHT_PROGBITS, ALLOC | EXEC),
    shape(SectionKind::ReadOnly,    Name::Free, elf::SHT_PROGBITS, ALLOC),
    shape(SectionKind::Data,        Name::Free, elf::SHT_PROGBITS, ALLOC | WRITE),
    shape(SectionKind::Zero,        Name::Free, elf::SHT_NOBITS,   ALLOC | WRITE),
    shape(SectionKind::Unwind,      Name::Family(".eh_frame"), elf::SHT_PROGBITS, ALLOC),
    shape(SectionKind::OldCode,     Name::Prefix(".livepatch.old.text."), elf::SHT_PROGBITS, 0),
    shape(SectionKind::OldReadOnly, Name::Prefix(".livepatch.old.rodata."), elf::SHT_PROGBITS, 0),
];

const fn shape(kind: SectionKind, name: Name, sh_type: elf::SectionType, sh_flags: u64) -> Shape {
    Shape {
        kind,
        name,
        sh_type,
        sh_flags,
    }
}

fn shape_of(kind: SectionKind) -> &'static Shape {
    SHAPES
        .iter()
        .find(|shape| shape.kind == kind)
        .expect("the table has every kind")
}

/// `sh_type` and `sh_flags` of this kind.
pub(crate) fn header_of(kind: SectionKind) -> (elf::SectionType, elf::SectionFlags) {
    let shape = shape_of(kind);
    (shape.sh_type, elf::SectionFlags(shape.sh_flags))
}

/// Whether a section of this kind may have this name.
pub(crate) fn name_fits(kind: SectionKind, name: &str) -> bool {
    shape_of(kind).name.admits(name)
}

/// The kind of a section of the file, if it is one of the model's.
pub(crate) fn kind_of(name: &str, sh_type: u32, sh_flags: u64) -> Option<SectionKind> {
    SHAPES
        .iter()
        .find(|shape| {
            shape.sh_type.0 == sh_type && shape.sh_flags == sh_flags && shape.name.admits(name)
        })
        .map(|shape| shape.kind)
}

/// Whether the section is mapped into the target.
pub(crate) fn is_placed(kind: SectionKind) -> bool {
    shape_of(kind).sh_flags & ALLOC != 0
}

const SYMBOL_TYPES: [(SymbolKind, elf::SymbolType); 4] = [
    (SymbolKind::Function, elf::STT_FUNC),
    (SymbolKind::Object, elf::STT_OBJECT),
    (SymbolKind::Tls, elf::STT_TLS),
    (SymbolKind::Unknown, elf::STT_NOTYPE),
];

/// `STT_*` of this kind.
pub(crate) fn symbol_type(kind: SymbolKind) -> elf::SymbolType {
    SYMBOL_TYPES
        .iter()
        .find(|entry| entry.0 == kind)
        .expect("the table has every kind")
        .1
}

/// The kind with this `STT_*`.
pub(crate) fn symbol_kind(st_type: elf::SymbolType) -> Option<SymbolKind> {
    SYMBOL_TYPES
        .iter()
        .find(|entry| entry.1 == st_type)
        .map(|entry| entry.0)
}

/// How many bytes a relocation of this kind covers.
pub(crate) fn width(kind: RelocKind) -> u64 {
    kind.width() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_again_by_its_header() {
        for (kind, name) in [
            (SectionKind::Code, ".text.f"),
            (SectionKind::ReadOnly, ".rodata.str1.1"),
            (SectionKind::Data, ".data.x"),
            (SectionKind::Zero, ".bss.y"),
            (SectionKind::Unwind, ".eh_frame"),
            (SectionKind::OldCode, ".livepatch.old.text.f"),
            (SectionKind::OldReadOnly, ".livepatch.old.rodata.f"),
        ] {
            let (sh_type, flags) = header_of(kind);
            assert!(name_fits(kind, name), "{name}");
            assert_eq!(kind_of(name, sh_type.0, flags.0), Some(kind), "{name}");
        }
    }

    #[test]
    fn claimed_names_are_not_free() {
        for name in [
            ".eh_frame",
            ".livepatch.x",
            ".symtab",
            ".rela.text",
            ".livepatch.old.text.f",
        ] {
            assert!(!name_fits(SectionKind::ReadOnly, name), "{name}");
        }
        assert!(!name_fits(SectionKind::Unwind, ".eh_frame_hdr"));
        assert!(!name_fits(SectionKind::OldCode, ".livepatch.old.text."));
    }
}
