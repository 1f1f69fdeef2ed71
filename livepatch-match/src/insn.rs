//! Walking one piece of code: instructions with their bytes and relocated fields.

use crate::{Code, Field, Mismatch, text};
use iced_x86::{Code as Opcode, ConstantOffsets, Decoder, DecoderOptions, Instruction, Mnemonic};

/// One decoded instruction of a piece.
#[derive(Clone, Copy)]
pub(crate) struct Insn<'a> {
    /// Offset in the piece.
    pub(crate) at: usize,
    /// The instruction's own bytes.
    pub(crate) bytes: &'a [u8],
    /// Decoded at `base + at` for linked code, at `at` for an object file's: its branch targets are then offsets.
    pub(crate) raw: Instruction,
    /// Where displacement and immediate lie.
    pub(crate) offsets: ConstantOffsets,
    /// The relocated fields that start within the instruction.
    pub(crate) fields: &'a [Field],
}

impl Insn<'_> {
    /// Offset of the next instruction.
    pub(crate) fn end(&self) -> usize {
        self.at + self.bytes.len()
    }

    /// A no-operation of any length that nothing is attached to. `endbr64` and `pause` are none.
    pub(crate) fn is_nop(&self) -> bool {
        self.raw.mnemonic() == Mnemonic::Nop
            && self.fields.is_empty()
            && !self.raw.has_lock_prefix()
            && !self.raw.has_rep_prefix()
            && !self.raw.has_repne_prefix()
    }

    /// Whether the instruction is `endbr64`.
    pub(crate) fn is_endbr(&self) -> bool {
        self.raw.code() == Opcode::Endbr64
    }

    /// The single relocated field, when there is exactly one.
    pub(crate) fn only_field(&self) -> Option<&Field> {
        match self.fields {
            [field] => Some(field),
            _ => None,
        }
    }

    /// Where `field`, one of this instruction's, starts in its bytes.
    pub(crate) fn field_start(&self, field: &Field) -> Option<usize> {
        usize::try_from(field.offset).ok()?.checked_sub(self.at)
    }

    /// The error for a field that sits wrongly in this instruction.
    pub(crate) fn misfit(&self, field: &Field) -> Mismatch {
        Mismatch::Relocation {
            at: field.offset,
            kind: field.kind,
            instruction: text::describe(&self.raw),
        }
    }
}

/// A decoder over a piece, with its relocated fields.
pub(crate) struct Cursor<'a> {
    code: Code<'a>,
    decoder: Decoder<'a>,
    /// Fields before this index lie before `at`.
    next_field: usize,
    /// Offset of the instruction that [`Cursor::decode`] gives.
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `code`.
    ///
    /// # Errors
    /// When the fields are not sorted or reach beyond the piece.
    pub(crate) fn new(code: &Code<'a>) -> Result<Self, Mismatch> {
        check_fields(code)?;
        Ok(Self {
            code: *code,
            decoder: Decoder::with_ip(64, code.bytes, 0, DecoderOptions::NONE),
            next_field: 0,
            at: 0,
        })
    }

    /// Whether the addresses in this code are final.
    pub(crate) fn is_linked(&self) -> bool {
        self.code.fields.is_none()
    }

    /// Length of the piece.
    pub(crate) fn len(&self) -> usize {
        self.code.bytes.len()
    }

    /// Whether the whole piece has been walked.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.len()
    }

    /// The address, or section offset, of the piece's first byte.
    pub(crate) fn base(&self) -> u64 {
        self.code.base
    }

    /// `len` bytes from the current place, if there are so many.
    pub(crate) fn window(&self, len: usize) -> Option<&'a [u8]> {
        self.code.bytes.get(self.at..self.at.checked_add(len)?)
    }

    /// The instruction at the current place; `None` when the bytes are none.
    pub(crate) fn decode(&mut self) -> Option<Insn<'a>> {
        self.decode_at(self.at)
    }

    /// The instruction at offset `at`, which must not lie before the current place.
    pub(crate) fn decode_at(&mut self, at: usize) -> Option<Insn<'a>> {
        self.decoder.set_position(at).ok()?;
        self.decoder.set_ip(self.ip(at));
        let raw = self.decoder.decode();
        if raw.is_invalid() {
            return None;
        }
        Some(Insn {
            at,
            bytes: self.code.bytes.get(at..at.checked_add(raw.len())?)?,
            raw,
            offsets: self.decoder.get_constant_offsets(&raw),
            fields: self.fields_in(at, raw.len()),
        })
    }

    /// Goes to offset `at`, forwards.
    pub(crate) fn advance(&mut self, at: usize) {
        let fields = self.code.fields.unwrap_or_default();
        self.at = at;
        while fields
            .get(self.next_field)
            .is_some_and(|field| field.offset < at as u64)
        {
            self.next_field += 1;
        }
    }

    /// What the decoder takes for the address of offset `at`.
    pub(crate) fn ip(&self, at: usize) -> u64 {
        if self.is_linked() {
            self.code.base.wrapping_add(at as u64)
        } else {
            at as u64
        }
    }

    /// The relocated fields that start in `len` bytes from `at`, which must not lie before the current place.
    pub(crate) fn fields_in(&self, at: usize, len: usize) -> &'a [Field] {
        let Some(fields) = self.code.fields else {
            return &[];
        };
        let rest = fields.get(self.next_field..).unwrap_or_default();
        let before = |end: usize| {
            rest.iter()
                .take_while(|field| field.offset < end as u64)
                .count()
        };
        rest.get(before(at)..before(at + len)).unwrap_or_default()
    }
}

fn check_fields(code: &Code<'_>) -> Result<(), Mismatch> {
    let fields = code.fields.unwrap_or_default();
    let stray = |field: &Field| Mismatch::Relocation {
        at: field.offset,
        kind: field.kind,
        instruction: String::new(),
    };
    let len = code.bytes.len() as u64;
    for field in fields {
        let end = field.offset.checked_add(field.kind.width() as u64);
        if field.offset >= len || end.is_none_or(|end| end > len) {
            return Err(stray(field));
        }
    }
    match fields
        .windows(2)
        .find(|pair| pair[0].offset > pair[1].offset)
    {
        Some(pair) => Err(stray(&pair[1])),
        None => Ok(()),
    }
}

/// Legacy prefixes: operand and address size, segments, `lock`, `rep`.
pub(crate) fn is_prefix(byte: u8) -> bool {
    matches!(
        byte,
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
    )
}
