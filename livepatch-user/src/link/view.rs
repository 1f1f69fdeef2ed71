//! A patch is an ELF image in memory, so that tools which read those from a process find their way through it by themselves.
//!
//! ```text
//!   0  ELF header         ET_DYN: addresses are offsets from the base, and in the mapped file
//!  64  3 program headers  both parts, and the note
//! 232  note               GNU build ID: of the bundle, for equal bundles have equal offsets
//! 272  prelude, code ...  (`record`, `link`)
//!      .symtab .strtab, source lines (`dwarf`), .shstrtab, section headers
//! ```
//!
//! libdwfl (eu-stack) takes such an image from the memory of a process; gdb does by `add-symbol-file-from-memory`.

use goblin::elf64::header::{self, Header};
use goblin::elf64::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, PT_NULL, ProgramHeader};
use goblin::elf64::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHT_NOTE, SHT_PROGBITS, SHT_STRTAB, SHT_SYMTAB, SectionHeader,
};
use goblin::elf64::sym::{self, STB_LOCAL, STT_FUNC, Sym};
use scroll::ctx::{SizeWith, TryIntoCtx};
use scroll::{Endian, LE, Pwrite};

/// Bytes before the prelude.
pub const HEAD_LEN: u64 = 272;
/// Length of a build ID, as ld(1) makes it.
pub const BUILD_ID_LEN: usize = 20;
const SEGMENTS: [usize; 3] = [64, 120, 176];
const NOTE: u64 = 232;
/// `namesz`, `descsz`, `NT_GNU_BUILD_ID`, "GNU".
const NOTE_HEAD: [u8; 16] = *b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
const NOTE_LEN: u64 = (NOTE_HEAD.len() + BUILD_ID_LEN) as u64;
const HEADER: Header = Header {
    e_ident: *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
    e_type: header::ET_DYN,
    e_machine: header::EM_X86_64,
    e_version: 1,
    e_entry: 0,
    e_phoff: SEGMENTS[0] as u64,
    e_shoff: 0,
    e_flags: 0,
    e_ehsize: header::SIZEOF_EHDR as u16,
    e_phentsize: 56,
    e_phnum: SEGMENTS.len() as u16,
    e_shentsize: 64,
    e_shnum: 0,
    e_shstrndx: 0,
};

/// A function, by its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// Its symbol in the bundle.
    pub(super) symbol: &'a str,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// The tables, which lie behind everything else of the read-execute part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// Where they lie.
    pub(super) at: u64,
    pub(super) tables: Vec<u8>,
    headers: u64,
    sections: u16,
}

impl View {
    /// The tables, to lie at `at` or a little behind. `code` and `unwind`: offsets and lengths.
    pub(super) fn new(
        functions: &[Function<'_>],
        code: (u64, u64),
        unwind: (u64, u64),
        debug: &[(&str, Vec<u8>)],
        at: u64,
    ) -> Self {
        let mut made = Tables::new(at);
        made.refer(".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, (NOTE, NOTE_LEN));
        let text = made.count();
        made.refer(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, code);
        if unwind.1 > 0 {
            made.refer(".eh_frame", SHT_PROGBITS, SHF_ALLOC, unwind);
        }
        made.symbols(functions, text);
        for (name, contents) in debug {
            made.bring(name, SHT_PROGBITS, contents);
        }
        made.finish()
    }

    /// One past their last byte.
    pub(super) fn end(&self) -> u64 {
        self.at + self.tables.len() as u64
    }

    /// The first bytes of the patch, whose parts are so long.
    pub(super) fn head(&self, text_len: u64, data_len: u64) -> [u8; HEAD_LEN as usize] {
        let header = Header {
            e_shoff: self.headers,
            e_shnum: self.sections,
            e_shstrndx: self.sections - 1,
            ..HEADER
        };
        let writable = if data_len > 0 { PT_LOAD } else { PT_NULL };
        let segments = [
            segment(PT_LOAD, PF_R | PF_X, (0, text_len)),
            segment(writable, PF_R | PF_W, (text_len, data_len)),
            segment(PT_NOTE, PF_R, (NOTE, NOTE_LEN)),
        ];
        let mut head = [0; HEAD_LEN as usize];
        let room = "the head has room for its headers";
        head.pwrite_with(header, 0, LE).expect(room);
        for (at, segment) in SEGMENTS.into_iter().zip(segments) {
            head.pwrite_with(segment, at, LE).expect(room);
        }
        head[NOTE as usize..][..NOTE_HEAD.len()].copy_from_slice(&NOTE_HEAD);
        head
    }
}

/// Where the build ID lies, from the start of the patch.
pub const BUILD_ID: u64 = NOTE + NOTE_HEAD.len() as u64;

fn segment(p_type: u32, p_flags: u32, (start, len): (u64, u64)) -> ProgramHeader {
    ProgramHeader {
        p_type,
        p_flags,
        p_offset: start,
        p_vaddr: start,
        p_paddr: start,
        p_filesz: len,
        p_memsz: len,
        p_align: if p_type == PT_NOTE { 4 } else { 4096 },
    }
}

/// Tables on their way.
struct Tables {
    at: u64,
    bytes: Vec<u8>,
    headers: Vec<SectionHeader>,
    names: Vec<u8>,
}

impl Tables {
    fn new(at: u64) -> Self {
        Self {
            at: at.next_multiple_of(8),
            bytes: Vec::new(),
            headers: vec![SectionHeader::default()],
            names: vec![0],
        }
    }

    fn count(&self) -> u16 {
        u16::try_from(self.headers.len()).expect("there are fewer than twenty")
    }

    /// A section whose contents lie where others put them.
    fn refer(&mut self, name: &str, sh_type: u32, flags: u32, (start, len): (u64, u64)) {
        let loaded = flags & SHF_ALLOC != 0;
        self.headers.push(SectionHeader {
            sh_name: add(&mut self.names, name),
            sh_type,
            sh_flags: flags.into(),
            sh_addr: if loaded { start } else { 0 },
            sh_offset: start,
            sh_size: len,
            sh_addralign: 1,
            ..SectionHeader::default()
        });
    }

    /// A section of its own.
    fn bring(&mut self, name: &str, sh_type: u32, contents: &[u8]) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let start = self.at + self.bytes.len() as u64;
        self.bytes.extend_from_slice(contents);
        self.refer(name, sh_type, 0, (start, contents.len() as u64));
    }

    /// All are local: nothing is meant to be bound to them.
    fn symbols(&mut self, functions: &[Function<'_>], text: u16) {
        let mut strings = vec![0];
        let mut symbols = encoded(Sym::default());
        for function in functions {
            symbols.extend(encoded(Sym {
                st_name: add(&mut strings, function.name),
                st_info: (STB_LOCAL << 4) | STT_FUNC,
                st_other: sym::STV_DEFAULT,
                st_shndx: text,
                st_value: function.start,
                st_size: function.len,
            }));
        }
        self.bring(".symtab", SHT_SYMTAB, &symbols);
        let strings_at = self.count();
        let header = self.headers.last_mut().expect("it was added just now");
        header.sh_link = strings_at.into();
        header.sh_info = functions.len() as u32 + 1;
        header.sh_entsize = sym::SIZEOF_SYM as u64;
        self.bring(".strtab", SHT_STRTAB, &strings);
    }

    fn finish(mut self) -> View {
        // Its own name must be among the names before these are written.
        let name = add(&mut self.names, ".shstrtab");
        let names = std::mem::take(&mut self.names);
        self.bring("", SHT_STRTAB, &names);
        self.headers
            .last_mut()
            .expect("it was added just now")
            .sh_name = name;
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let headers = self.at + self.bytes.len() as u64;
        let sections = self.count();
        for header in self.headers {
            self.bytes.extend(encoded(header));
        }
        View {
            at: self.at,
            tables: self.bytes,
            headers,
            sections,
        }
    }
}

/// Adds a string to a table and tells where it lies.
fn add(table: &mut Vec<u8>, text: &str) -> u32 {
    let at = table.len() as u32;
    table.extend_from_slice(text.as_bytes());
    table.push(0);
    at
}

fn encoded<T>(entry: T) -> Vec<u8>
where
    T: TryIntoCtx<Endian, Error = scroll::Error> + SizeWith<Endian>,
{
    let mut bytes = vec![0; T::size_with(&LE)];
    bytes
        .pwrite_with(entry, 0, LE)
        .expect("there is room for it");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSection, ObjectSymbol};

    #[test]
    fn every_reader_of_elf_sees_functions_and_unwind_records() {
        let function = |name, start, len| Function {
            name,
            symbol: name,
            start,
            len,
        };
        let functions = [function("f", 528, 0x20), function("g", 560, 8)];
        let debug = [(".debug_line", vec![9; 3])];
        let view = View::new(&functions, (528, 40), (568, 4), &debug, 573);
        let mut image = vec![0; 4096];
        image[..HEAD_LEN as usize].copy_from_slice(&view.head(4096, 0));
        image[568..572].copy_from_slice(&[1, 2, 3, 4]);
        image[view.at as usize..view.end() as usize].copy_from_slice(&view.tables);
        image[BUILD_ID as usize..][..BUILD_ID_LEN].fill(7);
        let elf = object::File::parse(&*image).expect("it is ELF");
        assert_eq!(elf.build_id(), Ok(Some(&[7; BUILD_ID_LEN][..])));
        let frames = elf.section_by_name(".eh_frame").expect("it is there");
        assert_eq!(
            (frames.address(), frames.data()),
            (568, Ok(&[1, 2, 3, 4][..]))
        );
        let lines = elf.section_by_name(".debug_line").expect("it is there");
        assert_eq!((lines.address(), lines.data()), (0, Ok(&[9; 3][..])));
        let symbols: Vec<_> = elf
            .symbols()
            .map(|symbol| {
                (
                    symbol.name().expect("named"),
                    symbol.address(),
                    symbol.size(),
                )
            })
            .collect();
        assert_eq!(symbols, [("f", 528, 0x20), ("g", 560, 8)]);
    }
}
