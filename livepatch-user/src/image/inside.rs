//! Reading an image's memory: only what is mapped within its span, however its headers read.

use super::dynamic::{self, DT_NEEDED, DT_SONAME, DT_STRSZ, DT_STRTAB, Dynamic};
use super::image::Image;
use goblin::elf64::program_header::PT_DYNAMIC;
use livepatch_bundle::{LinkAddr, RunAddr};

/// Bytes beyond which no table is read from memory or from a file.
pub(super) const MAX_TABLE: u64 = 512 << 20;
const MAX_NAME: u64 = 4096;

/// The names in the dynamic section.
#[derive(Debug, Default)]
pub(super) struct Linkage {
    soname: Option<String>,
    needed: Vec<String>,
}

impl Linkage {
    pub(super) fn soname(&self) -> Option<&str> {
        self.soname.as_deref()
    }

    pub(super) fn needed(&self) -> &[String] {
        &self.needed
    }
}

impl Image<'_> {
    /// The dynamic section; empty in a static program.
    pub(super) fn dynamic(&self) -> &Dynamic {
        self.dynamic.get_or_init(|| {
            let bytes = self.segment(PT_DYNAMIC).and_then(|segment| {
                let size = segment.memory_size.min(dynamic::MAX_SIZE);
                self.table(self.run(segment.address), size)
            });
            Dynamic::parse(&bytes.unwrap_or_default())
        })
    }

    /// Where a pointer in the dynamic section leads, whether or not the loader added the bias to it.
    pub(super) fn pointer(&self, tag: u64) -> Option<RunAddr> {
        let value = self.dynamic().get(tag)?;
        let candidates = [RunAddr(value), self.run(LinkAddr(value))];
        candidates
            .into_iter()
            .find(|&address| self.contains(address))
    }

    /// `len` bytes of its memory, when they all lie in its span and are mapped.
    pub(super) fn table(&self, address: RunAddr, len: u64) -> Option<Vec<u8>> {
        let end = address.0.checked_add(len)?;
        let within = self.span.start <= address && end <= self.span.end.0 && len <= MAX_TABLE;
        if !within || self.mapped_from(address, len) < len {
            return None;
        }
        let bytes = self.space.0.read_vec(address, usize::try_from(len).ok()?);
        bytes.ok()
    }

    /// A word of its memory.
    pub(super) fn word(&self, address: RunAddr) -> Option<u64> {
        let bytes = self.table(address, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// How many bytes, at most `limit`, are mapped from `address` on without a gap, within the span.
    pub(super) fn mapped_from(&self, address: RunAddr, limit: u64) -> u64 {
        let first = self.mappings.partition_point(|map| map.end <= address);
        let limit = address.0.saturating_add(limit).min(self.span.end.0);
        let mut end = address.0;
        for mapping in &self.mappings[first..] {
            if mapping.start.0 > end || end >= limit {
                break;
            }
            end = mapping.end.0;
        }
        end.min(limit).saturating_sub(address.0)
    }

    pub(super) fn linkage(&self) -> &Linkage {
        self.linkage.get_or_init(|| {
            let string = |offset| self.dynamic_string(offset);
            Linkage {
                soname: self.dynamic().get(DT_SONAME).and_then(string),
                needed: self.dynamic().all(DT_NEEDED).filter_map(string).collect(),
            }
        })
    }

    /// A string of `DT_STRTAB`.
    fn dynamic_string(&self, offset: u64) -> Option<String> {
        let size = self.dynamic().get(DT_STRSZ)?;
        let strings = self.pointer(DT_STRTAB)?;
        let len = size.checked_sub(offset)?.min(MAX_NAME);
        let bytes = self.table(RunAddr(strings.0.checked_add(offset)?), len)?;
        let name = &bytes[..memchr::memchr(0, &bytes)?];
        Some(String::from_utf8_lossy(name).into_owned())
    }
}
