//! `.eh_frame` of the new code: the records of the new objects, put together anew.
//!
//! Pointers to personality routines go through slots, pointers to exception tables count from their own place, however the
//! compiler had them: so they reach, wherever the patch lies.

use super::Patch;
use super::distant::Distant;
use super::table::{Key, Table};
use crate::object::exceptions::THROUGH_SLOT;
use crate::object::{FRAME_START, Frame, Handler, PCREL_SDATA4};
use crate::program::NewAtom;
use livepatch_bundle::{Reloc, RelocKind, Section, SectionKind, SymbolId};
use std::collections::BTreeMap;

/// Offset of the distance to the CIE in an FDE.
pub(super) const DISTANCE: usize = 4;

/// The section; `None` when no new code has unwind information.
pub(super) fn section<'d>(
    patch: &Patch<'_, 'd>,
    table: &Table<'d>,
    distant: &BTreeMap<NewAtom, Distant>,
) -> Option<Section> {
    let mut records = Records::default();
    for atom in &patch.closure.carried {
        let object = &patch.program.units[atom.unit].pair.new;
        let Some(frame) = object.frame(atom.atom) else {
            continue;
        };
        let personality = patch.closure.personalities.get(atom);
        let personality = personality.map(|to| table.id(Key::from(*to)));
        let cie = records.cie(&frame, personality);
        let exceptions = frame.handler.as_ref().and_then(|handler| handler.table);
        let exceptions = exceptions.map(|(table_atom, field)| {
            let unit = atom.unit;
            let to = NewAtom {
                unit,
                atom: table_atom,
            };
            (table.id(Key::New(to)), field)
        });
        let longer = distant.get(atom).and_then(|distant| distant.fde.as_deref());
        let record = longer.unwrap_or(frame.fde);
        records.fde(record, cie, table.id(Key::New(*atom)), exceptions);
    }
    let Records {
        data, relocations, ..
    } = records;
    (!data.is_empty()).then(|| Section {
        name: ".eh_frame".to_owned(),
        kind: SectionKind::Unwind,
        align: 8,
        size: data.len() as u64,
        data,
        relocations,
    })
}

/// The section as far as it is put together.
#[derive(Default)]
struct Records<'d> {
    data: Vec<u8>,
    relocations: Vec<Reloc>,
    /// Where CIEs are, by contents and personality routine.
    cies: BTreeMap<(&'d [u8], Option<SymbolId>), usize>,
}

impl<'d> Records<'d> {
    /// Where the frame's CIE is.
    fn cie(&mut self, frame: &Frame<'_, 'd>, personality: Option<SymbolId>) -> usize {
        if let Some(at) = self.cies.get(&(frame.cie, personality)) {
            return *at;
        }
        let at = self.append(frame.cie);
        if let (Some(handler), Some(symbol)) = (frame.handler, personality) {
            let Handler {
                pointer, tables, ..
            } = *handler;
            self.data[at + pointer.0] = THROUGH_SLOT;
            if let Some(encoding) = tables {
                self.data[at + encoding] = PCREL_SDATA4;
            }
            self.field(at + pointer.1, RelocKind::GotPcRel, symbol);
        }
        self.cies.insert((frame.cie, personality), at);
        at
    }

    fn fde(
        &mut self,
        record: &[u8],
        cie: usize,
        code: SymbolId,
        exceptions: Option<(SymbolId, usize)>,
    ) {
        let fde = self.append(record);
        let distance = (fde + DISTANCE - cie) as u32;
        self.data[fde + DISTANCE..fde + DISTANCE + 4].copy_from_slice(&distance.to_le_bytes());
        self.field(fde + FRAME_START as usize, RelocKind::Pc32, code);
        if let Some((table, field)) = exceptions {
            self.field(fde + field, RelocKind::Pc32, table);
        }
    }

    fn field(&mut self, offset: usize, kind: RelocKind, symbol: SymbolId) {
        self.relocations.push(Reloc {
            offset: offset as u64,
            kind,
            symbol,
            addend: 0,
        });
    }

    fn append(&mut self, record: &[u8]) -> usize {
        let at = self.data.len();
        self.data.extend_from_slice(record);
        at
    }
}
