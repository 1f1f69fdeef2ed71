//! An atom's code as `livepatch-match` takes it.

use super::{Atom, AtomId};
use livepatch_match::{Code, Field};

/// The fields of the code of atom `id` that lead to other atoms, the assembler's own among them; symbols are atoms by number.
#[must_use]
pub fn fields(atom: &Atom<'_>, id: AtomId) -> Vec<Field> {
    let mut fields: Vec<Field> = atom
        .references()
        .map(|link| Field {
            offset: link.offset(),
            kind: link.kind,
            symbol: link.target.0,
            addend: link.addend(),
            inside: link.target == id,
        })
        .collect();
    fields.sort_by_key(|field| field.offset);
    fields
}

/// Code of an object file with its relocated fields.
#[must_use]
pub fn code<'a>(bytes: &'a [u8], fields: &'a [Field]) -> Code<'a> {
    Code {
        bytes,
        base: 0,
        fields: Some(fields),
    }
}
