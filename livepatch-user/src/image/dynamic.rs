//! The dynamic section (gABI "Dynamic Section") as it lies in memory.
//!
//! glibc adds the load bias to the pointers in it, musl and the vDSO leave them as linked; [`super::Image`]
//! tells which by where they point.

use scroll::{LE, Pread};

pub(super) use goblin::elf::dynamic::{
    DT_DEBUG, DT_FLAGS, DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_NEEDED, DT_PLTRELSZ, DT_RELA,
    DT_RELASZ, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMBOLIC, DT_SYMTAB, DT_VERDEF, DT_VERNEED,
    DT_VERSYM,
};

/// Size in bytes beyond which a dynamic section is not read.
pub(super) const MAX_SIZE: u64 = 1 << 16;

/// The entries up to `DT_NULL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dynamic(Vec<(u64, u64)>);

impl Dynamic {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let entries = bytes.chunks_exact(16).map_while(|entry| {
            let tag: u64 = entry.pread_with(0, LE).ok()?;
            let value = entry.pread_with(8, LE).ok()?;
            (tag != 0).then_some((tag, value))
        });
        Self(entries.collect())
    }

    /// The value of the last entry with this tag, which is the one that loaders use.
    pub(super) fn get(&self, tag: u64) -> Option<u64> {
        self.all(tag).last()
    }

    /// The values of all entries with this tag, in order.
    pub(super) fn all(&self, tag: u64) -> impl Iterator<Item = u64> {
        let entries = self.0.iter().filter(move |&&(this, _)| this == tag);
        entries.map(|&(_, value)| value)
    }
}
