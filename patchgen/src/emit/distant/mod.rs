//! Variables that may lie out of reach.
//!
//! Code of executables reaches another file's variable by its distance from the code. Where the program used it before, it is near: the linker
//! gave the program its own copy of a library's variable (`R_X86_64_COPY`). Of one that new code is the first to use there is no copy, so
//! that the new code takes its address from a slot. An instruction that only wants the address has room for that; one that reads the variable
//! makes a detour behind the function:
//!
//! ```text
//!     48 8d 35 ........   lea rsi, [rip + typeinfo]   ->           48 8b 35 ........   mov rsi, [rip + slot]
//!
//!     48 8b 3d ........   mov rdi, [rip + stderr]     ->           e9 ........ 66 90   jmp detour
//!                                                          detour: 48 8b 3d ........   mov rdi, [rip + slot]
//!                                                                  48 8b 3f            mov rdi, [rdi]
//!                                                                  e9 ........         jmp back
//! ```
//!
//! Whoever unwinds from a detour finds what holds at the instruction ([`frame`]); its line is that of the instruction.

mod frame;
mod instruction;

use super::{Patch, shorts};
use crate::object::{Atom, AtomId, AtomKind, Frame, Link};
use crate::program::{NewAtom, Unit};
use instruction::Form;
use livepatch_bundle::RelocKind;
use std::collections::BTreeMap;

/// Bytes of a field: distances count from its end.
pub(super) const FIELD: i64 = 4;

/// A function of new code whose variables are reached through slots.
pub(super) struct Distant {
    /// Its code, the detours at the end.
    pub(super) code: Vec<u8>,
    /// Offsets of the fields that lead to slots instead of variables, by the index of the link.
    pub(super) fields: BTreeMap<usize, u64>,
    /// Its unwind record, if that had to change.
    pub(super) fde: Option<Vec<u8>>,
    /// The detours, in the order of their places.
    pub(super) detours: Vec<Detour>,
}

/// A way around an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detour {
    /// Offset of the instruction.
    pub(super) site: u64,
    /// Offset of the detour.
    pub(super) start: u64,
}

/// All functions that travel and are the first to use variables.
pub(super) fn all(patch: &Patch<'_, '_>) -> BTreeMap<NewAtom, Distant> {
    let carried = patch.closure.carried.iter();
    carried
        .filter_map(|new| Some((*new, of(&patch.program.units[new.unit], new.atom)?)))
        .collect()
}

/// A function that is the first to use variables; `None` for all others.
fn of(unit: &Unit<'_>, id: AtomId) -> Option<Distant> {
    let object = &unit.pair.new;
    let atom = object.atom(id);
    if !atom.kind.is_code() || object.is_kernel {
        return None;
    }
    let used = atom.links.iter().enumerate();
    let mut used = used.filter(|(_, link)| is_first_use(unit, link)).peekable();
    used.peek()?;
    let mut made = Distant {
        code: shorts::code(atom).unwrap_or_else(|_| atom.bytes.to_vec()),
        fields: BTreeMap::new(),
        fde: None,
        detours: Vec::new(),
    };
    let mut detours = Vec::new();
    for (index, link) in used {
        match instruction::form(atom, link) {
            Some(Form::Address) => {
                instruction::load_from_slot(&mut made.code, link);
                made.fields.insert(index, link.offset());
            }
            // What jumps too short for a relocation need stands behind the function already.
            Some(form) if atom.shorts().is_empty() => detours.push((index, link, form)),
            _ => {}
        }
    }
    add_detours(&mut made, object.frame(id).as_ref(), &detours);
    (!made.fields.is_empty()).then_some(made)
}

/// Leaves all instructions as they are if the unwind information cannot be told for one of them.
fn add_detours(made: &mut Distant, frame: Option<&Frame<'_, '_>>, wanted: &[(usize, &Link, Form)]) {
    let mut code = made.code.clone();
    let (mut detours, mut fields) = (Vec::new(), Vec::new());
    for (index, link, form) in wanted {
        let site = link.site_start();
        let start = code.len() as u64;
        let Some(field) = instruction::detour(&mut code, link, *form) else {
            return;
        };
        detours.push(Detour { site, start });
        fields.push((*index, field));
    }
    if detours.is_empty() {
        return;
    }
    if let Some(frame) = frame {
        let Some(fde) = frame::extended(frame, &detours, code.len() as u64) else {
            return;
        };
        made.fde = Some(fde);
    }
    made.code = code;
    made.detours = detours;
    made.fields.extend(fields);
}

/// Whether a field leads to another file's variable, or function, that no old code of the object leads to.
fn is_first_use(unit: &Unit<'_>, link: &Link) -> bool {
    let target: &Atom<'_> = unit.pair.new.atom(link.target);
    link.kind == RelocKind::Pc32
        && target.kind == AtomKind::Undefined
        && !target.hidden
        && unit.correlation.old_of(link.target).is_none()
}
