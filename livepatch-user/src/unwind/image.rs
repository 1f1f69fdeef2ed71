//! The code that frames can be in, and where its call-frame information is.

use super::elf_tables;
use super::section::Section;
use crate::memory::Memory;
use livepatch_bundle::RunAddr;
use std::sync::{Arc, OnceLock};

/// One thing that is mapped executable: the program, a library, the vDSO, or a patch placed earlier.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    /// What to call it in backtraces.
    pub label: String,
    /// Its executable mappings, as start and end.
    pub code: Vec<(RunAddr, RunAddr)>,
    /// Run-time minus link-time addresses.
    pub bias: u64,
    /// Where its call-frame information is.
    pub tables: TableSource,
}

/// Where an image's call-frame information is.
#[derive(Clone, Debug)]
pub enum TableSource {
    /// An ELF image: the program headers in memory lead to `.eh_frame_hdr` and `.eh_frame` in memory.
    Elf {
        /// Where the ELF header is mapped.
        header: RunAddr,
        /// The file, for the section headers of an image that has no `PT_GNU_EH_FRAME`.
        file: Option<Arc<[u8]>>,
    },
    /// A bare `.eh_frame` in memory, relocated, its entries in any order (a patch area).
    EhFrame {
        /// First byte.
        start: RunAddr,
        /// Length in bytes.
        len: usize,
    },
    /// There is none: frames in it are never unwound.
    None,
}

/// An image whose tables are read when the first frame in it is met.
pub(crate) struct Image {
    pub(crate) label: Arc<str>,
    pub(crate) bias: u64,
    code: Vec<(RunAddr, RunAddr)>,
    source: TableSource,
    tables: OnceLock<Option<Tables>>,
    /// Whether the tables have served, so that what was learned from them depends on the fingerprint.
    pub(crate) in_use: bool,
}

/// Call-frame information, and bytes of the image that tell it from another one mapped to the same place since.
pub(crate) struct Tables {
    pub(crate) section: Section,
    pub(crate) fingerprint: Option<(RunAddr, Vec<u8>)>,
    /// Where the program starts, if it is one.
    pub(crate) entry: Option<RunAddr>,
}

impl Image {
    pub(crate) fn new(spec: ImageSpec) -> Self {
        Self {
            label: spec.label.into(),
            bias: spec.bias,
            code: spec.code,
            source: spec.tables,
            tables: OnceLock::new(),
            in_use: false,
        }
    }

    /// The tables, read from `memory` at the first call.
    pub(crate) fn tables(&self, memory: &dyn Memory) -> Option<&Tables> {
        self.tables.get_or_init(|| self.read(memory)).as_ref()
    }

    /// From now on rows of it are kept; tables that were read beforehand must still be its own.
    pub(crate) fn begin_use(&mut self, memory: &dyn Memory) {
        let first = !std::mem::replace(&mut self.in_use, true);
        if first && !self.is_same(memory) {
            self.discard_tables();
        }
    }

    /// Where the bytes are that tell the image from another one, and what they were.
    pub(crate) fn fingerprint(&self) -> Option<&(RunAddr, Vec<u8>)> {
        self.known_tables()?.fingerprint.as_ref()
    }

    /// Whether the image is still the one that its tables were read from.
    pub(crate) fn is_same(&self, memory: &dyn Memory) -> bool {
        self.fingerprint().is_none_or(|(address, bytes)| {
            memory.read_vec(*address, bytes.len()).as_ref() == Ok(bytes)
        })
    }

    /// The tables if they were read.
    pub(crate) fn known_tables(&self) -> Option<&Tables> {
        self.tables.get()?.as_ref()
    }

    /// Forgets the tables for good: something else is mapped there now.
    pub(crate) fn discard_tables(&mut self) {
        self.tables = OnceLock::from(None);
    }

    fn read(&self, memory: &dyn Memory) -> Option<Tables> {
        match &self.source {
            TableSource::Elf { header, file } => {
                elf_tables::read(*header, self.bias, &self.code, file.as_deref(), memory)
            }
            TableSource::EhFrame { start, len } => {
                if *len > elf_tables::MAX_TABLE {
                    return None;
                }
                let bytes = memory.read_vec(*start, *len).ok()?;
                Some(Tables {
                    fingerprint: Some((*start, bytes.clone())),
                    section: Section::mapped(*start, bytes, None),
                    entry: None,
                })
            }
            TableSource::None => None,
        }
    }
}
