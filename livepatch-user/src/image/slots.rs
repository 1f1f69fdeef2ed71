//! What the dynamic loader fills in: slots in the GOT and in data, found by their relocations in memory.

use super::dynamic::{DT_JMPREL, DT_PLTRELSZ, DT_RELA, DT_RELASZ};
use super::image::Image;
use super::inside::MAX_TABLE;
use super::table::{Index, is_defined, kind};
use goblin::elf::reloc::{
    R_X86_64_64, R_X86_64_COPY, R_X86_64_DTPMOD64, R_X86_64_DTPOFF64, R_X86_64_GLOB_DAT,
    R_X86_64_IRELATIVE, R_X86_64_JUMP_SLOT, R_X86_64_RELATIVE, R_X86_64_TLSDESC, R_X86_64_TPOFF64,
};
use goblin::elf::sym::{STT_FUNC, STV_DEFAULT};
use livepatch_bundle::{LinkAddr, RunAddr};
use scroll::{LE, Pread};

/// Size in bytes of an `Elf64_Rela`.
const RELA_SIZE: usize = 24;
const R_X86_64_NONE: u32 = 0;

/// What a slot holds once the loader has filled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// The address of the symbol (`R_X86_64_GLOB_DAT`, a GOT slot).
    GlobDat,
    /// The address of the function, or until its first call that of a stub in the image's own PLT
    /// (`R_X86_64_JUMP_SLOT`).
    JumpSlot,
    /// The address of the symbol plus the addend, in data (`R_X86_64_64`).
    Absolute,
    /// A copy of the variable itself (`R_X86_64_COPY`): the slot *is* the symbol.
    Copy,
    /// The offset from the thread pointer (`R_X86_64_TPOFF64`).
    TpOff,
    /// The number of the TLS module (`R_X86_64_DTPMOD64`). The word after it holds the offset in the module's
    /// block: together the argument of `__tls_get_addr`.
    TlsModule,
    /// The offset in the TLS module's block (`R_X86_64_DTPOFF64`).
    TlsOffset,
    /// A TLS descriptor: two words (`R_X86_64_TLSDESC`).
    TlsDesc,
    /// The function that the resolver at the addend chose (`R_X86_64_IRELATIVE`).
    IRelative,
}

impl SlotKind {
    fn from_elf(kind: u32) -> Option<Self> {
        match kind {
            R_X86_64_GLOB_DAT => Some(Self::GlobDat),
            R_X86_64_JUMP_SLOT => Some(Self::JumpSlot),
            R_X86_64_64 => Some(Self::Absolute),
            R_X86_64_COPY => Some(Self::Copy),
            R_X86_64_TPOFF64 => Some(Self::TpOff),
            R_X86_64_DTPMOD64 => Some(Self::TlsModule),
            R_X86_64_DTPOFF64 => Some(Self::TlsOffset),
            R_X86_64_TLSDESC => Some(Self::TlsDesc),
            R_X86_64_IRELATIVE => Some(Self::IRelative),
            _ => None,
        }
    }
}

/// A place that the dynamic loader filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Where it lies.
    pub address: RunAddr,
    /// What it holds.
    pub kind: SlotKind,
    /// The relocation's addend: added to the symbol; without a symbol, the offset in the TLS block or the
    /// link-time address of the resolver.
    pub addend: i64,
    /// The version of the symbol that was asked for.
    pub version: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relocation {
    pub(super) offset: LinkAddr,
    pub(super) kind: SlotKind,
    /// 0: none.
    pub(super) symbol: Index,
    pub(super) addend: i64,
}

/// The relocations of an image that are not merely relative, sorted by symbol.
#[derive(Debug, Default)]
pub(super) struct Relocations(Vec<Relocation>);

impl Relocations {
    fn read(image: &Image<'_>) -> Self {
        let mut found = Vec::new();
        let tables = [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)];
        for (address, size) in tables {
            let size = image.dynamic().get(size).unwrap_or(0).min(MAX_TABLE);
            let table = image.pointer(address);
            let bytes = table.and_then(|table| image.table(table, size));
            found.extend(decode(&bytes.unwrap_or_default()));
        }
        if image.dynamic().get(DT_RELA).is_none() && image.dynamic().get(DT_JMPREL).is_none() {
            found.extend(static_irelative(image));
        }
        found.sort_by_key(|relocation| (relocation.symbol, relocation.offset));
        // DT_RELA may include DT_JMPREL.
        found.dedup();
        Self(found)
    }

    /// Those against a symbol; 0 for those without.
    pub(super) fn of_symbol(&self, symbol: Index) -> &[Relocation] {
        let start = self.0.partition_point(|this| this.symbol < symbol);
        let len = self.0[start..].partition_point(|this| this.symbol == symbol);
        &self.0[start..start + len]
    }

    pub(super) fn all(&self) -> &[Relocation] {
        &self.0
    }
}

fn decode(table: &[u8]) -> impl Iterator<Item = Relocation> {
    table.chunks_exact(RELA_SIZE).filter_map(|entry| {
        let info: u64 = entry.pread_with(8, LE).ok()?;
        let kind = u32::try_from(info & 0xffff_ffff).ok()?;
        if matches!(kind, R_X86_64_RELATIVE | R_X86_64_NONE) {
            return None;
        }
        Some(Relocation {
            offset: LinkAddr(entry.pread_with(0, LE).ok()?),
            kind: SlotKind::from_elf(kind)?,
            symbol: u32::try_from(info >> 32).ok()?,
            addend: entry.pread_with(16, LE).ok()?,
        })
    })
}

/// A static program has no dynamic section: only its start-up code knows where its `IRELATIVE` relocations
/// are. They lie in the first segment, and what they refer to tells them from other data.
fn static_irelative(image: &Image<'_>) -> Vec<Relocation> {
    const MAX_SEARCH: u64 = 1 << 20;
    let first = image.segments.iter().find(|segment| segment.is_load());
    let bytes = first.and_then(|segment| {
        let size = segment.file_size.min(MAX_SEARCH);
        image.table(image.run(segment.address), size)
    });
    let bytes = bytes.unwrap_or_default();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(entry) = bytes.get(at..at + RELA_SIZE) {
        let relocation = decode(entry).next().filter(|relocation| {
            let resolver = LinkAddr(relocation.addend.cast_unsigned());
            relocation.kind == SlotKind::IRelative
                && relocation.symbol == 0
                && image.is_code(image.run(resolver))
                && is_data(image, relocation.offset)
        });
        at += if relocation.is_some() { RELA_SIZE } else { 8 };
        found.extend(relocation);
    }
    found
}

fn is_data(image: &Image<'_>, address: LinkAddr) -> bool {
    let segment = image.load_at(address);
    segment.is_some_and(|segment| segment.is_writable() && !segment.is_executable())
}

impl Image<'_> {
    pub(super) fn relocations(&self) -> &Relocations {
        self.relocations.get_or_init(|| Relocations::read(self))
    }

    /// Every slot of this image that is filled in for the dynamic symbol `name`, whatever its version.
    #[must_use]
    pub fn import_slots(&self, name: &str) -> Vec<Slot> {
        let symbols = self.dynamic_symbols();
        let named = symbols.table.named(name.as_bytes());
        let slots = named.iter().flat_map(|&symbol| {
            let version = symbols.version(symbol).name.map(str::to_owned);
            let relocations = self.relocations().of_symbol(symbol).iter();
            relocations.map(move |relocation| self.slot(relocation, version.clone()))
        });
        slots.collect()
    }

    /// Whether a slot of this image is filled in for the function at `address`, under any of its names.
    #[must_use]
    pub fn is_imported(&self, address: LinkAddr) -> bool {
        let mut names = self.dynamic_symbols().table.functions_at(address);
        names.any(|symbol| !self.relocations().of_symbol(symbol).is_empty())
    }

    /// Whether a slot of this image is filled in for a function that it defines itself: it was not linked with
    /// `-Bsymbolic-functions`, which binds such references within the image.
    #[must_use]
    pub fn imports_own_functions(&self) -> bool {
        let table = &self.dynamic_symbols().table;
        let mut relocations = self.relocations().all().iter();
        relocations.any(|relocation| {
            table.get(relocation.symbol).is_some_and(|symbol| {
                is_defined(symbol) && kind(symbol) == STT_FUNC && symbol.st_other & 3 == STV_DEFAULT
            })
        })
    }

    /// The slots without a symbol that belong to the thread-local variable at `offset` in this image's own
    /// TLS block: how the linker serves static and hidden variables. [`SlotKind::TlsModule`] with offset 0 also
    /// serves local-dynamic code.
    #[must_use]
    pub fn local_tls_slots(&self, offset: LinkAddr) -> Vec<Slot> {
        let own = self.relocations().of_symbol(0).iter();
        let matching = own.filter(|relocation| match relocation.kind {
            SlotKind::TpOff | SlotKind::TlsDesc => relocation.addend.cast_unsigned() == offset.0,
            SlotKind::TlsModule => {
                let second = self.run(relocation.offset).offset(8);
                self.word(second) == Some(offset.0)
            }
            _ => false,
        });
        matching
            .map(|relocation| self.slot(relocation, None))
            .collect()
    }

    /// Every [`SlotKind::IRelative`] slot, with the resolver whose choice it holds.
    #[must_use]
    pub fn irelative_slots(&self) -> Vec<(LinkAddr, RunAddr)> {
        let own = self.relocations().of_symbol(0).iter();
        let chosen = own.filter(|relocation| relocation.kind == SlotKind::IRelative);
        let pair = |relocation: &Relocation| {
            let resolver = LinkAddr(relocation.addend.cast_unsigned());
            (resolver, self.run(relocation.offset))
        };
        chosen.map(pair).collect()
    }

    fn slot(&self, relocation: &Relocation, version: Option<String>) -> Slot {
        Slot {
            address: self.run(relocation.offset),
            kind: relocation.kind,
            addend: relocation.addend,
            version,
        }
    }
}
