//! The records of `.eh_frame` (LSB core, "Exception Frames"; DWARF 5, 6.4.1).
//!
//! ```text
//! CIE  length:4  0:4               version, augmentation, alignment factors, ..., initial instructions
//! FDE  length:4  distance to CIE:4  start:4 (PC-relative)  length:4  augmentation, instructions
//! ```
//!
//! Only what gcc and clang write for x86-64 is understood: 32-bit lengths and PC-relative 4-byte addresses.

use super::link::Linker;
use super::model::{Atom, AtomId};
use super::raw::{Place, Relocation, Section};
use object::elf;
use std::collections::BTreeMap;

/// The call-frame information of one piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'d> {
    /// The whole record of the CIE, with its length field.
    pub cie: &'d [u8],
    /// The whole record of the FDE.
    pub fde: &'d [u8],
    /// What keeps it from being carried along: an exception table, an encoding that is not understood.
    pub flaw: Option<&'static str>,
}

/// Offset of the field with the start of the code in an FDE.
pub const START: u64 = 8;

/// One record: offset of its length field, and its bytes.
type Record<'d> = (usize, &'d [u8]);

/// The records of each piece of code, and what is wrong with the section.
pub(super) fn frames<'d>(
    linker: &Linker<'_, 'd>,
    atoms: &[Atom<'d>],
) -> (BTreeMap<AtomId, Frame<'d>>, Vec<String>) {
    let (mut frames, mut flaws) = (BTreeMap::new(), Vec::new());
    for (index, section) in linker.resolver.tables.sections.iter().enumerate() {
        if !section.is_loaded() || !section.is_unwind() {
            continue;
        }
        let Some(records) = records(section.data) else {
            flaws.push("its `.eh_frame` is malformed".to_owned());
            continue;
        };
        let reader = Reader {
            linker,
            atoms,
            section,
            index,
        };
        for record in &records {
            if let Some((atom, frame)) = reader.frame(*record, &records)
                && frames.insert(atom, frame).is_some()
            {
                let name = atoms[atom.0 as usize].name;
                flaws.push(format!("its `.eh_frame` describes `{name}` twice"));
            }
        }
    }
    (frames, flaws)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn records(data: &[u8]) -> Option<Vec<Record<'_>>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let length = word(data, at)?;
        if length == 0 {
            at += 4;
            continue;
        }
        if length == u32::MAX || length < 4 {
            return None;
        }
        let end = at.checked_add(4)?.checked_add(length as usize)?;
        records.push((at, data.get(at..end)?));
        at = end;
    }
    Some(records)
}

struct Reader<'r, 't, 'd> {
    linker: &'r Linker<'t, 'd>,
    atoms: &'r [Atom<'d>],
    section: &'r Section<'d>,
    index: usize,
}

impl<'d> Reader<'_, '_, 'd> {
    fn frame(&self, record: Record<'d>, records: &[Record<'d>]) -> Option<(AtomId, Frame<'d>)> {
        let (at, fde) = record;
        let distance = word(fde, 4)? as usize;
        let cie_at = (at + 4).checked_sub(distance)?;
        if distance == 0 {
            return None;
        }
        let atom = self.described(at as u64 + START)?;
        let cie = records
            .binary_search_by_key(&cie_at, |record| record.0)
            .ok();
        let cie = cie.map(|index| records[index]);
        let flaw = match cie {
            None => Some("its unwind information is malformed"),
            Some(cie) => self.flaw(record, cie, atom),
        };
        let cie = cie.map_or(&[][..], |cie| cie.1);
        Some((atom, Frame { cie, fde, flaw }))
    }

    /// The atom whose code begins where the field at `offset` leads.
    fn described(&self, offset: u64) -> Option<AtomId> {
        let relocations = &self.section.relocations;
        let index = relocations
            .binary_search_by_key(&offset, |entry| entry.offset)
            .ok()?;
        let lead = self.linker.resolver.lead(self.index, index)?;
        let Place::Section(section) = lead.place else {
            return None;
        };
        let found = self.linker.layout.find(section, lead.offset)?;
        let start = self.atoms[found.0 as usize].start;
        (i64::try_from(start) == Ok(lead.offset)).then_some(found)
    }

    fn flaw(&self, fde: Record<'d>, cie: Record<'d>, atom: AtomId) -> Option<&'static str> {
        let atom = &self.atoms[atom.0 as usize];
        let [start] = self.fields(fde) else {
            return Some("it has an exception table, which patches cannot carry yet");
        };
        if !self.fields(cie).is_empty() {
            return Some("it has an exception table, which patches cannot carry yet");
        }
        if start.number != elf::R_X86_64_PC32.0 || encoding(cie.1) != Some(PCREL_SDATA4) {
            return Some("its unwind information is in an encoding that is not understood");
        }
        if word(fde.1, 12).map(u64::from) != Some(atom.size) {
            return Some("its unwind information covers more or less than the function");
        }
        None
    }

    /// The relocations of a record.
    fn fields(&self, (at, bytes): Record<'_>) -> &[Relocation] {
        let relocations = &self.section.relocations;
        let first = relocations.partition_point(|entry| entry.offset < at as u64);
        let end = (at + bytes.len()) as u64;
        let last = relocations.partition_point(|entry| entry.offset < end);
        &relocations[first..last.max(first)]
    }
}

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`.
const PCREL_SDATA4: u8 = 0x1b;

/// The encoding of addresses in the FDEs of a CIE whose augmentation has no other data: `zR`, `zRS`, `zRB`.
fn encoding(cie: &[u8]) -> Option<u8> {
    let text = cie.get(9..)?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let [b'z', b'R', rest @ ..] = &text[..end] else {
        return None;
    };
    if !rest.iter().all(|letter| b"SB".contains(letter)) {
        return None;
    }
    // Code and data alignment factors, return address register and augmentation length: LEB128, one byte each here.
    let mut numbers = text.get(end + 1..)?;
    for _ in 0..4 {
        let last = numbers.iter().position(|byte| byte & 0x80 == 0)?;
        numbers = &numbers[last + 1..];
    }
    numbers.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gcc writes: version 1, "zR", alignment factors 1 and -8, return address in 16, PC-relative addresses.
    const CIE: [u8; 24] = [
        20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
    ];

    #[test]
    fn the_encoding_of_addresses_is_found() {
        assert_eq!(encoding(&CIE), Some(PCREL_SDATA4));
        let mut with_personality = CIE;
        with_personality[10] = b'P';
        assert_eq!(encoding(&with_personality), None);
        assert_eq!(encoding(&CIE[..12]), None);
    }

    #[test]
    fn records_end_where_the_section_does() {
        let records = records(&CIE).expect("well-formed");
        assert_eq!(records, [(0, &CIE[..])]);
        assert!(super::records(&CIE[..20]).is_none());
        assert!(super::records(&[0xff; 8]).is_none());
        assert_eq!(super::records(&[0; 4]), Some(vec![]));
    }
}
