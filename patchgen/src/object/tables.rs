//! The sections of kernel objects whose entries are about places in code.
//!
//! Most are made by macros of inline assembly or by objtool. An entry says where it applies by a relocation that leads to the code; it
//! belongs to the function that lies there, is compared and carried with it, and the module loader does with a patch's
//! entries what the kernel's start did with its own.

use super::names;
use super::raw::Tables;
use super::{Atom, AtomKind};
use object::elf;

/// What is done with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Its entries belong to functions.
    Entries(&'static [Shape]),
    /// Code that belongs to the functions which lead there.
    Outlined,
    /// It says nothing that a patch needs: for the linker, for tools, or about names only.
    Dropped,
}

/// How an entry is laid out. Objects of older kernels have other shapes; their relocations tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes per entry.
    pub size: u64,
    /// Width of the first field, which leads to the code.
    pub owner: usize,
    /// Offsets of other fields that may lead somewhere.
    pub fields: &'static [u64],
    /// Bytes that hold a line number.
    pub line: Option<(usize, usize)>,
    /// Offset of the byte that tells how long the code is that the kernel rewrites.
    pub length: Option<usize>,
}

/// Which bytes of the code the kernel may rewrite because of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrites {
    /// None.
    Nothing,
    /// So many.
    Bytes(u64),
    /// The instruction there.
    Instruction,
    /// As many as [`Shape::length`] tells.
    Length,
}

/// A section by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name; with `*` at the end, how it begins.
    pub name: &'static str,
    /// What is done with it.
    pub treatment: Treatment,
    /// Whether functions of equal code may differ in its entries; entries that the code alone decides are not compared.
    pub compared: bool,
    /// What the kernel does to the code.
    pub rewrites: Rewrites,
    /// Why functions with such entries cannot be carried; empty if they can.
    pub refused: &'static str,
    /// Another section whose entries go with these one by one, and their size.
    pub companion: Option<(&'static str, u64)>,
}

const fn shape(size: u64, fields: &'static [u64]) -> Shape {
    Shape {
        size,
        owner: 4,
        fields,
        line: None,
        length: None,
    }
}

/// A shape whose first field is an address, rather than a distance.
const fn wide(shape: Shape) -> Shape {
    Shape { owner: 8, ..shape }
}

const fn entries(name: &'static str, shapes: &'static [Shape], rewrites: Rewrites) -> Table {
    Table {
        name,
        treatment: Treatment::Entries(shapes),
        compared: false,
        rewrites,
        refused: "",
        companion: None,
    }
}

const fn compared(table: Table) -> Table {
    Table {
        compared: true,
        ..table
    }
}

const fn plain(name: &'static str, treatment: Treatment) -> Table {
    Table {
        treatment,
        ..entries(name, &[], Rewrites::Nothing)
    }
}

const PLACE: &[Shape] = &[shape(4, &[])];
const BOOTED: &str =
    "it shifts by a constant that only the kernel's start fills in (`runtime_shift_*`)";

const BUG: &[Shape] = &[
    Shape {
        line: Some((8, 10)),
        ..shape(12, &[4])
    },
    // From 6.18 on with the format.
    Shape {
        line: Some((12, 14)),
        ..shape(16, &[4, 8])
    },
    shape(8, &[]),
];

const ALTERNATIVES: &[Shape] = &[
    Shape {
        length: Some(12),
        ..shape(14, &[4])
    },
    Shape {
        length: Some(10),
        ..shape(12, &[4])
    },
    // Until 5.12, with the length of padding.
    Shape {
        length: Some(10),
        ..shape(13, &[4])
    },
];

const PARAVIRT: &[Shape] = &[Shape {
    length: Some(9),
    ..wide(shape(16, &[]))
}];

/// Lists functions whose change their author wants ignored (`KPATCH_IGNORE_FUNCTION` of kpatch's macros).
pub const IGNORED: &str = ".kpatch.ignore.functions";

/// All that is known.
#[rustfmt::skip]
pub static TABLES: &[Table] = &[
    compared(entries("__bug_table", BUG, Rewrites::Nothing)),
    compared(entries(".altinstructions", ALTERNATIVES, Rewrites::Length)),
    compared(entries(".parainstructions", PARAVIRT, Rewrites::Length)),
    compared(entries("__ex_table", &[shape(12, &[4, 8])], Rewrites::Nothing)),
    compared(entries("__jump_table", &[shape(16, &[4, 8]), wide(shape(24, &[8, 16]))], Rewrites::Instruction)),
    compared(entries(".static_call_sites", &[shape(8, &[4])], Rewrites::Bytes(5))),
    entries(".smp_locks", PLACE, Rewrites::Bytes(1)),
    entries(".retpoline_sites", PLACE, Rewrites::Instruction),
    entries(".return_sites", PLACE, Rewrites::Bytes(5)),
    entries(".call_sites", PLACE, Rewrites::Bytes(5)),
    Table { companion: Some((".orc_unwind", 6)), ..entries(".orc_unwind_ip", PLACE, Rewrites::Nothing) },
    entries(IGNORED, &[wide(shape(8, &[]))], Rewrites::Nothing),
    // New code reads the variables (`kernel::constants`).
    compared(entries("runtime_ptr_*", PLACE, Rewrites::Bytes(8))),
    compared(Table { refused: BOOTED, ..entries("runtime_shift_*", PLACE, Rewrites::Bytes(1)) }),
    plain(".altinstr_replacement", Treatment::Outlined),
    plain(".altinstr_aux", Treatment::Outlined),
    plain(".fixup", Treatment::Outlined),
    // Until 4.20.
    plain(".text..refcount", Treatment::Outlined),
    // Taken with `.orc_unwind_ip`.
    plain(".orc_unwind", Treatment::Dropped),
    plain(".orc_header", Treatment::Dropped),
    // Sealing what nobody calls by pointer is hardening that a patch does without.
    plain(".ibt_endbr_seal", Treatment::Dropped),
    plain("__patchable_function_entries", Treatment::Dropped),
    // Made anew from the calls of `__fentry__`: older objects get it when they are linked.
    plain("__mcount_loc", Treatment::Dropped),
    plain(".printk_index", Treatment::Dropped),
    plain("_kprobe_blacklist", Treatment::Dropped),
    plain("_error_injection_whitelist", Treatment::Dropped),
    plain(".discard*", Treatment::Dropped),
    plain(".note*", Treatment::Dropped),
    plain(".modinfo", Treatment::Dropped),
    plain(".export_symbol", Treatment::Dropped),
    plain("___ksymtab*", Treatment::Dropped),
    plain("__ksymtab*", Treatment::Dropped),
    plain("__kcrctab*", Treatment::Dropped),
    plain("___kcrctab*", Treatment::Dropped),
];

/// What is known about a section.
#[must_use]
pub fn table(section: &str) -> Option<&'static Table> {
    TABLES
        .iter()
        .find(|table| match table.name.strip_suffix('*') {
            Some(prefix) => section.starts_with(prefix),
            None => section == table.name,
        })
}

/// What objtool calls the padding before a function (`__pfx_FUNCTION`), of which nobody else speaks.
pub const PADDING: &str = "__pfx_";

/// Takes the tables out of what is carved into atoms; returns, by section, those with entries.
pub(super) fn take(tables: &mut Tables<'_>) -> Vec<(usize, &'static Table)> {
    tables.symbols.ignore(PADDING);
    let mut taken = Vec::new();
    for (index, section) in tables.sections.iter_mut().enumerate() {
        let Some(table) = table(section.name).filter(|_| section.is_loaded()) else {
            continue;
        };
        match table.treatment {
            Treatment::Outlined => continue,
            Treatment::Entries(_) => taken.push((index, table)),
            Treatment::Dropped => {}
        }
        section.flags &= !elf::SHF_ALLOC.0;
    }
    taken
}

/// Whether an atom is a variable of which new code has its own: of known names, or what the compiler made for its checks
/// (`.Lubsan_data7`, `.L__unnamed_1`).
pub(super) fn is_fleeting(atom: &Atom<'_>, section: &str) -> bool {
    if atom.kind != AtomKind::Data {
        return false;
    }
    let compilers = [".data..L", ".bss..L"]
        .iter()
        .any(|start| section.starts_with(start));
    compilers && (atom.name.is_empty() || atom.name.starts_with(".L"))
        || names::is_fleeting(atom.name)
}

/// Whether what lies in the section is given up when the kernel has started.
#[must_use]
pub fn is_initial(section: &str) -> bool {
    let starts = [".init.", ".exit.", ".meminit.", ".head.text", ".ref."];
    starts.iter().any(|start| section.starts_with(start))
}

/// Whether the section holds code of functions that are elsewhere.
pub(super) fn is_outlined(section: &str) -> bool {
    table(section).is_some_and(|table| table.treatment == Treatment::Outlined)
}
