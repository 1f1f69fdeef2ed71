//! What code leads to, as far as that tells what it does.

use crate::object::Atom;

/// What a field leads to: a name, or contents. Of constants with pointers only that they are such: places in the source,
/// which panics tell, have line numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal<'d> {
    Name(&'d str),
    Bytes(&'d [u8]),
    Pointers,
}

pub(super) fn goal<'d>(atom: &Atom<'d>) -> Goal<'d> {
    match atom.name {
        _ if atom.is_private() && !atom.links.is_empty() => Goal::Pointers,
        _ if atom.is_private() => Goal::Bytes(atom.bytes),
        name => Goal::Name(name),
    }
}
