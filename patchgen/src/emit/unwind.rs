//! `.eh_frame` of the new code: the records of the new objects, put together anew.

use super::Patch;
use super::table::{Key, Table};
use crate::object::FRAME_START;
use livepatch_bundle::{Reloc, RelocKind, Section, SectionKind};
use std::collections::BTreeMap;

/// Offset of the distance to the CIE in an FDE.
const DISTANCE: usize = 4;

/// The section; `None` when no new code has unwind information.
pub(super) fn section<'d>(patch: &Patch<'_, 'd>, table: &Table<'d>) -> Option<Section> {
    let mut data = Vec::new();
    let mut relocations = Vec::new();
    let mut cies: BTreeMap<&[u8], usize> = BTreeMap::new();
    for atom in &patch.closure.carried {
        let object = &patch.program.units[atom.unit].pair.new;
        let Some(frame) = object.frames.get(&atom.atom) else {
            continue;
        };
        let cie = *cies
            .entry(frame.cie)
            .or_insert_with(|| append(&mut data, frame.cie));
        let fde = append(&mut data, frame.fde);
        let distance = (fde + DISTANCE - cie) as u32;
        data[fde + DISTANCE..fde + DISTANCE + 4].copy_from_slice(&distance.to_le_bytes());
        relocations.push(Reloc {
            offset: fde as u64 + FRAME_START,
            kind: RelocKind::Pc32,
            symbol: table.id(Key::New(*atom)),
            addend: 0,
        });
    }
    (!data.is_empty()).then(|| Section {
        name: ".eh_frame".to_owned(),
        kind: SectionKind::Unwind,
        align: 8,
        size: data.len() as u64,
        data,
        relocations,
    })
}

fn append(data: &mut Vec<u8>, record: &[u8]) -> usize {
    let at = data.len();
    data.extend_from_slice(record);
    at
}
