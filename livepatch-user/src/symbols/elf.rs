//! An ELF file that shows a debugger what lies at certain addresses.

use super::Function;
use livepatch_bundle::RunAddr;
use object::Endianness;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, SectionHeader, SectionIndex, SinglePhase, Sym, Writer};

/// What there is to show.
pub(super) struct File<'a> {
    /// Where the code lies, and its bytes.
    pub(super) code: (RunAddr, Vec<u8>),
    /// The same of its call-frame information: relocated, as an unwinder in the process reads it.
    pub(super) frames: Option<(RunAddr, Vec<u8>)>,
    pub(super) functions: &'a [Function],
}

/// The section of the code, behind the null section.
const TEXT: SectionIndex = SectionIndex(1);

impl File<'_> {
    /// Encodes it: an executable by type, so that its addresses are taken as they are.
    pub(super) fn encode(&self) -> Result<Vec<u8>, object::write::Error> {
        let (mut file, mut header) = (Vec::new(), Vec::new());
        self.write(&mut file, &mut header)?;
        file[..header.len()].copy_from_slice(&header);
        Ok(file)
    }

    fn write(&self, file: &mut Vec<u8>, header: &mut Vec<u8>) -> Result<(), object::write::Error> {
        let mut writer = Writer::new_single_phase(Endianness::Little, true, file);
        writer.write_file_header(&FileHeader {
            e_type: elf::ET_EXEC,
            e_machine: elf::EM_X86_64,
            ..FileHeader::default()
        })?;
        let executable = elf::SHF_ALLOC.0 | elf::SHF_EXECINSTR.0;
        let mut sections = vec![contents(&mut writer, b".text", &self.code, executable)];
        if let Some(frames) = &self.frames {
            sections.push(contents(
                &mut writer,
                b".eh_frame",
                frames,
                elf::SHF_ALLOC.0,
            ));
        }
        writer.write_null_symbol();
        for function in self.functions {
            let name = writer.add_string(function.name.as_bytes());
            let symbol = Sym {
                section: Some(TEXT.0),
                st_name: writer.string_offset(Some(name)),
                st_info: elf::SymbolInfo::new(elf::STB_LOCAL, elf::STT_FUNC),
                st_other: elf::SymbolOther::default(),
                st_shndx: elf::SHN_UNDEF,
                st_value: function.address.0,
                st_size: function.len,
            };
            writer.write_symbol(&symbol);
        }
        writer.write_strtab()?;
        writer.write_shstrtab()?;
        writer.write_null_section_header();
        for section in &sections {
            let sh_name = writer.section_name_offset(Some(section.name));
            writer.write_section_header(&SectionHeader {
                sh_name,
                ..section.header
            });
        }
        writer.write_strtab_section_header();
        let locals = u32::try_from(self.functions.len() + 1).unwrap_or(u32::MAX);
        writer.write_symtab_section_header(locals);
        writer.write_shstrtab_section_header();
        writer.write_file_header_to(header)
    }
}

struct Contents {
    name: StringId,
    header: SectionHeader,
}

fn contents<'a>(
    writer: &mut Writer<'a, SinglePhase>,
    name: &'a [u8],
    (address, bytes): &(RunAddr, Vec<u8>),
    flags: u64,
) -> Contents {
    let sh_offset = writer.write_align(16);
    writer.write(bytes);
    Contents {
        name: writer.add_section_name(name),
        header: SectionHeader {
            sh_name: 0,
            sh_type: elf::SHT_PROGBITS,
            sh_flags: elf::SectionFlags(flags),
            sh_addr: address.0,
            sh_offset,
            sh_size: bytes.len() as u64,
            sh_link: 0,
            sh_info: 0,
            sh_addralign: 1,
            sh_entsize: 0,
        },
    }
}
