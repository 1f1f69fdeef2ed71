//! Which source line each instruction comes from (`.debug_line`, DWARF 5, section 6.2).
//!
//! Debug sections are not trusted for anything but telling a line number in an argument from another number.

use super::Object;
use super::debug::{self, SECTION_SHIFT};
use gimli::{DebugLine, DebugLineOffset, EndianSlice, LineProgramHeader, LineRow, LittleEndian};

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
        each_row(object, &mut |_, row| {
            if let Some(line) = row.line() {
                rows.push((row.address(), line.get()));
            }
        });
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

/// What names files in a line table.
pub type Header<'a> = LineProgramHeader<EndianSlice<'a, LittleEndian>>;

/// Shows each row of the object's line tables, in their order, with the header of its table. What is missing or malformed is left out.
pub fn each_row(object: &Object<'_>, see: &mut dyn FnMut(&Header<'_>, &LineRow)) {
    let tables = object.sections.iter();
    for section in tables.filter(|section| section.name == ".debug_line") {
        if let Some(data) = debug::contents(object, section) {
            // Rows up to the first malformed one are as good as any.
            let _ = read(&data, see);
        }
    }
}

fn read(data: &[u8], see: &mut dyn FnMut(&Header<'_>, &LineRow)) -> gimli::Result<()> {
    let lines: DebugLine<EndianSlice<'_, LittleEndian>> = DebugLine::new(data, LittleEndian);
    let mut offset = 0;
    while offset < data.len() {
        let program = lines.program(DebugLineOffset(offset), 8, None, None)?;
        offset = offset
            .saturating_add(program.header().unit_length())
            .saturating_add(4);
        let mut program = program.rows();
        while let Some((header, row)) = program.next_row()? {
            if !row.end_sequence() {
                see(header, row);
            }
        }
    }
    Ok(())
}
