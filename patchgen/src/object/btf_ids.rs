//! `.BTF_ids`: lists of types and functions by their numbers in BTF, which the kernel's build fills in (`include/linux/btf_ids.h`).
//!
//! ```text
//! list:                              a name without size
//! __BTF_ID__set__list:               in sets: the number of entries
//! __BTF_ID__struct__sk_buff__1234:   an entry: four zero bytes, in some sets four of flags behind; the number at the end of
//!                                    the name depends on the line
//! ```
//!
//! A list becomes one variable with its whole size, and an entry a reference to what it stands for, so that lists are the same
//! when they name the same. What travels refers to the lists of the running kernel.

use super::order::Order;
use super::raw::{Place, Symbol, Tables};
use super::{Atom, AtomId, Link};
use livepatch_bundle::RelocKind;
use object::elf;

/// The section.
pub const SECTION: &str = ".BTF_ids";
/// How the names of entries begin.
const ENTRY: &str = "__BTF_ID__";
/// How the names of what counts them begin.
const COUNTS: [&str; 2] = ["__BTF_ID__set__", "__BTF_ID__set8__"];

/// An entry of a list.
pub(super) struct Entry<'d> {
    section: usize,
    offset: u64,
    /// What it stands for: its name without the number.
    pub name: &'d str,
}

/// Makes variables of lists; returns their entries.
pub(super) fn take<'d>(tables: &mut Tables<'d>) -> Vec<Entry<'d>> {
    let mut entries = Vec::new();
    for section in 0..tables.sections.len() {
        if tables.sections[section].name == SECTION {
            lists(tables, section);
            entries.extend(entries_of(tables, section));
        }
    }
    entries
}

fn of_section<'d>(tables: &Tables<'d>, section: usize) -> Vec<(usize, Symbol<'d>)> {
    let symbols = tables.symbols.iter().enumerate();
    let own = symbols.filter(|(_, symbol)| {
        symbol.place == Place::Section(section) && symbol.kind != elf::STT_SECTION
    });
    own.collect()
}

fn lists(tables: &mut Tables<'_>, section: usize) {
    let mut lists = of_section(tables, section);
    lists.retain(|(_, symbol)| !symbol.name.starts_with(ENTRY));
    let mut starts: Vec<u64> = lists.iter().map(|(_, symbol)| symbol.value).collect();
    starts.push(tables.sections[section].size);
    starts.sort_unstable();
    for (index, symbol) in lists {
        let end = starts.get(starts.partition_point(|start| *start <= symbol.value));
        let size = end.map_or(0, |end| end - symbol.value);
        tables.symbols.retype(index, elf::STT_OBJECT, size);
    }
}

fn entries_of<'d>(tables: &mut Tables<'d>, section: usize) -> Vec<Entry<'d>> {
    let mut entries = Vec::new();
    for (index, symbol) in of_section(tables, section) {
        if !symbol.name.starts_with(ENTRY) {
            continue;
        }
        tables.symbols.retype(index, elf::STT_SECTION, symbol.size);
        if !COUNTS.iter().any(|start| symbol.name.starts_with(start)) {
            entries.push(Entry {
                section,
                offset: symbol.value,
                name: symbol.name.trim_end_matches(|c: char| c.is_ascii_digit()),
            });
        }
    }
    entries.sort_unstable_by_key(|entry| (entry.offset, entry.name));
    entries
}

/// Has lists refer to what their entries stand for.
pub(super) fn link(atoms: &mut [Atom<'_>], order: &Order, entries: &[(Entry<'_>, AtomId)]) {
    for (entry, target) in entries {
        let place = entry.offset.cast_signed();
        let Some(AtomId(list)) = order.find(atoms, entry.section, place) else {
            continue;
        };
        let list = &mut atoms[list as usize];
        let offset = entry.offset.checked_sub(list.start);
        let offset = offset.filter(|offset| list.size.checked_sub(*offset) >= Some(4));
        if let Some(link) = offset.and_then(|at| Link::new(at, RelocKind::Abs32, *target, 0)) {
            let links = list.links.iter().copied().chain([link]);
            list.links = links.collect();
        }
    }
}
