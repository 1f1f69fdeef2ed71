//! Padding: no-operations that an assembler puts between instructions to align the next one.

use crate::insn::Cursor;
use crate::targets::{Pair, Places};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};

/// How many of the bytes directly after a function are provably padding: `int3`, or no-operations in whole instructions.
/// `bytes` must end where the next function begins, if that is known: one built with `-fpatchable-function-entry` begins
/// with no-operations, too.
#[must_use]
pub fn padding_after(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(64, bytes, DecoderOptions::NONE);
    let mut end = 0;
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let harmless = match instruction.mnemonic() {
            Mnemonic::Int3 => true,
            Mnemonic::Nop => !instruction.has_lock_prefix(),
            _ => false,
        };
        if instruction.is_invalid() || !harmless {
            break;
        }
        end = decoder.position();
    }
    end
}

/// The no-operations at one place of a piece.
struct Run<'a> {
    start: usize,
    insns: Vec<&'a [u8]>,
}

impl<'a> Run<'a> {
    fn at(cursor: &mut Cursor<'a>) -> Self {
        let start = cursor.at;
        let (mut insns, mut at) = (Vec::new(), start);
        while let Some(nop) = cursor.decode_at(at).filter(|insn| insn.is_nop()) {
            insns.push(nop.bytes);
            at = nop.end();
        }
        Self { start, insns }
    }

    fn end(&self) -> usize {
        self.offset(self.insns.len())
    }

    /// Offset of the `index`th no-operation.
    fn offset(&self, index: usize) -> usize {
        let bytes = |insns: &[&[u8]]| insns.iter().map(|insn| insn.len()).sum::<usize>();
        self.start + bytes(&self.insns[..index])
    }

    /// Whether the no-operations from the `first`th to before the `last`th can be what aligns what follows: they end at a
    /// multiple of a power of two that is larger than they are.
    fn aligns(&self, base: u64, first: usize, last: usize) -> bool {
        let (start, end) = (self.offset(first), self.offset(last));
        let step = (end - start + 1).next_power_of_two() as u64;
        base.wrapping_add(end as u64).is_multiple_of(step)
    }
}

/// Steps over the no-operations at both cursors where they differ only by padding, and notes where they lay. Those that are
/// equal at the beginning and the end are instructions like others, to which `switch` may jump (`-O0`); the rest must align
/// what follows. `None`, and nothing moved: not padding.
pub(crate) fn skip(
    left: &mut Cursor<'_>,
    right: &mut Cursor<'_>,
    places: &mut Places,
) -> Option<()> {
    let (l, r) = (Run::at(left), Run::at(right));
    let equal = |pair: &(&&[u8], &&[u8])| pair.0 == pair.1;
    let first = l.insns.iter().zip(&r.insns).take_while(equal).count();
    let (l_rest, r_rest) = (&l.insns[first..], &r.insns[first..]);
    let last = (l_rest.iter().rev().zip(r_rest.iter().rev()))
        .take_while(equal)
        .count();
    let justified = |run: &Run<'_>, base| run.aligns(base, first, run.insns.len() - last);
    if l.insns.len() + r.insns.len() == 0
        || !justified(&l, left.base())
        || !justified(&r, right.base())
    {
        return None;
    }
    let (l_len, r_len) = (l.insns.len(), r.insns.len());
    let pair = |(index, other): (usize, usize)| {
        let len = l.insns[index].len();
        Pair {
            at: (l.offset(index), r.offset(other)),
            len: (len, len),
            prefixes: 0,
        }
    };
    places.pairs.extend((0..first).zip(0..first).map(pair));
    let seen = &mut places.padding;
    for (run, seen) in [(&l, &mut seen.0), (&r, &mut seen.1)] {
        let rest = first..run.insns.len() - last;
        seen.extend(rest.map(|index| run.offset(index) as u64));
    }
    let ends = (l_len - last..l_len).zip(r_len - last..r_len);
    places.pairs.extend(ends.map(pair));
    left.advance(l.end());
    right.advance(r.end());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_ends_where_something_else_begins() {
        let cases: &[(&[u8], usize)] = &[
            (&[], 0),
            (&[0xcc, 0xcc, 0xc3], 2), // int3; int3; ret
            (&[0x90, 0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0, 0x55], 8), // nops; push rbp
            (&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], 10), // nop word cs:[rax+rax]
            (&[0x0f, 0x1f, 0x44, 0], 0), // cut short
            (&[0xf3, 0x0f, 0x1e, 0xfa], 0), // endbr64
            (&[0xf3, 0x90], 0),       // pause
            (&[0, 0, 0, 0], 0),       // add [rax], al
            (&[0x48, 0x8d, 0x76, 0x00], 0), // lea rsi, [rsi]
        ];
        for (bytes, expected) in cases {
            assert_eq!(padding_after(bytes), *expected, "{bytes:02x?}");
        }
    }
}
