//! Names of source files in strings (`__FILE__`): where the tree was built is no part of the program.

use crate::object::{Atom, AtomKind, Object};

/// Whether both strings name the same source file of their object in other directories.
pub(super) fn is_same_source(
    (old, a): (&Object<'_>, &Atom<'_>),
    (new, b): (&Object<'_>, &Atom<'_>),
) -> bool {
    let (Some(one), Some(other)) = (file_name(a), file_name(b)) else {
        return false;
    };
    one == other && is_source(old, one) && is_source(new, other)
}

fn file_name<'d>(atom: &Atom<'d>) -> Option<&'d str> {
    let text = atom
        .bytes
        .strip_suffix(b"\0")
        .filter(|_| atom.kind == AtomKind::String)?;
    let text = std::str::from_utf8(text).ok()?;
    text.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Whether the object was compiled from a file of this name: its symbol table or line table says so.
fn is_source(object: &Object<'_>, name: &str) -> bool {
    let named = object.symbols.iter().any(|symbol| {
        symbol.kind == object::elf::STT_FILE && symbol.name.rsplit('/').next() == Some(name)
    });
    named
        || object.sections.iter().any(|section| {
            let files = matches!(section.name, ".debug_line_str" | ".debug_line");
            let ends = |text: &[u8]| {
                text.strip_suffix(name.as_bytes())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
            };
            files && section.data.split(|byte| *byte == 0).any(ends)
        })
}
