//! Aligns every function of an object file with a linked program, and checks every inferred reference against the
//! program's own symbol table.

use super::{Image, Piece, Unit, pieces::Place};
use livepatch_match::{Alignment, Code, RefPair, Target, Via, align};
use object::elf;
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) matched: usize,
    /// Functions that the program has no symbol for.
    pub(crate) absent: Vec<String>,
    /// Functions that did not match, with the difference.
    pub(crate) different: Vec<String>,
    /// References that are not where the program's symbols say.
    pub(crate) wrong: Vec<String>,
    pub(crate) references: usize,
    /// Time spent in `align`.
    pub(crate) time: Duration,
    /// Functions whose length is not the linked one's.
    pub(crate) other_length: usize,
}

impl Report {
    pub(crate) fn merge(&mut self, other: Self) {
        self.matched += other.matched;
        self.references += other.references;
        self.time += other.time;
        self.other_length += other.other_length;
        self.absent.extend(other.absent);
        self.different.extend(other.different);
        self.wrong.extend(other.wrong);
    }
}

/// Aligns each function of `unit` with the one of its name in `image`.
pub(crate) fn check_object(unit: &Unit, image: &Image) -> Report {
    let mut report = Report::default();
    let matches: Vec<Match> = (unit.pieces.iter())
        .filter_map(|piece| find(unit, piece, image, &mut report))
        .collect();
    for found in &matches {
        check_references(unit, found, &matches, image, &mut report);
    }
    report
}

/// A function and its linked code.
struct Match<'a> {
    piece: &'a Piece,
    place: u64,
    alignment: Alignment,
}

fn find<'a>(
    unit: &Unit,
    piece: &'a Piece,
    image: &Image,
    report: &mut Report,
) -> Option<Match<'a>> {
    let places = candidates(unit, &piece.name, image);
    if places.is_empty() {
        report.absent.push(piece.name.clone());
        return None;
    }
    let mut failures = Vec::new();
    for place in places {
        let Some(bytes) = image.bytes_at(place) else {
            continue;
        };
        let right = Code {
            bytes,
            base: place,
            fields: None,
        };
        let start = Instant::now();
        let result = align(&piece.code(), &right);
        report.time += start.elapsed();
        match result {
            Ok(alignment) => {
                report.matched += 1;
                report.references += alignment.references.len();
                report.other_length += usize::from(alignment.lengths.0 != alignment.lengths.1);
                return Some(Match {
                    piece,
                    place,
                    alignment,
                });
            }
            Err(error) => failures.push(format!("{} at {place:#x}: {error}", piece.name)),
        }
    }
    report.different.extend(failures);
    None
}

fn candidates(unit: &Unit, name: &str, image: &Image) -> Vec<u64> {
    let list = image.symbols.get(name).cloned().unwrap_or_default();
    let ours: Vec<u64> = list
        .iter()
        .filter(|(_, source)| source.is_none() || *source == unit.source)
        .map(|(value, _)| *value)
        .collect();
    if ours.is_empty() {
        list.iter().map(|(value, _)| *value).collect()
    } else {
        ours
    }
}

fn check_references(
    unit: &Unit,
    found: &Match<'_>,
    all: &[Match<'_>],
    image: &Image,
    report: &mut Report,
) {
    for pair in &found.alignment.references {
        if let Err(what) = check_reference(unit, found.piece, all, image, pair) {
            report
                .wrong
                .push(format!("{} {pair:x?}: {what}", found.piece.name));
        }
    }
}

fn check_reference(
    unit: &Unit,
    piece: &Piece,
    all: &[Match<'_>],
    image: &Image,
    pair: &RefPair,
) -> Result<(), String> {
    let Target::Address(address) = pair.other else {
        return Err("not an address".into());
    };
    let Place {
        name,
        offset,
        exact,
    } = unit.place(piece, pair.target)?;
    if !exact {
        // A string or a constant: merged, so only that it lies in read-only data can be told.
        // The place may lie before it: gcc counts from `.LC7-1`.
        let start = address.wrapping_add_signed(-offset.min(0));
        let section = image.section_name(start).unwrap_or("nowhere");
        let known = section.starts_with(".rodata")
            || section.starts_with(".data")
            || section.starts_with(".bss")
            || section.starts_with(".eh_frame")
            || section.starts_with(".gcc_except_table")
            || section.starts_with(".text");
        return known.then_some(()).ok_or(format!("`{name}` in {section}"));
    }
    if let Some(function) = all
        .iter()
        .find(|found| found.piece.name == name && offset > 0)
    {
        // Into the middle of another function: `.cold` goes back.
        let counterpart = function.alignment.counterpart(offset as u64);
        let expected = counterpart.map(|offset| function.place + offset);
        let same = expected == Some(address);
        return same
            .then_some(())
            .ok_or(format!("{address:#x}, not {expected:x?}"));
    }
    let expected: Vec<u64> = candidates(unit, &name, image)
        .into_iter()
        .map(|value| value.wrapping_add_signed(offset))
        .collect();
    judge(image, pair, address, &name, &expected)
}

fn judge(
    image: &Image,
    pair: &RefPair,
    address: u64,
    name: &str,
    expected: &[u64],
) -> Result<(), String> {
    let section = image.section_name(address).unwrap_or("nowhere");
    let is_expected = |value: u64| expected.contains(&value);
    let offset_of = |value: u64| value.wrapping_sub(image.thread_pointer);
    let ok = match pair.via {
        Via::Branch => {
            is_expected(address) || is_stub(image, address) || (expected.is_empty() && address == 0)
        }
        Via::Direct => {
            is_expected(address) || is_stub(image, address) || (expected.is_empty() && address == 0)
        }
        Via::GotSlot => image.slot(address).is_some_and(|slot| {
            slot.symbol.as_deref() == Some(name)
                || is_expected(slot.addend.cast_unsigned())
                || (expected.is_empty() && slot.addend == 0)
                || slot.kind == elf::R_X86_64_IRELATIVE
                || is_stub(image, slot.addend.cast_unsigned())
        }),
        Via::TpOff if name == "_TLS_MODULE_BASE_" => true,
        Via::TpOff => expected.iter().any(|value| offset_of(*value) == address),
        Via::DtpOff => is_expected(address),
        Via::GotTpOff => image.slot(address).is_some_and(|slot| {
            slot.symbol.as_deref() == Some(name)
                || is_expected(slot.addend.cast_unsigned())
                || expected
                    .iter()
                    .any(|value| offset_of(*value) == slot.addend.cast_unsigned())
        }),
        Via::TlsGd | Via::TlsLd | Via::TlsDesc => section.starts_with(".got"),
        Via::GotRelative | Via::Size => true,
    };
    let shown = || {
        format!(
            "{address:#x} in {section}, `{name}` is {expected:x?}, slot {:x?}",
            image.slot(address)
        )
    };
    ok.then_some(()).ok_or_else(shown)
}

/// In the PLT. A function that a static program chooses at start (IFUNC) is reached through it, too; its slot holds the
/// stub's address until then.
fn is_stub(image: &Image, address: u64) -> bool {
    let section = image.section_name(address).unwrap_or_default();
    section.starts_with(".plt") || section.starts_with(".iplt")
}
