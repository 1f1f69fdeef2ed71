//! Bundles and memory for unit tests.

use crate::memory::{Memory, Unreadable};
use livepatch_bundle::{Lines, Manifest, Reloc, RunAddr, SCHEMA, Section, SectionKind};

/// A manifest that names nothing.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        schema: SCHEMA,
        tool: "test".into(),
        name: "fix".into(),
        description: String::new(),
        supersedes: vec![],
        modules: vec![],
        functions: vec![],
        anchors: vec![],
        references: vec![],
        quiesce: vec![],
        hooks: vec![],
        lines: Lines::default(),
        warnings: vec![],
    }
}

/// A section of 16-byte alignment.
pub(crate) fn section(
    name: &str,
    kind: SectionKind,
    data: Vec<u8>,
    relocations: Vec<Reloc>,
) -> Section {
    let size = data.len() as u64;
    Section {
        name: name.into(),
        kind,
        align: 16,
        data,
        size,
        relocations,
    }
}

/// Memory that holds bytes from 0x1000 on, and nothing else.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Memory for Bytes {
    fn read(&self, address: RunAddr, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let len = buffer.len();
        let start = usize::try_from(address.0.wrapping_sub(0x1000)).unwrap_or(usize::MAX);
        let bytes = start
            .checked_add(len)
            .and_then(|end| self.0.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(Unreadable { address, len })?);
        Ok(())
    }
}
