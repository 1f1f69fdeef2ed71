//! A kernel module as an ELF file: sections, symbols and relocations, written down reproducibly.
//!
//! ```text
//! ELF header                 ET_REL, EM_X86_64
//! contents of each section   in the order in which they were added
//! .rela<section>             relocations that the module loader applies to every module
//! .klp.rela.<object>.<section>  those that the livepatch core applies when the object is there (SHF_RELA_LIVEPATCH)
//! .symtab .strtab .shstrtab
//! section headers
//! ```
//!
//! `Documentation/livepatch/module-elf-format.rst` describes what livepatches add.

use object::elf;
use std::collections::BTreeMap;

/// Relocations of this section are the livepatch core's (`include/uapi/linux/elf.h`).
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
/// Symbols that the livepatch core resolves.
const SHN_LIVEPATCH: u16 = 0xff20;

/// The index of a section that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sec(usize);

/// The index of a symbol that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sym(usize);

/// A section's header fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub kind: elf::SectionType,
    pub flags: u64,
    pub align: u64,
    pub entsize: u64,
}

impl Shape {
    /// Contents with these flags.
    pub(super) fn contents(flags: elf::SectionFlags, align: u64) -> Self {
        Self {
            kind: elf::SHT_PROGBITS,
            flags: flags.0,
            align,
            entsize: 0,
        }
    }
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A place in the module.
    Own(Sec),
    /// A symbol of another's.
    Symbol(Sym),
}

/// A field to fill in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub offset: u64,
    /// `R_X86_64_*`.
    pub kind: u32,
    pub target: Target,
    pub addend: i64,
}

#[derive(Debug)]
struct Section {
    name: String,
    shape: Shape,
    data: Vec<u8>,
    /// `data.len()`, except for `SHT_NOBITS`.
    size: u64,
    fields: Vec<Field>,
}

/// Where a symbol is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Home {
    Own {
        section: Sec,
        offset: u64,
    },
    Undefined,
    /// Resolved by the livepatch core for the relocations of this object.
    Livepatch {
        object: String,
    },
}

#[derive(Debug)]
struct Symbol {
    name: String,
    kind: elf::SymbolType,
    home: Home,
    global: bool,
    size: u64,
}

/// A module that is being put together.
#[derive(Debug, Default)]
pub(super) struct File {
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
}

impl File {
    /// Adds an empty section.
    pub(super) fn section(&mut self, name: impl Into<String>, shape: Shape) -> Sec {
        self.sections.push(Section {
            name: name.into(),
            shape,
            data: Vec::new(),
            size: 0,
            fields: Vec::new(),
        });
        Sec(self.sections.len() - 1)
    }

    /// Adds an empty section with a name that no other has: the kernel shows them as files.
    pub(super) fn unique(&mut self, name: &str, shape: Shape) -> Sec {
        let mut candidate = name.to_owned();
        let mut count = 2;
        while self
            .sections
            .iter()
            .any(|section| section.name == candidate)
        {
            candidate = format!("{name}.{count}");
            count += 1;
        }
        self.section(candidate, shape)
    }

    /// The section of this name, added when it is not there.
    pub(super) fn shared(&mut self, name: &str, shape: Shape) -> Sec {
        let known = self
            .sections
            .iter()
            .position(|section| section.name == name);
        let section = known.map_or_else(|| self.section(name, shape), Sec);
        let align = &mut self.sections[section.0].shape.align;
        *align = shape.align.max(*align);
        section
    }

    /// Appends contents at a multiple of `align`; returns where they are.
    pub(super) fn append(&mut self, section: Sec, align: u64, data: &[u8]) -> u64 {
        let section = &mut self.sections[section.0];
        let start = section.data.len().next_multiple_of(align.max(1) as usize);
        section.data.resize(start, 0);
        section.data.extend_from_slice(data);
        section.size = section.data.len() as u64;
        start as u64
    }

    /// Appends contents at `offset`, not before what is there.
    pub(super) fn append_at(&mut self, section: Sec, offset: u64, data: &[u8]) -> u64 {
        let section = &mut self.sections[section.0];
        let start = section.data.len().max(offset as usize);
        section.data.resize(start, 0);
        section.data.extend_from_slice(data);
        section.size = section.data.len() as u64;
        start as u64
    }

    /// Makes a section of `size` zero bytes that the file does not hold.
    pub(super) fn zeros(&mut self, section: Sec, size: u64) {
        self.sections[section.0].size = size;
    }

    /// Adds a field to fill in.
    pub(super) fn relocate(&mut self, section: Sec, field: Field) {
        self.sections[section.0].fields.push(field);
    }

    /// Names a place in the module.
    pub(super) fn define(
        &mut self,
        name: impl Into<String>,
        kind: elf::SymbolType,
        (section, offset): (Sec, u64),
        size: u64,
        global: bool,
    ) {
        let home = Home::Own { section, offset };
        self.add(name.into(), kind, home, global, size);
    }

    /// A symbol that the kernel exports.
    pub(super) fn undefined(&mut self, name: &str) -> Sym {
        self.find(name, Home::Undefined)
    }

    /// A symbol that the livepatch core resolves, with its whole name (`.klp.sym.OBJECT.NAME,POSITION`).
    pub(super) fn livepatch(&mut self, name: &str, object: &str) -> Sym {
        let object = object.to_owned();
        self.find(name, Home::Livepatch { object })
    }

    /// Names of symbols that the kernel must export.
    pub(super) fn imports(&self) -> impl Iterator<Item = &str> {
        let wanted = self
            .symbols
            .iter()
            .filter(|one| one.home == Home::Undefined);
        wanted.map(|one| one.name.as_str())
    }

    fn find(&mut self, name: &str, home: Home) -> Sym {
        let same = |one: &Symbol| one.name == name && one.home == home;
        match self.symbols.iter().position(same) {
            Some(index) => Sym(index),
            None => self.add(name.to_owned(), elf::STT_NOTYPE, home, true, 0),
        }
    }

    fn add(
        &mut self,
        name: String,
        kind: elf::SymbolType,
        home: Home,
        global: bool,
        size: u64,
    ) -> Sym {
        self.symbols.push(Symbol {
            name,
            kind,
            home,
            global,
            size,
        });
        Sym(self.symbols.len() - 1)
    }

    /// The file's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        Encoder::of(self).encode()
    }
}

/// A section as it is written.
struct Out {
    name: String,
    kind: u32,
    flags: u64,
    data: Vec<u8>,
    size: u64,
    align: u64,
    entsize: u64,
    link: u32,
    info: u32,
}

struct Encoder<'f> {
    file: &'f File,
    /// By symbol of the file: its number in the symbol table.
    numbers: Vec<u32>,
    first_global: u32,
}

impl<'f> Encoder<'f> {
    fn of(file: &'f File) -> Self {
        let mut numbers = vec![0; file.symbols.len()];
        // The null symbol, then one for each section.
        let mut next = 1 + file.sections.len() as u32;
        let mut first_global = next;
        for global in [false, true] {
            for (index, symbol) in file.symbols.iter().enumerate() {
                if symbol.global == global {
                    numbers[index] = next;
                    next += 1;
                }
            }
            if !global {
                first_global = next;
            }
        }
        Self {
            file,
            numbers,
            first_global,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut outs: Vec<Out> = self.file.sections.iter().map(contents).collect();
        let relocations = self.relocations();
        let symtab = 1 + (outs.len() + relocations.len()) as u32;
        outs.extend(relocations.into_iter().map(|out| Out {
            link: symtab,
            ..out
        }));
        outs.extend(self.symbols(symtab + 1));
        finish(outs)
    }

    /// Relocation sections; those that the livepatch core applies apart from the others.
    fn relocations(&self) -> Vec<Out> {
        let mut outs = Vec::new();
        for (index, section) in self.file.sections.iter().enumerate() {
            let mut by_object: BTreeMap<Option<&str>, Vec<u8>> = BTreeMap::new();
            let mut fields = section.fields.clone();
            fields.sort_by_key(|field| field.offset);
            for field in &fields {
                let (symbol, object) = self.target(field.target);
                let data = by_object.entry(object).or_default();
                data.extend_from_slice(&field.offset.to_le_bytes());
                data.extend_from_slice(&field.kind.to_le_bytes());
                data.extend_from_slice(&symbol.to_le_bytes());
                data.extend_from_slice(&field.addend.to_le_bytes());
            }
            for (object, data) in by_object {
                let (name, flags) = match object {
                    None => (format!(".rela{}", section.name), elf::SHF_INFO_LINK.0),
                    Some(object) => (
                        format!(".klp.rela.{object}.{}", section.name),
                        elf::SHF_INFO_LINK.0 | elf::SHF_ALLOC.0 | SHF_RELA_LIVEPATCH,
                    ),
                };
                outs.push(Out {
                    name,
                    kind: elf::SHT_RELA.0,
                    flags,
                    size: data.len() as u64,
                    data,
                    align: 8,
                    entsize: 24,
                    link: 0,
                    info: index as u32 + 1,
                });
            }
        }
        outs
    }

    /// The number of the symbol that a field refers to, and for which object it is filled in.
    fn target(&self, target: Target) -> (u32, Option<&str>) {
        match target {
            Target::Own(Sec(section)) => (section as u32 + 1, None),
            Target::Symbol(Sym(symbol)) => {
                let object = match &self.file.symbols[symbol].home {
                    Home::Livepatch { object } => Some(object.as_str()),
                    _ => None,
                };
                (self.numbers[symbol], object)
            }
        }
    }

    /// The symbol table and its strings, which have the index `strings`.
    fn symbols(&self, strings: u32) -> [Out; 2] {
        let mut names = vec![0];
        let mut table = vec![0; 24];
        for index in 1..=self.file.sections.len() {
            symbol(&mut table, 0, elf::STT_SECTION.0, index as u16, 0, 0);
        }
        for global in [false, true] {
            for one in self.file.symbols.iter().filter(|one| one.global == global) {
                let name = names.len() as u32;
                names.extend_from_slice(one.name.as_bytes());
                names.push(0);
                let bind = if global {
                    elf::STB_GLOBAL
                } else {
                    elf::STB_LOCAL
                };
                let (section, value) = match one.home {
                    Home::Own { section, offset } => (section.0 as u16 + 1, offset),
                    Home::Undefined => (0, 0),
                    Home::Livepatch { .. } => (SHN_LIVEPATCH, 0),
                };
                symbol(
                    &mut table,
                    name,
                    bind.0 << 4 | one.kind.0,
                    section,
                    value,
                    one.size,
                );
            }
        }
        let mut table = out(".symtab", elf::SHT_SYMTAB, table);
        (table.align, table.entsize, table.link, table.info) = (8, 24, strings, self.first_global);
        [table, out(".strtab", elf::SHT_STRTAB, names)]
    }
}

fn contents(section: &Section) -> Out {
    Out {
        name: section.name.clone(),
        kind: section.shape.kind.0,
        flags: section.shape.flags,
        data: section.data.clone(),
        size: section.size,
        align: section.shape.align,
        entsize: section.shape.entsize,
        link: 0,
        info: 0,
    }
}

fn out(name: &str, kind: elf::SectionType, data: Vec<u8>) -> Out {
    Out {
        name: name.to_owned(),
        kind: kind.0,
        flags: 0,
        size: data.len() as u64,
        data,
        align: 1,
        entsize: 0,
        link: 0,
        info: 0,
    }
}

/// Appends an `Elf64_Sym`.
fn symbol(table: &mut Vec<u8>, name: u32, info: u8, section: u16, value: u64, size: u64) {
    table.extend_from_slice(&name.to_le_bytes());
    table.extend_from_slice(&[info, 0]);
    table.extend_from_slice(&section.to_le_bytes());
    table.extend_from_slice(&value.to_le_bytes());
    table.extend_from_slice(&size.to_le_bytes());
}

/// Writes the sections, the names of sections, and all headers.
fn finish(mut outs: Vec<Out>) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut names = vec![0];
    outs.push(out(".shstrtab", elf::SHT_STRTAB, Vec::new()));
    let mut name_offsets = Vec::new();
    for one in &outs {
        name_offsets.push(names.len() as u32);
        names.extend_from_slice(one.name.as_bytes());
        names.push(0);
    }
    if let Some(last) = outs.last_mut() {
        last.size = names.len() as u64;
        last.data = names;
    }
    let mut file = vec![0; HEADER];
    let mut headers = vec![0; 64];
    for (one, name) in outs.iter().zip(name_offsets) {
        file.resize(file.len().next_multiple_of(one.align.max(1) as usize), 0);
        let offset = file.len() as u64;
        file.extend_from_slice(&one.data);
        headers.extend_from_slice(&name.to_le_bytes());
        headers.extend_from_slice(&one.kind.to_le_bytes());
        for field in [one.flags, 0, offset, one.size] {
            headers.extend_from_slice(&field.to_le_bytes());
        }
        headers.extend_from_slice(&one.link.to_le_bytes());
        headers.extend_from_slice(&one.info.to_le_bytes());
        headers.extend_from_slice(&one.align.to_le_bytes());
        headers.extend_from_slice(&one.entsize.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let start = file.len() as u64;
    file.extend_from_slice(&headers);
    let count = outs.len() as u16 + 1;
    file[..HEADER].copy_from_slice(&header(start, count));
    file
}

/// The ELF header of a relocatable x86-64 file.
fn header(sections: u64, count: u16) -> [u8; 64] {
    let mut header = [0; 64];
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    header[16..18].copy_from_slice(&elf::ET_REL.0.to_le_bytes());
    header[18..20].copy_from_slice(&elf::EM_X86_64.0.to_le_bytes());
    header[20..24].copy_from_slice(&1_u32.to_le_bytes());
    header[40..48].copy_from_slice(&sections.to_le_bytes());
    header[52..54].copy_from_slice(&64_u16.to_le_bytes());
    header[58..60].copy_from_slice(&64_u16.to_le_bytes());
    header[60..62].copy_from_slice(&count.to_le_bytes());
    header[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    header
}
