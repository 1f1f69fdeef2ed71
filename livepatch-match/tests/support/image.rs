//! A linked program: code bytes by address, symbols, PLT, GOT and thread-local storage.

use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SymbolKind,
    elf,
};
use std::collections::HashMap;

/// A slot of the GOT as the dynamic linker will fill it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: elf::RelocationType,
    pub(crate) symbol: Option<String>,
    pub(crate) addend: i64,
}

/// A linked program.
pub(crate) struct Image {
    sections: Vec<(String, u64, Vec<u8>, u64)>,
    /// Values by name, `.symtab` and `.dynsym` together; the source file before it, for local ones.
    pub(crate) symbols: HashMap<String, Vec<(u64, Option<String>)>>,
    slots: HashMap<u64, Slot>,
    /// Offset of the thread pointer from the start of the initial TLS block.
    pub(crate) thread_pointer: u64,
}

impl Image {
    pub(crate) fn read(data: &[u8]) -> Self {
        let file = ElfFile64::<Endianness>::parse(data).expect("a program");
        let sections = file
            .sections()
            .filter(|section| section.address() != 0)
            .map(|section| {
                let bytes = section.data().unwrap_or_default().to_vec();
                let name = section.name().expect("a name").to_owned();
                (name, section.address(), bytes, section.size())
            })
            .collect();
        Self {
            sections,
            symbols: symbols(&file),
            slots: slots(&file),
            thread_pointer: thread_pointer(&file),
        }
    }

    /// The bytes from `address` to the end of its section.
    pub(crate) fn bytes_at(&self, address: u64) -> Option<&[u8]> {
        let (_, start, bytes, _) = self.section(address)?;
        bytes.get((address - start) as usize..)
    }

    pub(crate) fn section_name(&self, address: u64) -> Option<&str> {
        self.section(address).map(|section| section.0.as_str())
    }

    pub(crate) fn values(&self, name: &str) -> Vec<u64> {
        let list = self.symbols.get(name);
        list.map(|list| list.iter().map(|(value, _)| *value).collect())
            .unwrap_or_default()
    }

    /// What a slot holds: the relocation, or the linked contents.
    pub(crate) fn slot(&self, address: u64) -> Option<Slot> {
        self.slots.get(&address).cloned().or_else(|| {
            let word = self.bytes_at(address)?.get(..8)?;
            Some(Slot {
                kind: elf::R_X86_64_NONE,
                symbol: None,
                addend: i64::from_le_bytes(word.try_into().expect("8 bytes")),
            })
        })
    }

    fn section(&self, address: u64) -> Option<&(String, u64, Vec<u8>, u64)> {
        (self.sections.iter()).find(|(name, start, _, size)| {
            (*start..start + size).contains(&address)
                && !matches!(name.as_str(), ".tbss" | ".tdata")
        })
    }
}

fn symbols(file: &ElfFile64<'_>) -> HashMap<String, Vec<(u64, Option<String>)>> {
    let mut found: HashMap<String, Vec<_>> = HashMap::new();
    let mut source = None;
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default().to_owned();
        if symbol.kind() == SymbolKind::File {
            source = Some(name);
        } else if !symbol.is_undefined() && !name.is_empty() {
            let source = symbol.is_local().then(|| source.clone()).flatten();
            found
                .entry(name)
                .or_default()
                .push((symbol.address(), source));
        }
    }
    for symbol in file.dynamic_symbols().filter(|s| !s.is_undefined()) {
        let name = symbol.name().unwrap_or_default().to_owned();
        let list = found.entry(name).or_default();
        if list.is_empty() {
            list.push((symbol.address(), None));
        }
    }
    found
}

fn slots(file: &ElfFile64<'_>) -> HashMap<u64, Slot> {
    let names: HashMap<_, _> = file
        .dynamic_symbols()
        .map(|s| (s.index(), s.name().unwrap_or_default().to_owned()))
        .collect();
    let mut found = HashMap::new();
    for (address, relocation) in file.dynamic_relocations().into_iter().flatten() {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            continue;
        };
        let symbol = match relocation.target() {
            RelocationTarget::Symbol(index) => names.get(&index).cloned(),
            _ => None,
        };
        let slot = Slot {
            kind: r_type,
            symbol,
            addend: relocation.addend(),
        };
        found.insert(address, slot);
    }
    found
}

fn thread_pointer(file: &ElfFile64<'_>) -> u64 {
    let endian = Endianness::Little;
    let headers = (file.elf_header())
        .program_headers(endian, file.data())
        .expect("program headers");
    headers
        .iter()
        .find(|header| header.p_type(endian) == elf::PT_TLS)
        .map_or(0, |header| {
            let align = header.p_align(endian).max(1);
            let start = header.p_vaddr(endian) % align;
            (header.p_memsz(endian) + start).next_multiple_of(align) - start
        })
}
