//! A linked file: its identity, its symbols, and its code by link-time address.

use super::starts::function_starts;
use livepatch_bundle::{BuildId, LinkAddr, Module, Scope};
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::SymbolIndex;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use thiserror::Error;

type Header = FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Why a target cannot be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The file system said no.
    #[error("cannot read the target `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a linked x86-64 ELF file.
    #[error("the target `{path}` is {what}")]
    Unsuitable {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Truncated or inconsistent.
    #[error("the target `{path}` is malformed")]
    Elf {
        /// The file.
        path: PathBuf,
        /// Why.
        source: object::read::Error,
    },
}

/// A definition in a linked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// `st_value`.
    pub address: LinkAddr,
    /// Whether it is local to its source file.
    pub scope: Scope,
    /// The `STT_FILE` name before a local one.
    pub source: Option<String>,
    /// Whether it was global before the link (hidden visibility, version script).
    pub made_local: bool,
    /// Whether it is a function, and not a label, which has no size.
    pub is_function: bool,
}

/// A stretch of the file that is loaded.
#[derive(Clone, Debug)]
struct Segment {
    address: u64,
    bytes: Vec<u8>,
    executable: bool,
}

/// A linked file.
#[derive(Clone, Debug)]
pub struct Image {
    /// How the manifest calls it.
    pub module: Module,
    /// Whether local symbols were stripped.
    pub stripped: bool,
    /// Where its functions begin, if it is stripped and tells that.
    pub(super) starts: Vec<LinkAddr>,
    segments: Vec<Segment>,
    symbols: HashMap<String, Vec<Definition>>,
    /// Names that other files define.
    imports: HashSet<String>,
}

impl Image {
    /// Reads an executable or shared library.
    ///
    /// # Errors
    /// When the file cannot be read or is no such thing.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let bytes = std::fs::read(path).map_err(|source| ImageError::Io {
            path: path.to_owned(),
            source,
        })?;
        let unsuitable = |what| ImageError::Unsuitable {
            path: path.to_owned(),
            what,
        };
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(unsuitable("not an ELF file"));
        }
        if bytes.get(4) != Some(&elf::ELFCLASS64.0) || bytes.get(5) != Some(&elf::ELFDATA2LSB.0) {
            return Err(unsuitable("not a 64-bit little-endian file"));
        }
        let malformed = |source| ImageError::Elf {
            path: path.to_owned(),
            source,
        };
        let header = Header::parse(&bytes[..]).map_err(malformed)?;
        if header.e_machine(LE) != elf::EM_X86_64 {
            return Err(unsuitable("not for x86-64"));
        }
        if !matches!(header.e_type(LE), elf::ET_EXEC | elf::ET_DYN) {
            return Err(unsuitable("no executable and no shared library"));
        }
        let segments = segments(header, &bytes).ok_or_else(|| unsuitable("cut off"))?;
        // A process maps what a link leads to.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = real.file_name().unwrap_or(real.as_os_str());
        let name = name.to_string_lossy().into_owned();
        parse(header, &bytes, name, segments).map_err(malformed)
    }

    /// The definitions of this name.
    #[must_use]
    pub fn definitions(&self, name: &str) -> &[Definition] {
        self.symbols.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a definition of this name is seen, or was before the link, outside its source file.
    #[must_use]
    pub fn has_global(&self, name: &str) -> bool {
        let mut definitions = self.definitions(name).iter();
        definitions.any(|one| one.scope == Scope::Global || one.made_local)
    }

    /// Whether it uses a definition of this name that another file has.
    #[must_use]
    pub fn imports(&self, name: &str) -> bool {
        self.imports.contains(name)
    }

    /// The names of the functions that begin at an address, sorted.
    #[must_use]
    pub fn functions_at(&self, address: LinkAddr) -> Vec<&str> {
        let here = |one: &Definition| one.is_function && one.address == address;
        let named = self.symbols.iter();
        let found = named.filter(|(_, definitions)| definitions.iter().any(here));
        let mut names: Vec<&str> = found.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Up to `len` bytes of code from `address` on.
    #[must_use]
    pub fn code(&self, address: LinkAddr, len: usize) -> Option<&[u8]> {
        let segments = self.segments.iter().filter(|segment| segment.executable);
        segments.into_iter().find_map(|segment| {
            let offset = usize::try_from(address.0.checked_sub(segment.address)?).ok()?;
            let rest = segment.bytes.get(offset..)?;
            (!rest.is_empty()).then(|| &rest[..len.min(rest.len())])
        })
    }
}

fn parse(
    header: &Header,
    data: &[u8],
    file_name: String,
    segments: Vec<Segment>,
) -> object::read::Result<Image> {
    let sections = header.sections(LE, data)?;
    let mut symbols = HashMap::new();
    let stripped = !collect(&sections, data, elf::SHT_SYMTAB, &mut symbols)?;
    collect(&sections, data, elf::SHT_DYNSYM, &mut symbols)?;
    let starts = match stripped {
        true => starts(&sections, data)?,
        false => Vec::new(),
    };
    let (mut build_id, mut soname) = (None, None);
    for program in header.program_headers(LE, data)? {
        if let Some(mut notes) = program.notes(LE, data)? {
            while let Some(note) = notes.next()? {
                if note.name() == b"GNU" && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                    build_id = build_id.or_else(|| BuildId::new(note.desc()));
                }
            }
        }
    }
    if let Some((entries, link)) = sections.dynamic(LE, data)? {
        let strings = sections.strings(LE, data, link)?;
        let entry = entries.iter().find(|entry| entry.tag(LE) == elf::DT_SONAME);
        let name = entry
            .and_then(|entry| entry.val32(LE))
            .and_then(|at| strings.get(at).ok());
        soname = name.map(|name| String::from_utf8_lossy(name).into_owned());
    }
    let module = Module {
        file_name,
        soname,
        build_id,
    };
    Ok(Image {
        module,
        stripped,
        starts,
        segments,
        symbols,
        imports: imports(&sections, data)?,
    })
}

/// Names that the dynamic symbol table has without a definition.
fn imports(
    sections: &SectionTable<'_, Header>,
    data: &[u8],
) -> object::read::Result<HashSet<String>> {
    let table = sections.symbols(LE, data, elf::SHT_DYNSYM)?;
    let undefined = table
        .iter()
        .filter(|symbol| symbol.st_shndx(LE) == elf::SHN_UNDEF);
    undefined
        .map(|symbol| {
            let name = table.symbol_name(LE, symbol)?;
            Ok(String::from_utf8_lossy(name).into_owned())
        })
        .collect()
}

fn starts(sections: &SectionTable<'_, Header>, data: &[u8]) -> object::read::Result<Vec<LinkAddr>> {
    let Some((_, section)) = sections.section_by_name(LE, b".eh_frame") else {
        return Ok(Vec::new());
    };
    let bytes = section.data(LE, data)?;
    Ok(function_starts(bytes, section.sh_addr(LE)))
}

/// What is loaded; `None` when the file ends too early.
fn segments(header: &Header, data: &[u8]) -> Option<Vec<Segment>> {
    let programs = header.program_headers(LE, data).ok()?.iter();
    let loaded = programs.filter(|program| program.p_type(LE) == elf::PT_LOAD);
    loaded
        .map(|program| {
            Some(Segment {
                address: program.p_vaddr(LE),
                bytes: program.data(LE, data).ok()?.to_vec(),
                executable: program.p_flags(LE).contains(elf::PF_X),
            })
        })
        .collect()
}

/// Adds the definitions of one symbol table. Returns whether it is there.
fn collect(
    sections: &SectionTable<'_, Header>,
    data: &[u8],
    kind: elf::SectionType,
    found: &mut HashMap<String, Vec<Definition>>,
) -> object::read::Result<bool> {
    let table = sections.symbols(LE, data, kind)?;
    let mut source = None;
    let files = table
        .enumerate()
        .filter(|(_, symbol)| symbol.st_type() == elf::STT_FILE);
    // GNU ld puts the symbols that it made local behind the last file, one without a name.
    let last = files.last().map(|(index, _)| index);
    let nameless = match last {
        Some(index) if table.symbol_name(LE, table.symbol(index)?)?.is_empty() => Some(index),
        _ => None,
    };
    for (index, symbol) in table.enumerate() {
        let name = String::from_utf8_lossy(table.symbol_name(LE, symbol)?).into_owned();
        if symbol.st_type() == elf::STT_FILE {
            source = Some(name).filter(|name| !name.is_empty());
            continue;
        }
        let unnamed = index == SymbolIndex(0) || name.is_empty();
        // What such a symbol names is no function but what chooses one, when the program starts.
        if symbol.st_type() == elf::STT_GNU_IFUNC {
            continue;
        }
        if unnamed || symbol.is_undefined(LE) || symbol.st_type() == elf::STT_SECTION {
            continue;
        }
        let local = symbol.st_bind() == elf::STB_LOCAL;
        let definition = Definition {
            address: LinkAddr(symbol.st_value(LE)),
            scope: if local { Scope::Local } else { Scope::Global },
            source: source.clone().filter(|_| local),
            made_local: local
                && (matches!(symbol.st_visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL)
                    || nameless.is_some_and(|nameless| nameless.0 < index.0)),
            is_function: symbol.st_type() == elf::STT_FUNC && symbol.st_size(LE) > 0,
        };
        let entries: &mut Vec<Definition> = found.entry(name).or_default();
        if !entries.contains(&definition) {
            entries.push(definition);
        }
    }
    Ok(!table.is_empty())
}
