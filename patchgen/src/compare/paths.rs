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
        names.retain(|name| is_file_name(name));
        Self(names)
    }
}

/// Whether it is a name with an ending, as `parse.c`: `..` may stand in a line table, too.
fn is_file_name(name: &[u8]) -> bool {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    dot.is_some_and(|dot| {
        let ending = &name[dot + 1..];
        dot > 0 && !ending.is_empty() && ending.iter().all(u8::is_ascii_alphanumeric)
    })
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

/// Whether both strings differ only in the line behind the name of a source file of their object (`at net/core/dev.c:10204`).
pub(super) fn is_same_but_line(
    (old, a): (&Sources<'_>, &Atom<'_>),
    (new, b): (&Sources<'_>, &Atom<'_>),
) -> bool {
    if a.kind != AtomKind::String || b.kind != AtomKind::String {
        return false;
    }
    match (without_line(old, a.bytes), without_line(new, b.bytes)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// What is before and behind the first line number of a source file.
fn without_line<'d>(sources: &Sources<'_>, text: &'d [u8]) -> Option<(&'d [u8], &'d [u8])> {
    let colons = memchr::memchr_iter(b':', text);
    let places = colons.map(|colon| (&text[..colon], &text[colon + 1..]));
    let mut lines = places.filter_map(|(before, behind)| {
        let digits = behind
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let name = before.rsplit(|byte| *byte == b' ').next()?;
        let known = digits > 0 && sources.0.contains(base(name));
        known.then(|| (before, &behind[digits..]))
    });
    lines.next()
}

fn file_name<'d>(atom: &Atom<'d>) -> Option<&'d [u8]> {
    let text = atom.bytes.strip_suffix(b"\0")?;
    (atom.kind == AtomKind::String).then(|| base(text))
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::is_file_name;

    #[test]
    fn names_have_an_ending() {
        for name in ["parse.c", "a.b.cc", "lib.rs"] {
            assert!(is_file_name(name.as_bytes()), "{name}");
        }
        for other in ["..", ".", ".c", "parse", "parse.", "a.b c"] {
            assert!(!is_file_name(other.as_bytes()), "{other}");
        }
    }
}
