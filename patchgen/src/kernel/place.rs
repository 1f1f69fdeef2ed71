//! Which section of a module a piece of new code or data goes to, and with what bytes.

use super::constants::read_variables;
use super::file::{File, Sec, Shape};
use crate::emit::shorts;
use crate::object::tables::PADDING;
use crate::object::{Atom, AtomKind, Link, Object};
use crate::program::NewAtom;
use livepatch_bundle::RelocKind;
use object::elf;

/// Nops before a function, which call-depth tracking may fill (`CONFIG_CALL_PADDING`).
const PREFIX: usize = 16;
/// What the module loader makes room for on each processor; the sections of kernel objects have more behind the name.
pub(super) const PER_CPU: &str = ".data..percpu";

/// Adds an atom to the module, named, with its fields blanked; returns where it is.
pub(super) fn put(file: &mut File, object: &Object<'_>, new: NewAtom) -> (Sec, u64) {
    let atom = object.atom(new.atom);
    let mut bytes = contents(atom);
    read_variables(atom, object.attached(new.atom), &mut bytes);
    let place = match atom.kind {
        AtomKind::Function => function(file, object, atom, &bytes),
        AtomKind::Outlined => {
            let flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
            let section = file.shared(object.section_name(new.atom), Shape::contents(flags, 1));
            (section, file.append(section, 1, &bytes))
        }
        _ => data(file, (object, new), object.align(new.atom), &bytes),
    };
    let kind = match atom.kind {
        AtomKind::Function => elf::STT_FUNC,
        _ => elf::STT_OBJECT,
    };
    if !atom.name.is_empty() {
        file.define(atom.name, kind, place, atom.size, false);
    }
    place
}

/// The atom's bytes with its fields blanked: the module loader wants zeros there.
fn contents(atom: &Atom<'_>) -> Vec<u8> {
    let mut bytes = shorts::code(atom).unwrap_or_else(|_| atom.bytes.to_vec());
    let fields = atom
        .links
        .iter()
        .map(|link: &Link| (link.offset(), link.kind));
    for (offset, kind) in fields {
        blank(&mut bytes, offset, kind);
    }
    bytes
}

pub(super) fn blank(bytes: &mut [u8], offset: u64, kind: RelocKind) {
    let start = (offset as usize).min(bytes.len());
    let end = (start + kind.width()).min(bytes.len());
    bytes[start..end].fill(0);
}

fn function(file: &mut File, object: &Object<'_>, atom: &Atom<'_>, bytes: &[u8]) -> (Sec, u64) {
    let flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
    let section = file.unique(&format!(".text.{}", atom.name), Shape::contents(flags, 16));
    let padding = prefix(object, atom);
    file.append(section, 1, padding);
    if !padding.is_empty() {
        let name = format!("{PADDING}{}", atom.name);
        file.define(
            name,
            elf::STT_FUNC,
            (section, 0),
            padding.len() as u64,
            false,
        );
    }
    (section, file.append(section, 1, bytes))
}

/// The padding that belongs to a function, in objects whose functions have it.
pub(super) fn prefix<'d>(object: &Object<'d>, atom: &Atom<'_>) -> &'d [u8] {
    const NOP: u8 = 0x90;
    let sections = &object.sections;
    let padded = sections
        .iter()
        .any(|one| one.name == "__patchable_function_entries");
    let start = usize::try_from(atom.start).unwrap_or_default();
    let before = start.checked_sub(PREFIX).filter(|_| padded);
    let bytes = before.and_then(|before| sections[atom.section()].data.get(before..start));
    bytes
        .filter(|bytes| bytes.iter().all(|byte| *byte == NOP))
        .unwrap_or_default()
}

fn data(
    file: &mut File,
    (object, new): (&Object<'_>, NewAtom),
    align: u64,
    bytes: &[u8],
) -> (Sec, u64) {
    let atom = object.atom(new.atom);
    let section = object.section_name(new.atom);
    if matches!(section, "__dyndbg" | "__verbose") {
        let section = file.shared(section, shape_of(object, section));
        return (section, file.append(section, 8, bytes));
    }
    if section.starts_with(PER_CPU) {
        let writable = elf::SHF_ALLOC | elf::SHF_WRITE;
        let section = file.shared(PER_CPU, Shape::contents(writable, align));
        let mut bytes = bytes.to_vec();
        bytes.resize(atom.size as usize, 0);
        return (section, file.append(section, align, &bytes));
    }
    let part = file.part;
    let label = |atom: &Atom<'_>| match atom.name {
        "" => format!("u{part}.{}.{:x}.{:x}", new.unit, atom.section(), atom.start),
        name => name.to_owned(),
    };
    if let Some(run) = atom.run {
        let first = object.atom(run);
        let name = format!(".rodata.{}", label(first));
        let align = object.align(run);
        let section = file.shared(&name, Shape::contents(elf::SHF_ALLOC, align));
        return (
            section,
            file.append_at(section, atom.start - first.start, bytes),
        );
    }
    if matches!(atom.kind, AtomKind::String | AtomKind::Constant) {
        let section = file.shared(".rodata.str", Shape::contents(elf::SHF_ALLOC, align));
        return (section, file.append(section, align, bytes));
    }
    let writable = elf::SHF_ALLOC | elf::SHF_WRITE;
    if atom.kind != AtomKind::Data {
        let name = format!(".rodata.{}", label(atom));
        let section = file.unique(&name, Shape::contents(elf::SHF_ALLOC, align));
        return (section, file.append(section, 1, bytes));
    }
    if bytes.len() as u64 == atom.size {
        let name = format!(".data.{}", label(atom));
        let section = file.unique(&name, Shape::contents(writable, align));
        return (section, file.append(section, 1, bytes));
    }
    let shape = Shape {
        kind: elf::SHT_NOBITS,
        ..Shape::contents(writable, align)
    };
    let section = file.unique(&format!(".bss.{}", label(atom)), shape);
    file.zeros(section, atom.size);
    (section, 0)
}

/// A table's section as the object has it, loaded again.
pub(super) fn shape_of(object: &Object<'_>, name: &str) -> Shape {
    let section = object.sections.iter().find(|section| section.name == name);
    let (flags, align) = section.map_or((0, 1), |section| (section.flags, section.align));
    Shape {
        kind: elf::SHT_PROGBITS,
        flags: flags & elf::SHF_WRITE.0 | elf::SHF_ALLOC.0,
        align,
        entsize: 0,
    }
}
