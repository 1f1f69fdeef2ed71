//! Pairing the instructions of two functions.

mod rewritten;

use crate::{
    Alignment, Code, Mismatch, RefPair, Target, Via,
    compare::{self, Decoded, Found},
    insn::{self, Cursor, Insn},
    padding, reference,
    targets::{Pair, Places},
    text,
};
use livepatch_bundle::Class;

/// Pairs the instructions of two pieces of code, or tells the first difference.
///
/// `left` is an object file's code and its whole length is compared. `right` is another object file's code (whole length,
/// too), or linked code (`fields` is `None`), which may be given with bytes after the end of the function:
/// the comparison ends when `left` does, and [`Alignment::lengths`] tells how far `right` went.
///
/// The same means: the same instruction bytes, except for references, for the width of a jump's distance, for padding, and for
/// what a linker rewrites. No-operations at the entry (`-fpatchable-function-entry`, `-mnop-mcount`) are not padding.
///
/// # Errors
/// The first difference in the order of `left`'s instructions; differing targets inside the function come last.
pub fn align(left: &Code<'_>, right: &Code<'_>) -> Result<Alignment, Mismatch> {
    let mut walk = Walk::new(left, right)?;
    while walk.step()? {}
    walk.finish()
}

struct Walk<'a> {
    left: Cursor<'a>,
    right: Cursor<'a>,
    places: Places,
    found: Vec<Found>,
    /// An instruction has been paired that is not part of a patchable entry.
    entered: bool,
    /// What the pieces' local-dynamic sequences showed: whether distances count from the thread pointer.
    from_thread_pointer: Option<bool>,
}

impl<'a> Walk<'a> {
    fn new(left: &Code<'a>, right: &Code<'a>) -> Result<Self, Mismatch> {
        Ok(Self {
            left: Cursor::new(left)?,
            right: Cursor::new(right)?,
            places: Places {
                pairs: Vec::with_capacity(left.bytes.len() / 4),
                padding: (Vec::new(), Vec::new()),
                lengths: (0, 0),
                base: right.fields.is_none().then_some(right.base),
            },
            found: Vec::new(),
            entered: false,
            from_thread_pointer: None,
        })
    }

    /// Compares what stands at both cursors and moves them; `false` at the end.
    fn step(&mut self) -> Result<bool, Mismatch> {
        if self.left.is_done() {
            return self.step_at_end();
        }
        let at = self.left.at as u64;
        let left = (self.left.decode()).ok_or(Mismatch::Undecodable { at })?;
        if self.is_repeated(&left) {
            self.entered |= !left.is_endbr();
            let right = Insn {
                at: self.right.at,
                ..left
            };
            self.take(&left, &right, [None, None]);
            return Ok(true);
        }
        let right = self.right.decode();
        let nops = left.is_nop() || right.is_some_and(|insn| insn.is_nop());
        let stepped = nops && (self.relaxed(left)? || self.skip_padding());
        if !stepped {
            self.compare(left, right)?;
        }
        Ok(true)
    }

    /// The most frequent case, which needs no second decoding: the same bytes, and nothing in them means a place.
    fn is_repeated(&self, left: &Insn<'_>) -> bool {
        let len = left.bytes.len();
        left.fields.is_empty()
            && !left.raw.is_ip_rel_memory_operand()
            && !reference::is_direct_branch(left)
            && !left.is_nop()
            && self.right.window(len) == Some(left.bytes)
            && self.right.fields_in(self.right.at, len).is_empty()
    }

    /// Only padding may be left in the second piece.
    fn step_at_end(&mut self) -> Result<bool, Mismatch> {
        if self.right.is_linked() || self.right.is_done() {
            return Ok(false);
        }
        let at = self.left.at as u64;
        (self.skip_padding().then_some(true)).ok_or(Mismatch::Length { at })
    }

    fn skip_padding(&mut self) -> bool {
        self.entered && padding::skip(&mut self.left, &mut self.right, &mut self.places).is_some()
    }

    fn compare(&mut self, left: Insn<'a>, right: Option<Insn<'a>>) -> Result<(), Mismatch> {
        let left = decoded(left, &self.left)?;
        if let Some(right) = right {
            let right = decoded(right, &self.right)?;
            if let Some(found) = compare::same_instruction(&left, &right) {
                self.entered |= !left.insn.is_nop() && !left.insn.is_endbr();
                self.note_block(&left);
                self.take(&left.insn, &right.insn, found);
                return Ok(());
            }
        }
        if self.relax(&left)? {
            return Ok(());
        }
        if self.right.is_done() {
            let at = self.right.at as u64;
            return Err(Mismatch::Length { at });
        }
        Err(Mismatch::Instruction {
            at: left.insn.at as u64,
            at_other: self.right.at as u64,
            left: text::describe(&left.insn.raw),
            right: right.map_or_else(|| "(bad)".into(), |insn| text::describe(&insn.raw)),
        })
    }

    fn take(&mut self, left: &Insn<'_>, right: &Insn<'_>, found: [Option<Found>; 2]) {
        let prefixes = left.bytes.iter().zip(right.bytes);
        let pair = Pair {
            at: (left.at, right.at),
            len: (left.bytes.len(), right.bytes.len()),
            prefixes: prefixes
                .take_while(|(l, r)| l == r && insn::is_prefix(**l))
                .count(),
        };
        self.push(pair, found);
    }

    fn push(&mut self, pair: Pair, found: [Option<Found>; 2]) {
        self.left.advance(pair.at.0 + pair.len.0);
        self.right.advance(pair.at.1 + pair.len.1);
        self.places.pairs.push(pair);
        self.found.extend(found.into_iter().flatten());
    }

    /// A local-dynamic sequence that was not rewritten: distances count from the module's block.
    fn note_block(&mut self, left: &Decoded<'_>) {
        let class = left.references[0].map(|reference| reference.class);
        if class == Some(Class::TlsLd) && self.right.is_linked() {
            self.from_thread_pointer = Some(false);
        }
    }

    fn finish(mut self) -> Result<Alignment, Mismatch> {
        self.places.lengths = (self.left.at as u64, self.right.at as u64);
        let places = &self.places;
        let mut references = Vec::with_capacity(self.found.len());
        for found in self.found {
            if let Some(pair) = places.settle(found)? {
                references.push(block_distance(pair, self.from_thread_pointer, places.base));
            }
        }
        let offsets = |pair: &Pair| (pair.at.0 as u64, pair.at.1 as u64);
        Ok(Alignment {
            instructions: places.pairs.iter().map(offsets).collect(),
            references,
            lengths: places.lengths,
        })
    }
}

/// In an executable the linker counts `x@DTPOFF` from the thread pointer. The local-dynamic sequence before it shows
/// it; in a piece without one (`.cold`) the sign does: a block lies before the thread pointer.
fn block_distance(
    mut pair: RefPair,
    from_thread_pointer: Option<bool>,
    base: Option<u64>,
) -> RefPair {
    if let (Via::DtpOff, Target::Address(value), Some(_)) = (pair.via, pair.other, base)
        && from_thread_pointer.unwrap_or(value.cast_signed() < 0)
    {
        pair.via = Via::TpOff;
    }
    pair
}

fn decoded<'a>(insn: Insn<'a>, cursor: &Cursor<'a>) -> Result<Decoded<'a>, Mismatch> {
    let linked = cursor.is_linked();
    let references = reference::references(&insn, (!linked).then_some(cursor.len()))?;
    Ok(Decoded {
        insn,
        references,
        linked,
    })
}
