//! Offsets within the patch: they do not depend on where it is placed.

use super::view::{Function, View};
use super::{dwarf, mark};
use crate::place::PAGE;
use crate::record::CODE_OFFSET;
use livepatch_bundle::{Bundle, Class, RelocKind, RunAddr, SectionId, SectionKind, SymbolId};
use std::collections::{BTreeMap, HashMap};

/// Length of a stub: `jmp [rip+disp32]` and padding.
pub(super) const STUB_LEN: u64 = 8;

/// What a slot of the patch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotKind {
    /// The address of the symbol.
    Address,
    /// Where a call of the symbol goes; used by its stub.
    Branch,
    /// The offset of the symbol from the thread pointer.
    TpOffset,
    /// The symbol's (module, offset) pair.
    TlsPair,
    /// The (module, 0) pair.
    TlsModulePair,
}

impl SlotKind {
    fn len(self) -> u64 {
        match self {
            Self::Address | Self::Branch | Self::TpOffset => 8,
            Self::TlsPair | Self::TlsModulePair => 16,
        }
    }

    fn for_class(class: Class) -> Option<Self> {
        match class {
            Class::GotSlot => Some(Self::Address),
            Class::GotTpOff => Some(Self::TpOffset),
            Class::TlsGd => Some(Self::TlsPair),
            Class::TlsLd => Some(Self::TlsModulePair),
            _ => None,
        }
    }
}

/// Where everything lies, relative to the start of the patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Offset of each section; `None` for old code and its data, which are not placed.
    pub(super) sections: Vec<Option<u64>>,
    pub(super) stubs: BTreeMap<SymbolId, u64>,
    pub(super) slots: BTreeMap<(SymbolId, SlotKind), u64>,
    /// Offset and length of all new code, stubs included.
    pub code: (u64, u64),
    /// Offset and length of the unwind records with their terminator, and before it one for the last byte of the prelude;
    /// length 0 when there are none.
    pub unwind: (u64, u64),
    /// Offset of the record's body.
    pub body: u64,
    pub(super) view: View,
    /// Length of the read-execute part in whole pages; the read-write part follows it.
    pub text_len: u64,
    /// Length of the read-write part in whole pages; 0 when there is none.
    pub data_len: u64,
}

impl Layout {
    /// Lays out `bundle` with `body_len` bytes for the record's body.
    #[must_use]
    pub fn new(bundle: &Bundle, body_len: u64) -> Self {
        let mut sections = vec![None; bundle.sections.len()];
        let (mut cursor, code_start) = (CODE_OFFSET, CODE_OFFSET);
        place(bundle, SectionKind::Code, &mut sections, &mut cursor);
        cursor = cursor.next_multiple_of(STUB_LEN);
        let stubs = stubs(bundle, &mut cursor);
        let code = (code_start, cursor - code_start);
        let slots = slots(bundle, &stubs, &mut cursor);
        place(bundle, SectionKind::ReadOnly, &mut sections, &mut cursor);
        cursor = cursor.next_multiple_of(8);
        let unwind_start = cursor;
        place(bundle, SectionKind::Unwind, &mut sections, &mut cursor);
        let unwind_len = if cursor > unwind_start {
            cursor + mark::LEN + 4 - unwind_start
        } else {
            0
        };
        let body = (unwind_start + unwind_len).next_multiple_of(8);
        let unwind = (unwind_start, unwind_len);
        let functions = functions(bundle, &sections);
        let debug = dwarf::sections(&bundle.manifest.lines, &functions, code);
        let view = View::new(&functions, code, unwind, &debug, body + body_len);
        let text_len = view.end().next_multiple_of(PAGE);
        cursor = text_len;
        place(bundle, SectionKind::Data, &mut sections, &mut cursor);
        place(bundle, SectionKind::Zero, &mut sections, &mut cursor);
        Self {
            sections,
            stubs,
            slots,
            code,
            unwind,
            body,
            view,
            text_len,
            data_len: (cursor - text_len).next_multiple_of(PAGE),
        }
    }

    /// The length of both parts in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.text_len + self.data_len
    }

    /// Whether nothing is placed; never, since the prelude always is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a symbol that the bundle defines will be.
    #[must_use]
    pub fn address_of(&self, bundle: &Bundle, symbol: SymbolId, base: RunAddr) -> Option<RunAddr> {
        let definition = bundle.symbols.get(symbol.0)?.definition?;
        let SectionId(section) = definition.section;
        let start = (*self.sections.get(section)?)?;
        Some(RunAddr(base.0 + start + definition.offset))
    }
}

fn place(bundle: &Bundle, kind: SectionKind, sections: &mut [Option<u64>], cursor: &mut u64) {
    for (section, offset) in bundle.sections.iter().zip(sections) {
        if section.kind == kind {
            *cursor = cursor.next_multiple_of(section.align.max(1));
            *offset = Some(*cursor);
            *cursor += section.size;
        }
    }
}

/// The functions that are placed, by the names of those that they replace, and the others by their own.
fn functions<'a>(bundle: &'a Bundle, sections: &[Option<u64>]) -> Vec<Function<'a>> {
    let replaced = bundle.manifest.functions.iter();
    let replaced: HashMap<&str, &str> = replaced
        .filter_map(|function| Some((function.new.as_deref()?, function.name.as_str())))
        .collect();
    let mut functions: Vec<_> = bundle
        .symbols
        .iter()
        .filter_map(|symbol| {
            let definition = symbol.definition?;
            let SectionId(section) = definition.section;
            let code = bundle.sections.get(section)?.kind == SectionKind::Code;
            let start = sections.get(section).copied().flatten().filter(|_| code)?;
            let name = symbol.name.as_str();
            Some(Function {
                name: replaced.get(name).copied().unwrap_or(name),
                symbol: name,
                start: start + definition.offset,
                len: definition.size,
            })
        })
        .collect();
    functions.sort_by_key(|function| function.start);
    functions
}

/// One stub for each function outside the bundle that placed code calls.
fn stubs(bundle: &Bundle, cursor: &mut u64) -> BTreeMap<SymbolId, u64> {
    let mut stubs = BTreeMap::new();
    for reloc in bundle.placed_relocations() {
        let outside = bundle
            .symbols
            .get(reloc.symbol.0)
            .is_some_and(|symbol| symbol.definition.is_none());
        if reloc.kind == RelocKind::Plt32 && outside {
            stubs
                .entry(reloc.symbol)
                .or_insert_with(|| take(cursor, STUB_LEN));
        }
    }
    stubs
}

/// The slots of the stubs, then one for each symbol and kind that placed code reaches through a slot.
fn slots(
    bundle: &Bundle,
    stubs: &BTreeMap<SymbolId, u64>,
    cursor: &mut u64,
) -> BTreeMap<(SymbolId, SlotKind), u64> {
    let mut slots = BTreeMap::new();
    for &symbol in stubs.keys() {
        slots.insert(
            (symbol, SlotKind::Branch),
            take(cursor, SlotKind::Branch.len()),
        );
    }
    for reloc in bundle.placed_relocations() {
        if let Some(kind) = SlotKind::for_class(reloc.kind.class()) {
            slots
                .entry((reloc.symbol, kind))
                .or_insert_with(|| take(cursor, kind.len()));
        }
    }
    slots
}

fn take(cursor: &mut u64, len: u64) -> u64 {
    let start = *cursor;
    *cursor += len;
    start
}
