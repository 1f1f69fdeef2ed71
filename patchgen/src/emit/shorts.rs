//! Jumps to other functions that are too short for a relocation.
//!
//! Without function sections the assembler reaches a neighbour with two bytes. In the bundle it may be anywhere, so the jump
//! goes to a longer one behind the function:
//!
//! ```text
//!     eb 1e             jmp  +0x1e               eb NN             jmp  stub
//!     ...                                 ->     ...
//!                                         stub:  e9 00 00 00 00    jmp  neighbour
//! ```

use crate::object::{Atom, Link};

/// A near jump, its distance left to a relocation.
const STUB: [u8; 5] = [0xe9, 0, 0, 0, 0];
/// Offset of the distance in it.
const DISTANCE: u64 = 1;

/// The atom's code with a stub for each of its short jumps.
///
/// # Errors
/// The offset of a jump that does not reach its stub.
pub fn code(atom: &Atom<'_>) -> Result<Vec<u8>, u64> {
    let mut bytes = atom.bytes.to_vec();
    for short in atom.shorts() {
        let distance = bytes.len() as u64 - short.site.end(short.offset());
        let field = usize::try_from(short.offset())
            .ok()
            .and_then(|at| bytes.get_mut(at));
        let (Ok(distance), Some(field)) = (i8::try_from(distance), field) else {
            return Err(short.site_start());
        };
        *field = distance.cast_unsigned();
        bytes.extend_from_slice(&STUB);
    }
    Ok(bytes)
}

/// The field to relocate in the stub of the `index`-th short jump: its offset in the code, and the addend.
#[must_use]
pub fn field(atom: &Atom<'_>, index: usize, short: &Link) -> (u64, i64) {
    let stub = atom.bytes.len() as u64 + (index * STUB.len()) as u64;
    let field = STUB.len() as u64 - DISTANCE;
    (stub + DISTANCE, short.at() - field.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{AtomId, AtomKind, Role, Site};
    use livepatch_bundle::RelocKind;

    fn short(at: u64) -> Link {
        let site = Site {
            before: 1,
            after: 1,
            role: Role::Jump,
            size: 0,
        };
        let mut link = Link::new(at + 1, RelocKind::Pc32, AtomId(1), 0).expect("near");
        link.site = site;
        link
    }

    #[test]
    fn each_short_jump_gets_a_stub() {
        // 00: 74 10 je +0x10; 02: eb 20 jmp +0x20
        let mut atom = Atom::new(AtomKind::Function, 1, 0..4, &[0x74, 0x10, 0xeb, 0x20]);
        atom.rare().shorts = vec![short(0), short(2)];
        let code = code(&atom).expect("in reach");
        assert_eq!(code, [0x74, 2, 0xeb, 5, 0xe9, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0]);
        assert_eq!(field(&atom, 1, &atom.shorts()[1]), (10, -4));
    }

    #[test]
    fn a_jump_that_does_not_reach_its_stub_is_told() {
        let mut bytes = vec![0x90; 200];
        bytes[0] = 0xeb;
        let mut atom = Atom::new(AtomKind::Function, 1, 0..200, &bytes);
        atom.rare().shorts = vec![short(0)];
        assert_eq!(code(&atom), Err(0));
    }
}
