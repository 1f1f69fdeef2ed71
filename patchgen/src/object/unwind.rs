//! The records of `.eh_frame` (LSB core, "Exception Frames"; DWARF 5, 6.4.1).
//!
//! ```text
//! CIE  length:4  0:4               version, augmentation, alignment factors, ..., initial instructions
//! FDE  length:4  distance to CIE:4  start:4 (PC-relative)  length:4  augmentation, instructions
//! ```
//!
//! Only what gcc and clang write for x86-64 is understood: 32-bit lengths and PC-relative 4-byte addresses.

use super::exceptions::{DIRECT, THROUGH_SLOT, slot_content};
use super::link::Linker;
use super::raw::{Place, Section};
use super::{Atom, AtomId};
use object::elf;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Range;

/// The call-frame information of one piece of code.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'o, 'd> {
    /// The whole record of the CIE, with its length field.
    pub cie: &'d [u8],
    /// The whole record of the FDE.
    pub fde: &'d [u8],
    /// Who handles exceptions in it.
    pub handler: Option<&'o Handler>,
    /// What keeps it from being carried along: an encoding that is not understood.
    pub flaw: Option<&'static str>,
}

/// Who handles exceptions that meet a piece of code. All pointers have four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The personality routine.
    pub personality: AtomId,
    /// In the CIE: offsets of the encoding of the pointer to it, and of that pointer.
    pub pointer: (usize, usize),
    /// In the CIE: offset of the encoding of pointers to exception tables, if its records have any.
    pub tables: Option<usize>,
    /// The exception table, and the offset of the pointer to it in the FDE.
    pub table: Option<(AtomId, usize)>,
}

/// Records by the piece of code that they describe. There are many, and most are plain.
#[derive(Debug, Default)]
pub(super) struct Frames<'d> {
    /// Sections of records.
    data: Vec<&'d [u8]>,
    sorted: Vec<Entry>,
    /// What few have: who handles exceptions, what is not understood.
    rare: HashMap<AtomId, (Option<Handler>, Option<&'static str>)>,
}

/// The records of a piece of code: which section, and offsets there.
#[derive(Clone, Copy, Debug)]
struct Entry {
    atom: AtomId,
    section: u32,
    fde: u32,
    cie: Option<NonZeroU32>,
}

impl<'d> Frames<'d> {
    pub(super) fn get(&self, id: AtomId) -> Option<Frame<'_, 'd>> {
        let found = self.sorted.binary_search_by_key(&id, |entry| entry.atom);
        let entry = self.sorted[found.ok()?];
        let data = self.data.get(entry.section as usize)?;
        let record = |at| record(data, at).unwrap_or_default();
        let cie = entry.cie.map(|place| place.get() as usize - 1);
        let (handler, flaw) = match self.rare.get(&id) {
            Some((handler, flaw)) => (handler.as_ref(), *flaw),
            None => (None, None),
        };
        Some(Frame {
            cie: cie.map(record).unwrap_or_default(),
            fde: record(entry.fde as usize),
            handler,
            flaw,
        })
    }

    /// Sorts the records; of several of one piece the last stays. Returns the pieces that have several.
    fn sort(&mut self) -> Vec<AtomId> {
        self.sorted.sort_by_key(|entry| entry.atom);
        let mut several = Vec::new();
        self.sorted.dedup_by(|later, earlier| {
            let same = later.atom == earlier.atom;
            if same {
                several.push(later.atom);
                std::mem::swap(later, earlier);
            }
            same
        });
        several
    }
}

/// Offset of the field with the start of the code in an FDE.
pub const START: u64 = 8;

/// One record: offset of its length field, and its bytes.
type Record<'d> = (usize, &'d [u8]);

/// The records of each piece of code, and what is wrong with the section.
pub(super) fn frames<'d>(linker: &Linker<'_, 'd>, atoms: &[Atom<'d>]) -> (Frames<'d>, Vec<String>) {
    let (mut frames, mut flaws) = (Frames::default(), Vec::new());
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
        frames.sorted.reserve_exact(records.len());
        for at in &records {
            reader.frame(*at, &records, &mut frames);
        }
        frames.data.push(section.data);
    }
    flaws.extend(frames.sort().into_iter().map(|atom| {
        let name = atoms[atom.0 as usize].name;
        format!("its `.eh_frame` describes `{name}` twice")
    }));
    (frames, flaws)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

/// Where the records begin. Sections of 4 GiB and more are not understood.
fn records(data: &[u8]) -> Option<Vec<u32>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < data.len() {
        if word(data, at)? == 0 {
            at += 4;
            continue;
        }
        let record = record(data, at)?;
        records.push(u32::try_from(at).ok().filter(|at| *at < u32::MAX)?);
        at += record.len();
    }
    Some(records)
}

/// The record at an offset, with its length field.
fn record(data: &[u8], at: usize) -> Option<&[u8]> {
    let length = word(data, at)?;
    if length == u32::MAX || length < 4 {
        return None;
    }
    let end = at.checked_add(4)?.checked_add(length as usize)?;
    data.get(at..end)
}

struct Reader<'r, 't, 'd> {
    linker: &'r Linker<'t, 'd>,
    atoms: &'r [Atom<'d>],
    section: &'r Section<'d>,
    index: usize,
}

impl<'d> Reader<'_, '_, 'd> {
    /// Enters the record at an offset if it is an FDE.
    fn frame(&self, place: u32, records: &[u32], frames: &mut Frames<'d>) -> Option<()> {
        let at = place as usize;
        let fde = (at, record(self.section.data, at)?);
        let distance = word(fde.1, 4)? as usize;
        let cie_at = (at + 4).checked_sub(distance)?;
        if distance == 0 {
            return None;
        }
        let atom = self.described(at as u64 + START)?;
        let known = records.binary_search(&u32::try_from(cie_at).ok()?).ok();
        let cie = known.and_then(|_| Some((cie_at, record(self.section.data, cie_at)?)));
        let handler = cie.map_or(Err(MALFORMED), |cie| self.handler(fde, cie));
        let flaw = match (cie, &handler) {
            (_, Err(flaw)) => Some(*flaw),
            (None, _) => Some(MALFORMED),
            (Some(cie), Ok(_)) => self.flaw(fde, cie, atom),
        };
        let handler = handler.ok().flatten();
        if handler.is_some() || flaw.is_some() {
            frames.rare.insert(atom, (handler, flaw));
        } else {
            frames.rare.remove(&atom);
        }
        frames.sorted.push(Entry {
            atom,
            section: frames.data.len() as u32,
            fde: place,
            cie: cie.and_then(|(at, _)| NonZeroU32::new(at as u32 + 1)),
        });
        Some(())
    }

    /// Who handles exceptions, from the augmentations of both records.
    fn handler(
        &self,
        (fde_at, fde): Record<'d>,
        (cie_at, cie): Record<'d>,
    ) -> Result<Option<Handler>, &'static str> {
        let augmentation = augmentation(cie).ok_or(ENCODING)?;
        let Some(pointer) = augmentation.personality else {
            return Ok(None);
        };
        let slot = self.target((cie_at + pointer.1) as u64).ok_or(ENCODING)?;
        let personality = match cie[pointer.0] {
            THROUGH_SLOT => slot_content(self.atoms, slot.0, slot.1),
            DIRECT => Some(slot.0).filter(|_| slot.1 == 0),
            _ => None,
        };
        // Length of the augmentation, then the pointer.
        let field = TABLE + 1;
        let table = match self.target((fde_at + field) as u64) {
            Some((table, 0)) if augmentation.tables.is_some() && fde[TABLE] == 4 => {
                Some((table, field))
            }
            Some(_) => return Err(ENCODING),
            None => None,
        };
        Ok(Some(Handler {
            personality: personality.ok_or(ENCODING)?,
            pointer,
            tables: augmentation.tables,
            table,
        }))
    }

    /// Where the field at `offset` leads.
    fn target(&self, offset: u64) -> Option<(AtomId, i64)> {
        let index = self.section.relocations.find(offset)?;
        let lead = self.linker.resolver.lead(self.index, index)?;
        match lead.place {
            Place::Section(section) => {
                let found = self.linker.order.find(self.atoms, section, lead.offset)?;
                let start = self.atoms[found.0 as usize].start.cast_signed();
                Some((found, lead.offset.wrapping_sub(start)))
            }
            _ => {
                let entry = self.section.relocations.get(index)?;
                Some((self.linker.external(entry.symbol)?, entry.addend))
            }
        }
    }

    /// The atom whose code begins where the field at `offset` leads.
    fn described(&self, offset: u64) -> Option<AtomId> {
        let index = self.section.relocations.find(offset)?;
        let lead = self.linker.resolver.lead(self.index, index)?;
        let Place::Section(section) = lead.place else {
            return None;
        };
        let found = self.linker.order.find(self.atoms, section, lead.offset)?;
        let start = self.atoms[found.0 as usize].start;
        (i64::try_from(start) == Ok(lead.offset)).then_some(found)
    }

    fn flaw(&self, fde: Record<'d>, cie: Record<'d>, atom: AtomId) -> Option<&'static str> {
        let atom = &self.atoms[atom.0 as usize];
        let known = augmentation(cie.1);
        let start = self.section.relocations.get(self.fields(fde).start)?;
        if start.number != elf::R_X86_64_PC32.0
            || known.as_ref().map(|known| known.addresses) != Some(PCREL_SDATA4)
        {
            return Some(ENCODING);
        }
        let handled = known.is_some_and(|known| known.personality.is_some());
        if self.fields(fde).len() > 1 + usize::from(handled)
            || self.fields(cie).len() != usize::from(handled)
        {
            return Some(ENCODING);
        }
        if word(fde.1, 12).map(u64::from) != Some(atom.size) {
            return Some("its unwind information covers more or less than the function");
        }
        None
    }

    /// The numbers of the relocations of a record.
    fn fields(&self, (at, bytes): Record<'_>) -> Range<usize> {
        let places = at as u64..(at + bytes.len()) as u64;
        self.section.relocations.within(places)
    }
}

const ENCODING: &str = "its unwind information is in an encoding that is not understood";
const MALFORMED: &str = "its unwind information is malformed";

/// Offset of the length of the augmentation in an FDE.
const TABLE: usize = 16;

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`.
pub const PCREL_SDATA4: u8 = 0x1b;

/// What a CIE says about the pointers of its FDEs, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Augmentation {
    /// The encoding of addresses.
    addresses: u8,
    /// Offsets of the encoding of the pointer to the personality routine, and of the pointer.
    personality: Option<(usize, usize)>,
    /// Offset of the encoding of pointers to exception tables.
    tables: Option<usize>,
}

/// Reads an augmentation of the letters `zPLRSB`, whose pointers have four bytes.
fn augmentation(cie: &[u8]) -> Option<Augmentation> {
    let text = cie.get(9..)?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let letters = text[..end].strip_prefix(b"z")?;
    let mut at = 9 + end + 1;
    // Code and data alignment factors, return address register and augmentation length: LEB128.
    for _ in 0..4 {
        at += cie.get(at..)?.iter().position(|byte| byte & 0x80 == 0)? + 1;
    }
    let mut found = Augmentation::default();
    for letter in letters {
        match letter {
            b'P' => {
                matches!(cie.get(at)?, &DIRECT | &THROUGH_SLOT).then_some(())?;
                found.personality = Some((at, at + 1));
                at += 5;
            }
            b'L' => {
                matches!(cie.get(at)?, &DIRECT | &PCREL_SDATA4).then_some(())?;
                found.tables = Some(at);
                at += 1;
            }
            b'R' => {
                found.addresses = *cie.get(at)?;
                at += 1;
            }
            b'S' | b'B' => {}
            _ => return None,
        }
    }
    (at <= cie.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gcc writes: version 1, "zR", alignment factors 1 and -8, return address in 16, PC-relative addresses.
    const CIE: [u8; 24] = [
        20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
    ];

    #[test]
    fn augmentations_are_read() {
        let plain = augmentation(&CIE).expect("understood");
        assert_eq!((plain.addresses, plain.personality), (PCREL_SDATA4, None));
        let mut with_personality = CIE;
        with_personality[10] = b'P';
        assert_eq!(augmentation(&with_personality), None);
        assert_eq!(augmentation(&CIE[..12]), None);
        let handled = [
            28, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'P', b'L', b'R', 0, 1, 0x78, 16, 7, 0x9b, 0, 0, 0,
            0, 0x1b, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
        ];
        let found = augmentation(&handled).expect("understood");
        let wanted = Augmentation {
            addresses: PCREL_SDATA4,
            personality: Some((18, 19)),
            tables: Some(23),
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn records_end_where_the_section_does() {
        let records = records(&CIE).expect("well-formed");
        assert_eq!(records, [0]);
        assert!(super::records(&CIE[..20]).is_none());
        assert!(super::records(&[0xff; 8]).is_none());
        assert_eq!(super::records(&[0; 4]), Some(vec![]));
    }
}
