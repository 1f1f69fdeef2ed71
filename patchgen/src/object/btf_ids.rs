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

use super::raw::{Place, Relocation, SourceId, Symbol, Tables};
use object::elf;

/// The section.
pub const SECTION: &str = ".BTF_ids";
/// How the names of entries begin.
const ENTRY: &str = "__BTF_ID__";
/// How the names of what counts them begin.
const COUNTS: [&str; 2] = ["__BTF_ID__set__", "__BTF_ID__set8__"];

/// Makes variables of lists, and references of their entries.
pub(super) fn take(tables: &mut Tables<'_>) {
    for section in 0..tables.sections.len() {
        if tables.sections[section].name == SECTION {
            lists(tables, section);
            entries(tables, section);
        }
    }
}

fn lists(tables: &mut Tables<'_>, section: usize) {
    let is_list = |symbol: &Symbol<'_>| {
        let own = symbol.place == Place::Section(section) && symbol.kind != elf::STT_SECTION;
        own && !symbol.name.starts_with(ENTRY)
    };
    let lists = tables.symbols.iter().filter(|symbol| is_list(symbol));
    let mut starts: Vec<u64> = lists.map(|symbol| symbol.value).collect();
    starts.push(tables.sections[section].size);
    starts.sort_unstable();
    for symbol in tables.symbols.iter_mut().filter(|symbol| is_list(symbol)) {
        let end = starts.get(starts.partition_point(|start| *start <= symbol.value));
        symbol.size = end.map_or(0, |end| end - symbol.value);
        symbol.kind = elf::STT_OBJECT;
    }
}

fn entries(tables: &mut Tables<'_>, section: usize) {
    let mut meant = Vec::new();
    for symbol in &mut tables.symbols {
        if symbol.place != Place::Section(section) || !symbol.name.starts_with(ENTRY) {
            continue;
        }
        symbol.kind = elf::STT_SECTION;
        let whole = symbol.value.checked_add(4);
        let inside = whole.is_some_and(|end| end <= tables.sections[section].size);
        if inside && !COUNTS.iter().any(|start| symbol.name.starts_with(start)) {
            let name = symbol.name.trim_end_matches(|c: char| c.is_ascii_digit());
            meant.push((symbol.value, name));
        }
    }
    meant.sort_unstable();
    for (offset, name) in meant {
        let Ok(symbol) = u32::try_from(tables.symbols.len()) else {
            return;
        };
        tables.symbols.push(Symbol {
            name,
            kind: elf::STT_NOTYPE,
            bind: elf::STB_GLOBAL,
            place: Place::Undefined,
            value: 0,
            size: 0,
            source: SourceId::NONE,
        });
        tables.sections[section].relocations.push(Relocation {
            offset,
            number: elf::R_X86_64_32.0,
            symbol,
            addend: 0,
        });
    }
}
