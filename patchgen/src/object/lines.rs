//! Which source line each instruction comes from (`.debug_line`, DWARF 5, section 6.2).
//!
//! Debug sections are not trusted for anything but telling a line number in an argument from another number.

use super::model::Object;
use super::raw::Place;
use gimli::{DebugLine, DebugLineOffset, EndianSlice, LittleEndian};
use livepatch_bundle::{Class, RelocKind};

/// The section's number goes above the offset, to make an address of both.
const SECTION_SHIFT: u32 = 40;

/// Lines by place.
#[derive(Debug, Default)]
pub struct Lines {
    /// Address (section and offset) and line, ascending.
    rows: Vec<(u64, u64)>,
}

impl Lines {
    /// Reads the line table of an object. What is missing or malformed is left out.
    #[must_use]
    pub fn of(object: &Object<'_>) -> Self {
        let mut rows = Vec::new();
        for section in &object.sections {
            // Compressed sections hold something else than a line table.
            let compressed = section.has(object::elf::SHF_COMPRESSED);
            if section.name == ".debug_line" && !compressed {
                let data = relocated(object, section);
                // Rows up to the first malformed one are as good as any.
                let _ = read(&data, &mut rows);
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Self { rows }
    }

    /// Whether the instruction at this offset of a section may come from `line`.
    #[must_use]
    pub fn is_at(&self, section: usize, offset: u64, line: u64) -> bool {
        let base = (section as u64) << SECTION_SHIFT;
        let address = base | offset;
        let after = self.rows.partition_point(|(row, _)| *row <= address);
        let Some((last, _)) = self.rows[..after].last() else {
            return false;
        };
        let rows = self.rows[..after]
            .iter()
            .rev()
            .take_while(|(row, _)| row == last);
        *last >= base && rows.into_iter().any(|(_, at)| *at == line)
    }
}

/// The section's bytes with relocations applied: sections get addresses far from each other.
fn relocated(object: &Object<'_>, section: &super::raw::Section<'_>) -> Vec<u8> {
    let mut data = section.data.to_vec();
    for entry in &section.relocations {
        let Some(kind) = RelocKind::from_elf(entry.number) else {
            continue;
        };
        let symbol = &object.symbols[entry.symbol];
        let Place::Section(number) = symbol.place else {
            continue;
        };
        let code = object.sections[number].is_code();
        let base = if code {
            (number as u64) << SECTION_SHIFT
        } else {
            0
        };
        let value = base
            .wrapping_add(symbol.value)
            .wrapping_add_signed(entry.addend);
        let Ok(start) = usize::try_from(entry.offset) else {
            continue;
        };
        let field = start
            .checked_add(kind.width())
            .and_then(|end| data.get_mut(start..end));
        if let (Some(field), Class::Absolute) = (field, kind.class()) {
            field.copy_from_slice(&value.to_le_bytes()[..kind.width()]);
        }
    }
    data
}

fn read(data: &[u8], rows: &mut Vec<(u64, u64)>) -> gimli::Result<()> {
    let lines: DebugLine<EndianSlice<'_, LittleEndian>> = DebugLine::new(data, LittleEndian);
    let mut offset = 0;
    while offset < data.len() {
        let program = lines.program(DebugLineOffset(offset), 8, None, None)?;
        offset = offset
            .saturating_add(program.header().unit_length())
            .saturating_add(4);
        let mut program = program.rows();
        while let Some((_, row)) = program.next_row()? {
            if let (Some(line), false) = (row.line(), row.end_sequence()) {
                rows.push((row.address(), line.get()));
            }
        }
    }
    Ok(())
}
