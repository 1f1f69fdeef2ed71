//! Encoding a bundle, reproducibly: no time, no path, no order that depends on hashing.

use crate::{Bundle, BundleError, SectionId, Symbol, format, verify};
use object::Endianness;
use object::elf;
use object::write::StringId;
use object::write::elf::{FileHeader, Rel, SectionHeader, SectionIndex, SinglePhase, Sym, Writer};

/// Encodes a bundle; the same bundle gives the same bytes.
///
/// # Errors
/// When the bundle breaks a rule of the model, or would be too large.
pub fn write(bundle: &Bundle) -> Result<Vec<u8>, BundleError> {
    write_with_room(bundle, 0)
}

/// Encodes a bundle whose last section is `.livepatch.signature`, with `room` zero bytes, the last ones of the file;
/// no such section for 0.
pub(crate) fn write_with_room(bundle: &Bundle, room: usize) -> Result<Vec<u8>, BundleError> {
    verify(bundle)?;
    fits(least_size(bundle))?;
    let manifest = manifest(bundle)?;
    let mut file = Vec::new();
    let mut header = Vec::new();
    encode(bundle, &manifest, room, &mut file, &mut header)
        .map_err(|source| BundleError::Encode { source })?;
    file[..header.len()].copy_from_slice(&header);
    fits(file.len() as u64)?;
    Ok(file)
}

fn fits(size: u64) -> Result<(), BundleError> {
    if size > format::MAX_SIZE {
        return Err(BundleError::TooLarge { size });
    }
    Ok(())
}

/// What contents, relocations and symbols take up, counted before anything is allocated for them.
fn least_size(bundle: &Bundle) -> u64 {
    let record = size_of::<elf::Rela64<Endianness>>();
    let of_section =
        |section: &crate::Section| (section.data.len() + section.relocations.len() * record) as u64;
    let symbols = bundle.symbols.len() * size_of::<elf::Sym64<Endianness>>();
    bundle.sections.iter().map(of_section).sum::<u64>() + symbols as u64
}

fn manifest(bundle: &Bundle) -> Result<Vec<u8>, BundleError> {
    let mut json =
        serde_json::to_vec_pretty(&bundle.manifest).map_err(|error| BundleError::Manifest {
            source: error.into(),
        })?;
    json.push(b'\n');
    Ok(json)
}

/// A section's name and place, for its header.
struct Placed {
    name: StringId,
    offset: u64,
}

fn encode(
    bundle: &Bundle,
    manifest: &[u8],
    room: usize,
    file: &mut Vec<u8>,
    header: &mut Vec<u8>,
) -> Result<(), object::write::Error> {
    let rela_names: Vec<String> = bundle
        .sections
        .iter()
        .map(|section| format!("{}{}", format::RELA, section.name))
        .collect();
    let mut writer = Writer::new_single_phase(Endianness::Little, true, file);
    writer.write_file_header(&FileHeader {
        e_type: elf::ET_REL,
        e_machine: elf::EM_X86_64,
        ..FileHeader::default()
    })?;
    let contents = contents(bundle, &mut writer);
    let relocations = relocations(bundle, &rela_names, &mut writer);
    let manifest_at = Placed {
        name: writer.add_section_name(format::MANIFEST.as_bytes()),
        offset: writer.offset(),
    };
    writer.write(manifest);
    symbols(bundle, &mut writer);
    let signature = (room > 0).then(|| writer.add_section_name(format::SIGNATURE.as_bytes()));
    writer.write_strtab()?;
    writer.write_shstrtab()?;

    writer.write_null_section_header();
    content_headers(bundle, &contents, &mut writer);
    let (sh_type, sh_flags) = (elf::SHT_PROGBITS, elf::SectionFlags(0));
    section_header(
        &mut writer,
        &manifest_at,
        (sh_type, sh_flags),
        manifest.len() as u64,
        1,
    );
    writer.write_strtab_section_header();
    let definitions = bundle
        .symbols
        .iter()
        .filter(|symbol| symbol.definition.is_some());
    writer.write_symtab_section_header(narrow(definitions.count() + 1));
    relocation_headers(bundle, &relocations, &mut writer);
    writer.write_shstrtab_section_header();
    if let Some(name) = signature {
        signature_section(&mut writer, name, room);
    }
    writer.write_file_header_to(header)
}

fn contents<'a>(bundle: &'a Bundle, writer: &mut Writer<'a, SinglePhase>) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(bundle.sections.len());
    for section in &bundle.sections {
        let offset = writer.write_align(section.align);
        writer.write(&section.data);
        let name = writer.add_section_name(section.name.as_bytes());
        placed.push(Placed { name, offset });
    }
    placed
}

/// Writes each section's relocations; `None` for one that has none.
fn relocations<'a>(
    bundle: &Bundle,
    names: &'a [String],
    writer: &mut Writer<'a, SinglePhase>,
) -> Vec<Option<Placed>> {
    let mut placed = Vec::with_capacity(bundle.sections.len());
    for (section, name) in bundle.sections.iter().zip(names) {
        if section.relocations.is_empty() {
            placed.push(None);
            continue;
        }
        let offset = writer.write_align_relocation();
        for reloc in &section.relocations {
            writer.write_relocation(
                true,
                &Rel {
                    r_offset: reloc.offset,
                    r_sym: narrow(reloc.symbol.0 + 1),
                    r_type: elf::RelocationType(reloc.kind.elf()),
                    r_addend: reloc.addend,
                },
            );
        }
        let name = writer.add_section_name(name.as_bytes());
        placed.push(Some(Placed { name, offset }));
    }
    placed
}

fn symbols<'a>(bundle: &'a Bundle, writer: &mut Writer<'a, SinglePhase>) {
    writer.write_null_symbol();
    for symbol in &bundle.symbols {
        let name = writer.add_string(symbol.name.as_bytes());
        let record = Sym {
            st_name: writer.string_offset(Some(name)),
            ..symbol_record(symbol)
        };
        writer.write_symbol(&record);
    }
}

fn symbol_record(symbol: &Symbol) -> Sym {
    let binding = match symbol.definition {
        Some(_) => elf::STB_LOCAL,
        None => elf::STB_GLOBAL,
    };
    Sym {
        section: symbol
            .definition
            .map(|definition| elf_index(definition.section)),
        st_name: 0,
        st_info: elf::SymbolInfo::new(binding, format::symbol_type(symbol.kind)),
        st_other: elf::SymbolOther::default(),
        st_shndx: elf::SHN_UNDEF,
        st_value: symbol.definition.map_or(0, |definition| definition.offset),
        st_size: symbol.definition.map_or(0, |definition| definition.size),
    }
}

fn content_headers(bundle: &Bundle, placed: &[Placed], writer: &mut Writer<'_, SinglePhase>) {
    for (section, placed) in bundle.sections.iter().zip(placed) {
        let header = format::header_of(section.kind);
        section_header(writer, placed, header, section.size, section.align);
    }
}

/// The last section header and, behind it, zeroes in which the signature goes.
fn signature_section(writer: &mut Writer<'_, SinglePhase>, name: StringId, room: usize) {
    let header = size_of::<elf::SectionHeader64<Endianness>>() as u64;
    let offset = writer.offset() + header;
    let kind = (elf::SHT_PROGBITS, elf::SectionFlags(0));
    section_header(writer, &Placed { name, offset }, kind, room as u64, 1);
    writer.write(&vec![0; room]);
}

fn section_header(
    writer: &mut Writer<'_, SinglePhase>,
    placed: &Placed,
    (sh_type, sh_flags): (elf::SectionType, elf::SectionFlags),
    sh_size: u64,
    sh_addralign: u64,
) {
    let header = SectionHeader {
        sh_name: writer.section_name_offset(Some(placed.name)),
        sh_type,
        sh_flags,
        sh_addr: 0,
        sh_offset: placed.offset,
        sh_size,
        sh_link: 0,
        sh_info: 0,
        sh_addralign,
        sh_entsize: 0,
    };
    writer.write_section_header(&header);
}

fn relocation_headers(
    bundle: &Bundle,
    placed: &[Option<Placed>],
    writer: &mut Writer<'_, SinglePhase>,
) {
    // The manifest and `.strtab` come between the contents and `.symtab`.
    let symtab = SectionIndex(narrow(bundle.sections.len() + 3));
    for (index, (section, placed)) in bundle.sections.iter().zip(placed).enumerate() {
        if let Some(placed) = placed {
            writer.write_relocation_section_header(
                placed.name,
                SectionIndex(elf_index(SectionId(index))),
                symtab,
                placed.offset,
                section.relocations.len(),
                true,
            );
        }
    }
}

/// The contents come first in the file, after the null section.
fn elf_index(section: SectionId) -> u32 {
    narrow(section.0 + 1)
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number)
        .expect("a bundle below the size limit has fewer sections and symbols than 2^32")
}
