//! Vtables of Rust by what they are for: `<Square as Shape>::{vtable}`.
//!
//! Their symbols say nothing (`.Lanon.HASH.7`), and equal ones of several types are one. rustc describes each as a variable
//! whose type has its own name.

use super::attributes::{Attributes, Section};
use super::sections::Sections;
use crate::object::debug::SECTION_SHIFT;
use crate::object::{AtomId, Object};
use gimli::{AttributeValue, DebugInfo, EndianSlice, LittleEndian, constants as dw};
use std::collections::{BTreeMap, BTreeSet};

/// What the names of vtables end in.
const MARK: &str = "::{vtable}";

/// `DW_OP_addr` and the address.
const LOCATION: usize = 9;

/// The vtables that an object describes; what is missing or malformed is left out.
pub(crate) fn vtables(object: &Object<'_>) -> BTreeMap<String, BTreeSet<AtomId>> {
    let mut found = BTreeMap::new();
    if let Ok(sections) = Sections::of(object) {
        // Vtables up to the first malformed unit are as good as any.
        let _ = read(object, &sections, &mut found);
    }
    found
}

fn read(
    object: &Object<'_>,
    sections: &Sections<'_>,
    found: &mut BTreeMap<String, BTreeSet<AtomId>>,
) -> Result<(), gimli::Error> {
    for (number, (name, data)) in sections.units().enumerate() {
        if name != ".debug_info" {
            continue;
        }
        let mut dwarf = sections.shared();
        dwarf.debug_info = DebugInfo::new(data, LittleEndian);
        let section = Section { number, dwarf };
        let mut units = section.dwarf.units();
        while let Some(header) = units.next()? {
            let unit = section.dwarf.unit(header)?;
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() != dw::DW_TAG_variable {
                    continue;
                }
                let attributes = Attributes {
                    section: &section,
                    unit: &unit,
                    entry,
                };
                let location = entry.attr_value(dw::DW_AT_location);
                let name = attributes.name().filter(|name| name.ends_with(MARK));
                if let (Some(name), Some(atom)) = (name, place(object, location)) {
                    found.entry(name).or_default().insert(atom);
                }
            }
        }
    }
    Ok(())
}

/// The atom at the address that a location gives.
fn place(
    object: &Object<'_>,
    location: Option<AttributeValue<EndianSlice<'_, LittleEndian>>>,
) -> Option<AtomId> {
    let Some(AttributeValue::Exprloc(expression)) = location else {
        return None;
    };
    let bytes = expression.0.slice();
    let plain = bytes.len() == LOCATION && bytes.first() == Some(&dw::DW_OP_addr.0);
    let address = u64::from_le_bytes(bytes.get(1..)?.try_into().ok().filter(|_| plain)?);
    let section = usize::try_from(address >> SECTION_SHIFT).ok()?;
    let offset = address & ((1 << SECTION_SHIFT) - 1);
    object.starting_at(section, offset)
}
