//! Source lines as debuggers read them: one compilation unit of DWARF 4 with its line table, at offsets from the base.

use super::view::Function;
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Result, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};
use livepatch_bundle::Lines;
use std::collections::HashMap;

const ENCODING: Encoding = Encoding {
    format: Format::Dwarf32,
    version: 4,
    address_size: 8,
};
/// What debuggers show as the name of the unit.
const PRODUCER: &str = concat!("livepatch ", env!("CARGO_PKG_VERSION"));

/// The debug sections, by name; none when there are no lines. `code`: offset and length of all code.
pub(super) fn sections(
    lines: &Lines,
    functions: &[Function<'_>],
    code: (u64, u64),
) -> Vec<(&'static str, Vec<u8>)> {
    if lines.functions.is_empty() {
        return Vec::new();
    }
    // What cannot be encoded is missed by debuggers only.
    let made = written(lines, functions, code);
    made.inspect_err(|error| tracing::debug!("no source lines: {error}"))
        .unwrap_or_default()
}

fn written(
    lines: &Lines,
    functions: &[Function<'_>],
    (start, len): (u64, u64),
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut unit = DwarfUnit::new(ENCODING);
    unit.unit.line_program = program(lines, functions)?;
    let root = unit.unit.get_mut(unit.unit.root());
    let text = |text: &str| AttributeValue::String(text.into());
    root.set(gimli::DW_AT_producer, text(PRODUCER));
    root.set(
        gimli::DW_AT_name,
        text(lines.files.first().map_or("", String::as_str)),
    );
    root.set(
        gimli::DW_AT_low_pc,
        AttributeValue::Address(Address::Constant(start)),
    );
    root.set(gimli::DW_AT_high_pc, AttributeValue::Udata(len));
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections)?;
    let mut made = vec![(".debug_aranges", ranges(start, len).to_vec())];
    sections.for_each(|id, contents| {
        if !contents.slice().is_empty() {
            made.push((id.name(), contents.slice().to_vec()));
        }
        Ok::<(), gimli::write::Error>(())
    })?;
    Ok(made)
}

fn program(lines: &Lines, functions: &[Function<'_>]) -> Result<LineProgram> {
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut program = LineProgram::new(
        ENCODING,
        LineEncoding::default(),
        text("/"),
        None,
        text(""),
        None,
    );
    let directory = program.default_directory();
    let files: Vec<_> = lines
        .files
        .iter()
        .map(|path| program.add_file(text(path), directory, None))
        .collect();
    let places: HashMap<&str, &Function<'_>> = functions
        .iter()
        .map(|function| (function.symbol, function))
        .collect();
    for own in &lines.functions {
        let Some((place, rows)) = places.get(own.symbol.as_str()).zip(own.rows()) else {
            continue;
        };
        program.begin_sequence(Some(Address::Constant(place.start)));
        for row in rows {
            let Some(&file) = files.get(row.file) else {
                continue;
            };
            let next = program.row();
            (next.address_offset, next.line, next.file) = (row.offset, row.line.into(), file);
            program.generate_row();
        }
        program.end_sequence(place.len);
    }
    Ok(program)
}

/// `.debug_aranges` (DWARF 4, section 6.1.2), by which libdw finds the unit of an address.
fn ranges(start: u64, len: u64) -> [u8; 48] {
    let mut bytes = [0; 48];
    let (head, tuples) = bytes.split_at_mut(16);
    // unit_length, version, offset of the unit, size of an address, no segments, padding
    head[..12].copy_from_slice(&[44, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 0]);
    tuples[..8].copy_from_slice(&start.to_le_bytes());
    tuples[8..16].copy_from_slice(&len.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{DebugLine, DebugLineOffset};
    use livepatch_bundle::{FunctionLines, Row};

    #[test]
    fn a_reader_finds_the_rows_where_the_functions_lie() {
        let row = |offset, line, file| Row { offset, line, file };
        let lines = Lines {
            files: vec!["/src/a.c".into(), "/src/b.h".into()],
            functions: vec![FunctionLines::new(
                "f.new".into(),
                &[row(0, 7, 0), row(4, 3, 1)],
            )],
        };
        let function = Function {
            name: "f",
            symbol: "f.new",
            start: 0x210,
            len: 9,
        };
        let made = sections(&lines, &[function], (0x210, 16));
        let named = |name| {
            &made
                .iter()
                .find(|section| section.0 == name)
                .expect("it is there")
                .1
        };
        let table = DebugLine::new(named(".debug_line"), LittleEndian);
        let program = table
            .program(DebugLineOffset(0), 8, None, None)
            .expect("well-formed");
        let (mut rows, mut found) = (program.rows(), Vec::new());
        while let Some((_, row)) = rows.next_row().expect("well-formed") {
            found.push((row.address(), row.line().map(u64::from), row.end_sequence()));
        }
        let expected = [
            (0x210, Some(7), false),
            (0x214, Some(3), false),
            (0x219, Some(3), true),
        ];
        assert_eq!(found, expected);
        assert!(named(".debug_info").len() > 11 && named(".debug_aranges").len() == 48);
        assert_eq!(sections(&Lines::default(), &[], (0x210, 16)), []);
    }
}
