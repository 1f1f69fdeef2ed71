//! Instructions that the linker rewrote: one for one, or two together.

use super::{Walk, decoded};
use crate::{Mismatch, compare::Decoded, insn::Insn, relax, targets::Pair, tls};

impl<'a> Walk<'a> {
    /// Tries what linkers rewrite, where a no-operation stands.
    pub(super) fn relaxed(&mut self, left: Insn<'a>) -> Result<bool, Mismatch> {
        if left.fields.is_empty() || !self.right.is_linked() {
            return Ok(false);
        }
        let left = decoded(left, &self.left)?;
        self.relax(&left)
    }

    /// Tries what linkers rewrite.
    pub(super) fn relax(&mut self, left: &Decoded<'a>) -> Result<bool, Mismatch> {
        if left.insn.fields.is_empty() || !self.right.is_linked() {
            return Ok(false);
        }
        Ok(self.relax_one(left) || self.relax_sequence(left)?)
    }

    fn relax_one(&mut self, left: &Decoded<'a>) -> bool {
        let len = left.insn.bytes.len();
        let (at, ip) = (self.right.at, self.right.ip(self.right.at));
        let Some(found) =
            (self.right.window(len)).and_then(|window| relax::relaxed(left, window, ip, at))
        else {
            return false;
        };
        let pair = Pair {
            at: (left.insn.at, at),
            len: (len, len),
            prefixes: 0,
        };
        self.entered = true;
        self.push(pair, [found, None]);
        true
    }

    fn relax_sequence(&mut self, left: &Decoded<'a>) -> Result<bool, Mismatch> {
        let Some(call) = self.left.decode_at(left.insn.end()) else {
            return Ok(false);
        };
        // Checks that the call's relocation fits.
        decoded(call, &self.left)?;
        let (at, ip) = (self.right.at, self.right.ip(self.right.at));
        let Some(sequence) = tls::sequence_length(left, &call)
            .and_then(|len| self.right.window(len))
            .and_then(|window| tls::relaxed(left, window, ip, at))
        else {
            return Ok(false);
        };
        self.entered = true;
        self.from_thread_pointer = sequence.from_thread_pointer.or(self.from_thread_pointer);
        let pair = |start: (usize, usize), end: (usize, usize)| Pair {
            at: (left.insn.at + start.0, at + start.1),
            len: (end.0 - start.0, end.1 - start.1),
            prefixes: 0,
        };
        let end = (sequence.len, sequence.len);
        let second = sequence.second.unwrap_or(end);
        self.push(pair((0, 0), second), [sequence.found, None]);
        if sequence.second.is_some() {
            self.push(pair(second, end), [None, None]);
        }
        Ok(true)
    }
}
