//! One ELF image in memory: where it lies, what it is called, what its headers point to.

use super::context::Context;
use super::dynamic::Dynamic;
use super::dynsym::DynamicSymbols;
use super::gnu_hash::GnuHash;
use super::headers::Segment;
use super::inside::Linkage;
use super::slots::Relocations;
use super::sources::Sources;
use super::unwind_table::CodeRange;
use crate::memory::Memory;
use crate::printable::one_line;
use crate::process::Mapping;
use goblin::elf64::program_header::{PT_GNU_EH_FRAME, PT_TLS};
use livepatch_bundle::{BuildId, LinkAddr, RunAddr};
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The number of an image among the [`super::Images`] that it was read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub usize);

/// What part an image plays in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The executable.
    Main,
    /// A shared library or the dynamic loader.
    Library,
    /// The kernel's own (vdso(7)).
    Vdso,
}

/// Which list of the dynamic loader an image is on (dlmopen(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// `LM_ID_BASE`, or the process has no dynamic loader and this is its executable.
    Base,
    /// Another one, by its number: its symbols are not seen by the rest of the process.
    Other(usize),
    /// None: the vDSO, the loader of a static program, or something mapped by hand.
    Unlisted,
}

impl Namespace {
    /// Which list its names are looked up in.
    pub(super) fn number(self) -> usize {
        match self {
            Self::Base | Self::Unlisted => 0,
            Self::Other(number) => number,
        }
    }
}

/// An ELF image that a process maps.
#[derive(Debug)]
pub struct Image<'m> {
    pub(super) id: ImageId,
    pub(super) space: Space<'m>,
    pub(super) context: Arc<Context>,
    pub(super) header: RunAddr,
    pub(super) bias: u64,
    pub(super) span: Range<RunAddr>,
    pub(super) segments: Vec<Segment>,
    pub(super) executable: Vec<Range<RunAddr>>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) path: Option<PathBuf>,
    pub(super) deleted: bool,
    pub(super) role: Role,
    pub(super) namespace: Namespace,
    pub(super) build_id: Option<BuildId>,
    pub(super) dynamic: OnceLock<Dynamic>,
    pub(super) linkage: OnceLock<Linkage>,
    pub(super) gnu_hash: OnceLock<Option<GnuHash>>,
    pub(super) dynamic_symbols: OnceLock<DynamicSymbols>,
    pub(super) relocations: OnceLock<Relocations>,
    pub(super) function_starts: OnceLock<Vec<CodeRange>>,
    pub(super) sources: Sources,
}

/// The memory that images are read from, shared by all of them.
#[derive(Clone, Copy)]
pub(super) struct Space<'m>(pub(super) &'m (dyn Memory + Sync));

impl std::fmt::Debug for Space<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("memory")
    }
}

impl Image<'_> {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// Where its ELF header lies.
    #[must_use]
    pub fn header(&self) -> RunAddr {
        self.header
    }

    /// Run-time minus link-time address.
    #[must_use]
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// The pages from its first to its last loaded segment. Gaps may hold other things.
    #[must_use]
    pub fn span(&self) -> Range<RunAddr> {
        self.span.clone()
    }

    /// Its program headers.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What of its executable segments is mapped executable, ascending.
    #[must_use]
    pub fn executable_ranges(&self) -> &[Range<RunAddr>] {
        &self.executable
    }

    /// The mappings that overlap its span.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The path of its file, in the mount namespace of the process, as it was when it was mapped.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The last component of the path.
    #[must_use]
    pub fn file_name(&self) -> Option<&OsStr> {
        self.path.as_deref().and_then(Path::file_name)
    }

    /// Whether the path no longer leads to the file that is mapped.
    #[must_use]
    pub fn deleted(&self) -> bool {
        self.deleted
    }

    /// What part it plays.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it is the executable.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.role == Role::Main
    }

    /// Which namespace of the dynamic loader it is in.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Whether the Go linker made it: then it has goroutines.
    #[must_use]
    pub fn is_go(&self) -> bool {
        super::discover::is_go(self)
    }

    /// The build ID in its memory.
    #[must_use]
    pub fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// `DT_SONAME`.
    #[must_use]
    pub fn soname(&self) -> Option<&str> {
        self.linkage().soname()
    }

    /// What others that were linked with it may call it: of a library without a soname the linker writes down the path that it was
    /// given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let file = self.file_name().and_then(OsStr::to_str);
        let path = self.path().and_then(Path::to_str);
        self.soname().into_iter().chain(file).chain(path)
    }

    /// `DT_NEEDED`: sonames of the libraries it was linked with.
    #[must_use]
    pub fn needed(&self) -> &[String] {
        self.linkage().needed()
    }

    /// `PT_TLS`: what each thread gets of it.
    #[must_use]
    pub fn tls(&self) -> Option<&Segment> {
        self.segment(PT_TLS)
    }

    /// Where its `.eh_frame_hdr` lies.
    #[must_use]
    pub fn eh_frame_hdr(&self) -> Option<Range<RunAddr>> {
        let segment = self.segment(PT_GNU_EH_FRAME)?;
        let end = segment.address.0.checked_add(segment.memory_size)?;
        Some(self.run(segment.address)..self.run(LinkAddr(end)))
    }

    /// Whether the address lies in one of its loaded segments.
    #[must_use]
    pub fn contains(&self, address: RunAddr) -> bool {
        self.span.contains(&address) && self.load_at(self.link(address)).is_some()
    }

    /// Whether the address lies in its code.
    #[must_use]
    pub fn is_code(&self, address: RunAddr) -> bool {
        self.executable.iter().any(|range| range.contains(&address))
    }

    /// The run-time address of a link-time address.
    #[must_use]
    pub fn run(&self, address: LinkAddr) -> RunAddr {
        address.at(self.bias)
    }

    /// The link-time address of a run-time address.
    #[must_use]
    pub fn link(&self, address: RunAddr) -> LinkAddr {
        address.unbias(self.bias)
    }

    /// For messages: the path, or where it lies.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.path {
            Some(path) => one_line(&path.to_string_lossy()).into_owned(),
            None if self.role == Role::Vdso => "[vdso]".to_owned(),
            None => format!("image at {}", self.header),
        }
    }

    pub(super) fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// The loaded segment that holds a link-time address, to the end of its last page.
    pub(super) fn load_at(&self, address: LinkAddr) -> Option<&Segment> {
        let mut loads = self.segments.iter().filter(|segment| segment.is_load());
        loads.find(|segment| segment.contains(address))
    }
}
