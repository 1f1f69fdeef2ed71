//! What a look-up answers.

use super::table::{Index, SymbolTable, binding, is_absolute, kind};
use super::versions::Version;
use goblin::elf::sym::{
    STB_LOCAL, STB_WEAK, STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, STT_TLS,
};
use livepatch_bundle::{LinkAddr, RunAddr, SymbolKind};
use std::fmt;

/// What a symbol of a running program names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A function.
    Function,
    /// A function that chooses the function at load time (`STT_GNU_IFUNC`): the address is the resolver's.
    IFunc,
    /// A variable or constant.
    Object,
    /// A thread-local variable: the address is its offset in the image's TLS block.
    Tls,
    /// Not told (`STT_NOTYPE`).
    Unknown,
}

impl Kind {
    pub(super) fn from_elf(kind: u8) -> Option<Self> {
        match kind {
            STT_FUNC => Some(Self::Function),
            STT_GNU_IFUNC => Some(Self::IFunc),
            STT_OBJECT | STT_COMMON => Some(Self::Object),
            STT_TLS => Some(Self::Tls),
            STT_NOTYPE => Some(Self::Unknown),
            _ => None,
        }
    }

    /// Whether a symbol of this kind can be what an object file calls `kind`.
    #[must_use]
    pub fn fits(self, kind: SymbolKind) -> bool {
        match kind {
            SymbolKind::Function => matches!(self, Self::Function | Self::IFunc | Self::Unknown),
            SymbolKind::Object => matches!(self, Self::Object | Self::Unknown),
            SymbolKind::Tls => self == Self::Tls,
            SymbolKind::Unknown => true,
        }
    }
}

/// Who sees a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// `STB_LOCAL`: static, hidden, or made local by the link.
    Local,
    /// `STB_GLOBAL`, `STB_GNU_UNIQUE`.
    Global,
    /// `STB_WEAK`.
    Weak,
}

/// Which symbol table told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// `.symtab` of the file that is mapped.
    File,
    /// `.symtab` of a separate debug file.
    DebugFile,
    /// `.gnu_debugdata` (MiniDebugInfo) of the file that is mapped.
    DebugData,
    /// `.dynsym` in memory.
    Dynamic,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "symbol table of the file",
            Self::DebugFile => "separate debug file",
            Self::DebugData => "MiniDebugInfo",
            Self::Dynamic => "dynamic symbols in memory",
        })
    }
}

/// A definition that an image's symbol tables give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolHit {
    /// `st_value`: a link-time address; for [`Kind::Tls`] the offset in the image's TLS block.
    pub address: LinkAddr,
    /// Size in bytes; 0 when the table does not tell.
    pub size: u64,
    /// What it names.
    pub kind: Kind,
    /// Who sees it.
    pub binding: Binding,
    /// Name of the `STT_FILE` symbol before it, for local symbols. A hint: symbols of objects without one
    /// (assembler) follow those of another file.
    pub source: Option<String>,
    /// Whether the linker made a local symbol local; `None` where the table does not tell.
    pub made_local: Option<bool>,
    /// Which table told.
    pub provenance: Provenance,
    /// `SHN_ABS`: the address is the same at run time.
    pub absolute: bool,
    /// Its version, where the table tells.
    pub version: Option<String>,
    /// Whether a link without a version chooses it: it has none, or is `name@@VERSION`.
    pub default_version: bool,
}

impl SymbolHit {
    pub(super) fn new(table: &SymbolTable, index: Index, provenance: Provenance) -> Option<Self> {
        let symbol = table.get(index)?;
        let version = Version::of_name(table.name(symbol));
        Some(Self {
            address: LinkAddr(symbol.st_value),
            size: symbol.st_size,
            kind: Kind::from_elf(kind(symbol))?,
            binding: match binding(symbol) {
                STB_LOCAL => Binding::Local,
                STB_WEAK => Binding::Weak,
                _ => Binding::Global,
            },
            source: table
                .source(index)
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            made_local: table.made_local(index),
            provenance,
            absolute: is_absolute(symbol),
            version: version.name.map(str::to_owned),
            default_version: version.default,
        })
    }

    /// With the version that the dynamic symbol table tells.
    pub(super) fn with_version(self, version: Version<'_>) -> Self {
        Self {
            version: version.name.map(str::to_owned),
            default_version: version.default,
            ..self
        }
    }

    /// Where it is in a process that maps its image with `bias`; `None` for a thread-local variable.
    #[must_use]
    pub fn at(&self, bias: u64) -> Option<RunAddr> {
        match self.kind {
            Kind::Tls => None,
            _ if self.absolute => Some(RunAddr(self.address.0)),
            _ => Some(self.address.at(bias)),
        }
    }
}
