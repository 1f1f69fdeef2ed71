//! The debug sections of an object, ready for gimli.

use super::attributes::Dwarf;
use super::read::TypesError;
use crate::object::{Object, debug};
use gimli::{DebugAbbrev, EndianSlice, LittleEndian};
use std::borrow::Cow;

/// The debug sections that types need.
pub(super) struct Sections<'d>(Vec<(&'d str, Cow<'d, [u8]>)>);

impl<'d> Sections<'d> {
    pub(super) fn of(object: &Object<'d>) -> Result<Self, TypesError> {
        const NEEDED: [&str; 8] = [
            ".debug_info",
            ".debug_types",
            ".debug_abbrev",
            ".debug_str",
            ".debug_line",
            ".debug_line_str",
            ".debug_str_offsets",
            ".debug_addr",
        ];
        let mut found = Vec::new();
        // Type units are in groups, and no entry refers to them by offset.
        let grouped =
            |section: &&crate::object::raw::Section<'_>| section.has(object::elf::SHF_GROUP);
        let (groups, plain): (Vec<_>, Vec<_>) = object.sections.iter().partition(grouped);
        for section in plain.into_iter().chain(groups) {
            if NEEDED.contains(&section.name) {
                let data = debug::contents(object, section)
                    .ok_or_else(|| TypesError::Compressed(section.name.to_owned()))?;
                found.push((section.name, data));
            }
        }
        Ok(Self(found))
    }

    /// The sections with units, the one of the compilation unit first.
    pub(super) fn units(&self) -> impl Iterator<Item = (&'d str, &[u8])> {
        let all = self.0.iter().map(|(name, data)| (*name, &data[..]));
        all.filter(|(name, _)| matches!(*name, ".debug_info" | ".debug_types"))
    }

    pub(super) fn shared(&self) -> Dwarf<'_> {
        let data = |name: &str| {
            let found = self.0.iter().find(|(other, _)| *other == name);
            found.map_or(&[][..], |(_, data)| &data[..])
        };
        let slice = |name: &str| EndianSlice::new(data(name), LittleEndian);
        Dwarf {
            debug_abbrev: DebugAbbrev::new(data(".debug_abbrev"), LittleEndian),
            debug_str: slice(".debug_str").into(),
            debug_line: gimli::DebugLine::new(data(".debug_line"), LittleEndian),
            debug_line_str: slice(".debug_line_str").into(),
            debug_str_offsets: slice(".debug_str_offsets").into(),
            debug_addr: slice(".debug_addr").into(),
            ..Dwarf::default()
        }
    }
}
