//! Exception tables (`.gcc_except_table`): what a function catches and cleans up, and where (Itanium C++ ABI, "Exception
//! Handling", and gcc's `unwind-pe.h`).
//!
//! ```text
//! 0  encoding of the landing pads' base: 0xff, the function's start
//! 1  encoding of the types: 0xff for none; then ULEB128: distance from here to the end of the types
//!    encoding of the call sites, ULEB128 their length, call sites
//!    actions
//!    types, which end the table
//! ```
//!
//! Types are pointers to type information, either through a slot of the compiler's (`DW.ref.NAME`) or, in programs with fixed
//! addresses, themselves. In a patch all go through slots: a slot reaches what 32 bits do not.

use super::link::Resolver;
use super::raw::{Place, Section};
use super::{Atom, AtomId, AtomKind, Link};
use livepatch_bundle::RelocKind;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// `DW_EH_PE_omit`.
const OMIT: u8 = 0xff;
/// `DW_EH_PE_udata4`: the address itself.
pub(super) const DIRECT: u8 = 0x03;
/// `DW_EH_PE_indirect | DW_EH_PE_pcrel | DW_EH_PE_sdata4`: through a slot.
pub const THROUGH_SLOT: u8 = 0x9b;
/// Where the encoding of the types is.
const TYPES: usize = 1;

/// Whether the section holds exception tables.
pub(super) fn is_table(section: &Section<'_>) -> bool {
    let rest = section.name.strip_prefix(".gcc_except_table");
    section.is_loaded() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where tables begin, by section: where unwind records lead.
pub(super) fn starts(resolver: &Resolver<'_, '_>) -> HashMap<usize, BTreeSet<u64>> {
    let sections = &resolver.tables.sections;
    let mut starts: HashMap<usize, BTreeSet<u64>> = HashMap::new();
    let unwind = sections.iter().enumerate().filter(|(_, s)| s.is_unwind());
    for (from, section) in unwind {
        for index in 0..section.relocations.len() {
            let lead = resolver.lead(from, index);
            if let Some((Place::Section(to), offset)) = lead.map(|lead| (lead.place, lead.offset))
                && let Ok(offset) = u64::try_from(offset)
                && is_table(&sections[to])
            {
                starts.entry(to).or_default().insert(offset);
            }
        }
    }
    starts
}

/// The length of the table that begins with `bytes`; `None` when it is not understood.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let types = *bytes.get(TYPES)?;
    if bytes[0] != OMIT || !matches!(types, OMIT | DIRECT | THROUGH_SLOT) {
        return None;
    }
    let mut at = TYPES + 1;
    let mut end_of_types = None;
    if types != OMIT {
        let distance = number(bytes, &mut at)?;
        end_of_types = Some(at.checked_add(distance)?);
    }
    at += 1;
    let call_sites = number(bytes, &mut at)?;
    let end_of_calls = at.checked_add(call_sites)?;
    let end = end_of_types.unwrap_or(end_of_calls);
    (end_of_calls <= end && end <= bytes.len()).then_some(end)
}

/// An unsigned LEB128 number (DWARF 5, 7.6), and moves `at` behind it.
fn number(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let (mut value, mut shift) = (0_usize, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if shift > 28 {
            return None;
        }
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

/// Lets the types of every table lead through slots to the type information itself.
pub(super) fn through_slots(atoms: &mut [Atom<'_>]) {
    for slots in own_slots(atoms) {
        // Nobody but the tables knows them, so they are no variables.
        atoms[slots.0 as usize].kind = AtomKind::Literal;
    }
    for index in 0..atoms.len() {
        if atoms[index].kind != AtomKind::ExceptionTable {
            continue;
        }
        let types = atoms[index].bytes.get(TYPES).copied();
        let links: Option<Vec<Link>> = atoms[index]
            .links
            .iter()
            .map(|link| through_slot(atoms, link, types))
            .collect();
        match links {
            Some(links) => atoms[index].links = links.into(),
            None => {
                let flaw = "its exception table refers to types in a way that is not understood";
                atoms[index].rare().flaws.push(flaw.into());
            }
        }
    }
}

/// Nameless variables that only exception tables lead to, and that hold nothing but addresses: clang makes the slots of types that are
/// not seen outside so.
fn own_slots(atoms: &[Atom<'_>]) -> BTreeSet<AtomId> {
    let is_table = |atom: &&Atom<'_>| atom.kind == AtomKind::ExceptionTable;
    let targets = |atom: &Atom<'_>| -> Vec<AtomId> {
        let links = atom.references();
        links.map(|link| link.target).collect()
    };
    let tables = atoms.iter().filter(is_table).flat_map(targets);
    let mut found: BTreeSet<AtomId> = tables
        .filter(|id| {
            let atom = &atoms[id.0 as usize];
            let pointers = atom.links.len() as u64 * 8 == atom.size;
            atom.kind == AtomKind::Data && atom.name.is_empty() && pointers
        })
        .collect();
    if !found.is_empty() {
        let others = atoms.iter().filter(|atom| !is_table(atom));
        for target in others.flat_map(targets) {
            found.remove(&target);
        }
    }
    found
}

fn through_slot(atoms: &[Atom<'_>], link: &Link, types: Option<u8>) -> Option<Link> {
    let target = match (types?, link.kind) {
        (THROUGH_SLOT, RelocKind::Pc32) => slot_content(atoms, link.target, link.at())?,
        (DIRECT, RelocKind::Abs32 | RelocKind::Abs32S) if link.at() == 0 => link.target,
        _ => return None,
    };
    Some(link.through_slot(target))
}

/// What the slot at this place holds the address of: `DW.ref.NAME`, or a nameless one for types that are not seen outside.
pub(super) fn slot_content(atoms: &[Atom<'_>], slot: AtomId, at: i64) -> Option<AtomId> {
    let atom = &atoms[slot.0 as usize];
    let at = u64::try_from(at).ok()?;
    let content = atom.links.iter().find(|link| link.offset() == at)?;
    let plain = content.kind == RelocKind::Abs64 && content.at() == 0;
    let made_up = atom.name.is_empty() || atom.name.starts_with("DW.ref.");
    (made_up && plain).then_some(content.target)
}

/// The contents of a table for a patch.
#[must_use]
pub fn contents<'d>(atom: &Atom<'d>) -> Cow<'d, [u8]> {
    if atom.bytes.get(TYPES) != Some(&DIRECT) {
        return Cow::Borrowed(atom.bytes);
    }
    let mut bytes = atom.bytes.to_vec();
    bytes[TYPES] = THROUGH_SLOT;
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_end_with_their_types_or_their_call_sites() {
        let cleanups = [0xff, 0xff, 1, 4, 5, 5, 20, 0, 0, 0];
        assert_eq!(length(&cleanups), Some(8));
        // One call site with action 1, the action, padding, one type.
        let catches = [0xff, 0x9b, 13, 1, 4, 5, 5, 20, 1, 1, 0, 0, 0, 0, 0, 0, 9, 9];
        assert_eq!(length(&catches), Some(16));
        for end in 0..16 {
            assert_eq!(length(&catches[..end]), None, "{end}");
        }
        assert_eq!(length(&[0x1b, 0xff, 1, 0]), None);
        assert_eq!(length(&[0xff, 0x00, 1, 0]), None);
        assert_eq!(
            length(&[0xff, 0xff, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
            None
        );
    }
}
