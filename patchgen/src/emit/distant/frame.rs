//! Unwind records of functions that have detours: behind the function holds what holds at the instruction (DWARF 5, 6.4.2).

use super::super::unwind::DISTANCE;
use super::Detour;
use crate::object::Frame;
use gimli::leb128::write::{signed, unsigned};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, LittleEndian, Register, RegisterRule, UnwindContext,
    UnwindSection, UnwindTableRow, constants as dw,
};
use std::collections::{BTreeMap, BTreeSet};

type Row = UnwindTableRow<usize>;

/// Offset of the length of the code in an FDE.
const LENGTH: usize = 12;

/// The record of a function that is `length` bytes long with its detours; `None` where it says what cannot be said again.
pub(super) fn extended(frame: &Frame<'_, '_>, detours: &[Detour], length: u64) -> Option<Vec<u8>> {
    let rows = Rows::of(frame)?;
    let mut fde = frame.fde.to_vec();
    let mut last = rows.list.last()?;
    let mut place = rows.offset(last);
    for detour in detours {
        let row = rows.at(detour.site)?;
        let advance = u32::try_from(detour.start.checked_sub(place)?).ok()?;
        fde.push(dw::DW_CFA_advance_loc4.0);
        fde.extend(advance.to_le_bytes());
        change(&mut fde, &rows, last, row)?;
        (last, place) = (row, detour.start);
    }
    while !fde.len().is_multiple_of(8) {
        fde.push(dw::DW_CFA_nop.0);
    }
    let size = u32::try_from(fde.len() - 4).ok()?;
    fde[..4].copy_from_slice(&size.to_le_bytes());
    let length = u32::try_from(length).ok()?;
    fde.get_mut(LENGTH..LENGTH + 4)?
        .copy_from_slice(&length.to_le_bytes());
    Some(fde)
}

/// Writes what makes one row of the other.
fn change(fde: &mut Vec<u8>, rows: &Rows, from: &Row, to: &Row) -> Option<()> {
    let CfaRule::RegisterAndOffset { register, offset } = *to.cfa() else {
        return None;
    };
    fde.push(dw::DW_CFA_def_cfa.0);
    unsigned(fde, register.0.into()).ok()?;
    unsigned(fde, u64::try_from(offset).ok()?).ok()?;
    let (from, to) = (rules(from), rules(to));
    let registers: BTreeSet<&u16> = from.keys().chain(to.keys()).collect();
    for register in registers {
        let (operation, offset) = match to.get(register) {
            None => (dw::DW_CFA_restore_extended, None),
            Some(RegisterRule::Undefined) => (dw::DW_CFA_undefined, None),
            Some(RegisterRule::SameValue) => (dw::DW_CFA_same_value, None),
            Some(RegisterRule::Offset(offset)) if offset % rows.factor == 0 => {
                (dw::DW_CFA_offset_extended_sf, Some(offset / rows.factor))
            }
            Some(_) => return None,
        };
        fde.push(operation.0);
        unsigned(fde, u64::from(*register)).ok()?;
        if let Some(offset) = offset {
            signed(fde, offset).ok()?;
        }
    }
    Some(())
}

/// The rules of a row, by the registers' numbers.
fn rules(row: &Row) -> BTreeMap<u16, RegisterRule<usize>> {
    let rules = row.registers();
    rules
        .map(|&(Register(number), ref rule)| (number, rule.clone()))
        .collect()
}

/// What a record says of each piece of the code.
struct Rows {
    list: Vec<Row>,
    /// Where the code begins, as the rows count.
    start: u64,
    /// By what offsets are multiplied.
    factor: i64,
}

impl Rows {
    fn of(frame: &Frame<'_, '_>) -> Option<Self> {
        let mut section = frame.cie.to_vec();
        let at = section.len();
        section.extend(frame.fde);
        let distance = u32::try_from(at + DISTANCE).ok()?;
        section[at + DISTANCE..at + DISTANCE + 4].copy_from_slice(&distance.to_le_bytes());
        let frames = EhFrame::new(&section, LittleEndian);
        let bases = BaseAddresses::default()
            .set_eh_frame(0)
            .set_text(0)
            .set_got(0);
        let parsed = frames.fde_from_offset(&bases, at.into(), EhFrame::cie_from_offset);
        let parsed = parsed.ok()?;
        let mut context = UnwindContext::new();
        let mut table = parsed.rows(&frames, &bases, &mut context).ok()?;
        let mut list = Vec::new();
        while let Some(row) = table.next_row().ok()? {
            list.push(row.clone());
        }
        let factor = parsed.cie().data_alignment_factor();
        (parsed.cie().code_alignment_factor() == 1 && factor != 0).then_some(Self {
            list,
            start: parsed.initial_address(),
            factor,
        })
    }

    /// Offset of the code that a row begins with.
    fn offset(&self, row: &Row) -> u64 {
        row.start_address() - self.start
    }

    /// What holds at an offset.
    fn at(&self, offset: u64) -> Option<&Row> {
        let place = self.start + offset;
        let holds = |row: &&Row| (row.start_address()..row.end_address()).contains(&place);
        self.list.iter().find(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gcc writes: version 1, "zR", alignment factors 1 and -8, return address in 16, PC-relative addresses.
    const CIE: [u8; 24] = [
        20, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0x1b, 12, 7, 8, 0x90, 1, 0, 0,
    ];
    /// 32 bytes of code: `push rbx` in the first, `pop rbx` before the last.
    const FDE: [u8; 28] = [
        24, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, // No augmentation.
        0x41, 0x0e, 16, 0x83, 2, 0x5e, 0x0e, 8, 0xc3, 0, 0,
    ];

    fn frame(fde: &[u8]) -> Frame<'static, '_> {
        Frame {
            cie: &CIE,
            fde,
            handler: None,
            flaw: None,
        }
    }

    /// What holds at an offset: the CFA, and the rules of registers.
    fn holds(fde: &[u8], offset: u64) -> (CfaRule<usize>, BTreeMap<u16, RegisterRule<usize>>) {
        let rows = Rows::of(&frame(fde)).expect("well-formed");
        let row = rows.at(offset).expect("described");
        (row.cfa().clone(), rules(row))
    }

    #[test]
    fn a_detour_has_the_row_of_its_instruction() {
        let detours = [(16, 32), (0, 48), (16, 64), (31, 80)];
        let detours = detours.map(|(site, start)| Detour { site, start });
        let longer = extended(&frame(&FDE), &detours, 96).expect("understood");
        for offset in [0, 1, 16, 30, 31] {
            assert_eq!(holds(&longer, offset), holds(&FDE, offset), "{offset}");
        }
        for (detour, at) in [(32, 16), (47, 16), (48, 0), (64, 16), (80, 31), (95, 31)] {
            assert_eq!(holds(&longer, detour), holds(&FDE, at), "{detour}");
        }
        assert_ne!(holds(&FDE, 16), holds(&FDE, 31));
        assert!(Rows::of(&frame(&longer)).expect("whole").at(96).is_none());
        assert_eq!(longer.len() % 4, 0);
    }

    #[test]
    fn what_cannot_be_said_again_is_left() {
        let mut fde = FDE;
        // DW_CFA_def_cfa_expression of no operations instead of an offset.
        fde[18..20].copy_from_slice(&[0x0f, 0]);
        let detour = Detour {
            site: 16,
            start: 32,
        };
        assert_eq!(extended(&frame(&fde), &[detour], 48), None);
        assert_eq!(extended(&frame(&FDE[..20]), &[detour], 48), None);
    }
}
