//! A kernel module as an ELF file: sections, symbols and relocations, written down reproducibly.
//!
//! `Documentation/livepatch/module-elf-format.rst` describes what livepatches add.

use super::encode;
use object::elf;

/// The index of a section that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sec(pub(super) usize);

/// The index of a symbol that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sym(pub(super) usize);

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

/// A section with its contents and fields.
#[derive(Debug)]
pub(super) struct Section {
    pub name: String,
    pub shape: Shape,
    pub data: Vec<u8>,
    /// `data.len()`, except for `SHT_NOBITS`.
    pub size: u64,
    pub fields: Vec<Field>,
}

/// Where a symbol is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
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

/// A symbol.
#[derive(Debug)]
pub(super) struct Symbol {
    pub name: String,
    pub kind: elf::SymbolType,
    pub home: Home,
    pub global: bool,
    pub size: u64,
}

/// A module that is being put together.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The kernel or module whose code is added, by number: what has no name is named after it.
    pub(super) part: usize,
    pub(super) sections: Vec<Section>,
    pub(super) symbols: Vec<Symbol>,
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
        encode::encode(self)
    }
}
