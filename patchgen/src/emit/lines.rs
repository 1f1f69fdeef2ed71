//! Source lines of the new code, out of the new objects' debug information.

use super::Patch;
use super::distant::Distant;
use super::table::{Key, Table};
use crate::object::lines::{Header, each_row};
use crate::object::{Object, debug};
use crate::program::NewAtom;
use gimli::{AttributeValue, EndianSlice, LineRow, LittleEndian};
use livepatch_bundle::{FunctionLines, Lines, Row};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The lines of all functions that travel.
pub(super) fn of<'d>(
    patch: &Patch<'_, 'd>,
    table: &Table<'d>,
    distant: &BTreeMap<NewAtom, Distant>,
) -> Lines {
    let mut made = Made::default();
    let mut carried: BTreeMap<usize, Vec<NewAtom>> = BTreeMap::new();
    for &atom in &patch.closure.carried {
        carried.entry(atom.unit).or_default().push(atom);
    }
    for (unit, atoms) in carried {
        let object = &patch.program.units[unit].pair.new;
        let code = atoms
            .into_iter()
            .filter(|new| object.atom(new.atom).kind.is_code());
        let code = code.filter(|new| table.has(Key::New(*new)));
        made.unit(object, &code.collect::<Vec<_>>(), table, distant);
    }
    made.lines
}

/// Lines on their way.
#[derive(Default)]
struct Made {
    lines: Lines,
    numbers: HashMap<String, usize>,
}

impl Made {
    fn unit<'d>(
        &mut self,
        object: &Object<'d>,
        code: &[NewAtom],
        table: &Table<'d>,
        distant: &BTreeMap<NewAtom, Distant>,
    ) {
        let mut places: Vec<Place> = code.iter().map(|new| Place::of(object, *new)).collect();
        places.sort_by_key(|place| place.start);
        if places.is_empty() {
            return;
        }
        let names = Names::of(object);
        each_row(object, &mut |header, row| {
            let after = places.partition_point(|place| place.start <= row.address());
            let place = places[..after].last_mut();
            // Most rows are of other functions.
            let Some(place) = place.filter(|place| row.address() - place.start < place.len) else {
                return;
            };
            let (offset, line) = (row.address() - place.start, row.line());
            let line = line.and_then(|line| u32::try_from(line.get()).ok());
            if let Some((line, path)) = line.zip(names.path(header, row)) {
                let file = self.number(path);
                // Of several rows of one address debuggers take the last.
                place.rows.insert(offset, Row { offset, line, file });
            }
        });
        let mut found: Vec<FunctionLines> = places
            .into_iter()
            .filter(|place| !place.rows.is_empty())
            .map(|mut place| {
                if let Some(distant) = distant.get(&place.atom) {
                    place.add_detours(distant);
                }
                let rows: Vec<Row> = place.rows.into_values().collect();
                FunctionLines::new(table.name(Key::New(place.atom)).to_owned(), &changes(rows))
            })
            .collect();
        self.lines.functions.append(&mut found);
    }

    fn number(&mut self, path: String) -> usize {
        let files = &mut self.lines.files;
        *self.numbers.entry(path).or_insert_with_key(|path| {
            files.push(path.clone());
            files.len() - 1
        })
    }
}

/// A row that says what the one before says is none.
fn changes(mut rows: Vec<Row>) -> Vec<Row> {
    rows.dedup_by(|row, before| (row.file, row.line) == (before.file, before.line));
    rows
}

/// Where a function lies in its object, as line tables count, and its rows by offset.
struct Place {
    atom: NewAtom,
    start: u64,
    len: u64,
    rows: BTreeMap<u64, Row>,
}

impl Place {
    fn of(object: &Object<'_>, atom: NewAtom) -> Self {
        let code = object.atom(atom.atom);
        Self {
            atom,
            start: (code.section() as u64) << debug::SECTION_SHIFT | code.start,
            len: code.size,
            rows: BTreeMap::new(),
        }
    }
    /// Adds what belongs to instructions inside and lies behind the function.
    fn add_detours(&mut self, distant: &Distant) {
        for detour in &distant.detours {
            let row = self.rows.range(..=detour.site).next_back();
            if let Some((_, row)) = row {
                let offset = detour.start;
                let row = Row { offset, ..*row };
                self.rows.insert(offset, row);
            }
        }
    }
}

/// Where line tables of DWARF 5 keep names.
struct Names<'d> {
    line_strings: Cow<'d, [u8]>,
    strings: Cow<'d, [u8]>,
}

impl<'d> Names<'d> {
    fn of(object: &Object<'d>) -> Self {
        let section = |name: &str| {
            let mut named = object
                .sections
                .iter()
                .filter(|section| section.name == name);
            named
                .next()
                .and_then(|section| debug::contents(object, section))
                .unwrap_or_default()
        };
        Self {
            line_strings: section(".debug_line_str"),
            strings: section(".debug_str"),
        }
    }

    /// The path of the row's file, as far as the table tells: relative to the directory of the build before DWARF 5.
    fn path(&self, header: &Header<'_>, row: &LineRow) -> Option<String> {
        let file = row.file(header)?;
        let name = self.text(file.path_name())?;
        let directory = file.directory(header).and_then(|value| self.text(value));
        let base = header.directory(0).and_then(|value| self.text(value));
        let path = [directory, base]
            .into_iter()
            .flatten()
            .fold(name, |path, directory| {
                match path.starts_with('/') || directory.is_empty() {
                    true => path,
                    false => format!("{directory}/{path}"),
                }
            });
        let printable = !path.is_empty() && !path.chars().any(char::is_control);
        printable.then_some(path)
    }

    fn text(&self, value: AttributeValue<EndianSlice<'_, LittleEndian>>) -> Option<String> {
        let slice = |data| EndianSlice::new(data, LittleEndian);
        let dwarf = gimli::Dwarf {
            debug_line_str: slice(&self.line_strings).into(),
            debug_str: slice(&self.strings).into(),
            ..gimli::Dwarf::default()
        };
        let bytes = dwarf.attr_line_string(value).ok()?;
        bytes.to_string().ok().map(str::to_owned)
    }
}
