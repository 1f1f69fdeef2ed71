//! An address space made of arrays.

use crate::memory::{Memory, Unreadable};
use crate::unwind::{AddressSpace, NoRegions, Region, RegionKind};
use livepatch_bundle::RunAddr;

#[derive(Clone, Default)]
pub(crate) struct ArraySpace {
    segments: Vec<(Region, Vec<u8>)>,
}

impl ArraySpace {
    pub(crate) fn with(self, start: u64, bytes: Vec<u8>, access: &str) -> Self {
        self.with_kind(start, bytes, access, RegionKind::Other)
    }

    /// `access` as in `/proc/PID/maps`: "rw-".
    pub(crate) fn with_kind(
        mut self,
        start: u64,
        bytes: Vec<u8>,
        access: &str,
        kind: RegionKind,
    ) -> Self {
        let region = Region {
            start: RunAddr(start),
            end: RunAddr(start + bytes.len() as u64),
            readable: access.contains('r'),
            writable: access.contains('w'),
            executable: access.contains('x'),
            kind,
        };
        self.segments.push((region, bytes));
        self
    }

    pub(crate) fn set_word(&mut self, address: u64, word: u64) {
        for (region, bytes) in &mut self.segments {
            if (region.start.0..region.end.0).contains(&address) {
                let offset = (address - region.start.0) as usize;
                bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

impl Memory for ArraySpace {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let len = buffer.len();
        let bytes = self.segments.iter().find_map(|(region, bytes)| {
            let offset = address.0.checked_sub(region.start.0)? as usize;
            bytes.get(offset..offset.checked_add(len)?)
        });
        buffer.copy_from_slice(bytes.ok_or(Unreadable { address, len })?);
        Ok(())
    }
}

impl AddressSpace for ArraySpace {
    fn regions(&self) -> Result<Vec<Region>, NoRegions> {
        Ok(self.segments.iter().map(|(region, _)| *region).collect())
    }
}
