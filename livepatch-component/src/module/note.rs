//! What can be known of a module before any of its code runs: its ELF note and its symbols.

use livepatch_module::abi;
use object::LittleEndian;
use object::elf::{FileHeader64, NoteType, PT_NOTE, SHN_UNDEF, SHT_DYNSYM, STB_GNU_UNIQUE};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use thiserror::Error;

/// Functions by which code leaves something behind that outlives its library.
const LINGERING: [&str; 4] = [
    "pthread_create",
    "__cxa_thread_atexit_impl",
    "__cxa_atexit",
    "pthread_key_create",
];

/// What a module says of itself, and what its symbols tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The fingerprint of its data.
    pub(crate) schema: u64,
    /// The fingerprints of data that it can migrate.
    pub(crate) accepts: Vec<u64>,
    /// Whether it has a symbol (STB_GNU_UNIQUE) that keeps the C library from ever unloading it.
    pub(crate) is_pinned: bool,
    /// Functions it may call by which it may leave something behind.
    pub(crate) lingering: Vec<String>,
}

/// Why a file is no module for this component.
#[derive(Debug, Error)]
pub(crate) enum NoteError {
    #[error("it is not a shared library for this machine")]
    NotALibrary(#[source] object::Error),
    #[error("it is not a shared library for this machine")]
    OtherMachine,
    #[error("it is no livepatch module: it has no note of owner `livepatch`")]
    NoNote,
    #[error("its note is malformed: {0}")]
    Malformed(&'static str),
    #[error("it is made for version {0} of the module interface; this component has version {ours}", ours = abi::ABI)]
    Abi(u32),
    #[error(
        "its `struct {what}` has {theirs} bytes, this component's {ours}: built with another `livepatch_module.h`"
    )]
    Size {
        what: &'static str,
        theirs: u32,
        ours: u32,
    },
    #[error("it has no symbol `{}`", abi::SYMBOL)]
    NoSymbol,
}

impl About {
    /// Reads it from the bytes of a library.
    ///
    /// # Errors
    /// When it is no module that this component can run.
    pub(crate) fn read(file: &[u8]) -> Result<Self, NoteError> {
        let header = FileHeader64::<LittleEndian>::parse(file).map_err(NoteError::NotALibrary)?;
        let endian = header.endian().map_err(NoteError::NotALibrary)?;
        let is_library = header.e_type(endian) == object::elf::ET_DYN
            && header.e_machine(endian) == object::elf::EM_X86_64;
        if !is_library {
            return Err(NoteError::OtherMachine);
        }
        let mut about = Self::of_note(find_note(header, endian, file)?)?;
        about.read_symbols(header, endian, file)?;
        Ok(about)
    }

    fn of_note(note: &[u8]) -> Result<Self, NoteError> {
        let mut words = note.chunks_exact(4);
        let mut word = || {
            let word = words.next().and_then(|word| word.try_into().ok());
            word.map(u32::from_le_bytes)
                .ok_or(NoteError::Malformed("it is too short"))
        };
        let version = word()?;
        if version != abi::ABI {
            return Err(NoteError::Abi(version));
        }
        let sizes = [
            ("lp_module", abi::size32::<abi::Module>()),
            ("lp_host", abi::size32::<abi::Host>()),
            ("lp_event", abi::size32::<abi::Event>()),
            ("lp_operations", abi::size32::<abi::Operations>()),
        ];
        for (what, ours) in sizes {
            let theirs = word()?;
            if theirs != ours {
                return Err(NoteError::Size { what, theirs, ours });
            }
        }
        let count = word()? as usize;
        if note.len() != size_of::<abi::Note>() || count > abi::ACCEPTS_MAX {
            return Err(NoteError::Malformed(
                "it has another size, or accepts too much",
            ));
        }
        let mut number = || Ok(u64::from(word()?) | u64::from(word()?) << 32);
        let schema = number()?;
        let accepts: Result<Vec<u64>, NoteError> =
            (0..abi::ACCEPTS_MAX).map(|_| number()).collect();
        let mut accepts = accepts?;
        accepts.truncate(count);
        let names = note.len() - 2 * abi::NAME_MAX;
        let (name, version) = note[names..].split_at(abi::NAME_MAX);
        Ok(Self {
            name: text(name)?,
            version: text(version)?,
            schema,
            accepts,
            is_pinned: false,
            lingering: Vec::new(),
        })
    }

    fn read_symbols(
        &mut self,
        header: &FileHeader64<LittleEndian>,
        endian: LittleEndian,
        file: &[u8],
    ) -> Result<(), NoteError> {
        let wrong = NoteError::NotALibrary;
        let sections = header.sections(endian, file).map_err(wrong)?;
        let symbols = sections.symbols(endian, file, SHT_DYNSYM).map_err(wrong)?;
        let mut is_there = false;
        for symbol in symbols.iter() {
            let name = symbol.name(endian, symbols.strings()).map_err(wrong)?;
            if symbol.st_shndx(endian) != SHN_UNDEF {
                is_there |= name == abi::SYMBOL.as_bytes();
                self.is_pinned |= symbol.st_bind() == STB_GNU_UNIQUE;
            } else if let Some(name) = LINGERING.iter().find(|known| known.as_bytes() == name) {
                self.lingering.push((*name).to_owned());
            }
        }
        match is_there {
            true => Ok(()),
            false => Err(NoteError::NoSymbol),
        }
    }

    /// Whether this module can go on with data of that schema.
    pub(crate) fn takes(&self, schema: u64) -> bool {
        self.schema == schema || self.accepts.contains(&schema)
    }
}

fn find_note<'a>(
    header: &FileHeader64<LittleEndian>,
    endian: LittleEndian,
    file: &'a [u8],
) -> Result<&'a [u8], NoteError> {
    let wrong = NoteError::NotALibrary;
    let owner = abi::NOTE_OWNER
        .strip_suffix(b"\0")
        .unwrap_or(abi::NOTE_OWNER);
    for segment in header.program_headers(endian, file).map_err(wrong)? {
        if segment.p_type(endian) != PT_NOTE {
            continue;
        }
        let Some(mut notes) = segment.notes(endian, file).map_err(wrong)? else {
            continue;
        };
        while let Some(note) = notes.next().map_err(wrong)? {
            if note.name() == owner && note.n_type(endian) == NoteType(abi::NOTE_TYPE) {
                return Ok(note.desc());
            }
        }
    }
    Err(NoteError::NoNote)
}

fn text(bytes: &[u8]) -> Result<String, NoteError> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let text = end.and_then(|end| std::str::from_utf8(&bytes[..end]).ok());
    let is_name = |text: &&str| {
        let mut bytes = text.bytes();
        !text.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte))
    };
    text.filter(is_name)
        .map(str::to_owned)
        .ok_or(NoteError::Malformed(
            "name and version must be of letters, digits and `._+~-`",
        ))
}
