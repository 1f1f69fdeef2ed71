//! Bundles for unit tests.

use livepatch_bundle::{Manifest, Reloc, SCHEMA, Section, SectionKind};

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
