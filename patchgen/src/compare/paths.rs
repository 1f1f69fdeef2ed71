//! Names of source files in strings (`__FILE__`): where the tree was built is no part of the program.

use crate::object::{Atom, AtomKind, Object};
use std::collections::HashSet;

/// The names of the files that an object was compiled from, without directories: what its symbol table and its line table
/// say.
#[derive(Debug)]
pub(super) struct Sources<'d>(HashSet<&'d [u8]>);

impl<'d> Sources<'d> {
    pub(super) fn of(object: &Object<'d>) -> Self {
        let files = object.sources.iter();
        let mut names: HashSet<&[u8]> = files.map(|file| base(file.as_bytes())).collect();
        for section in &object.sections {
            if matches!(section.name, ".debug_line_str" | ".debug_line") {
                names.extend(section.data.split(|byte| *byte == 0).map(base));
            }
        }
        // The line table holds more than names.
        names.retain(|name| name.contains(&b'.'));
        Self(names)
    }
}

/// Whether both strings name the same source file of their object in other directories.
pub(super) fn is_same_source(
    (old, a): (&Sources<'_>, &Atom<'_>),
    (new, b): (&Sources<'_>, &Atom<'_>),
) -> bool {
    let (Some(one), Some(other)) = (file_name(a), file_name(b)) else {
        return false;
    };
    one == other && old.0.contains(one) && new.0.contains(other)
}

fn file_name<'d>(atom: &Atom<'d>) -> Option<&'d [u8]> {
    let text = atom.bytes.strip_suffix(b"\0")?;
    (atom.kind == AtomKind::String).then(|| base(text))
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
