//! What is compared, and what comes out.

use livepatch_bundle::RelocKind;
use thiserror::Error;

/// One contiguous piece of code to compare.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// The bytes. Linked code may be given with bytes after its end, see [`align`](crate::align).
    pub bytes: &'a [u8],
    /// The address of `bytes[0]`: a run-time or link-time address for linked code. For an object file's code the
    /// piece's offset in its section, of which only the alignment counts (padding ends at aligned places).
    pub base: u64,
    /// The relocated fields sorted by offset for code of an object file; `None` for linked code, in which every
    /// address is final.
    pub fields: Option<&'a [Field]>,
}

/// A relocated field of an object file's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Offset from the start of the piece.
    pub offset: u64,
    /// How the field is computed.
    pub kind: RelocKind,
    /// The caller's number for the symbol.
    pub symbol: u32,
    /// `A` of the psABI's formulas, as the object file has it (so with -4 for most PC-relative fields).
    pub addend: i64,
    /// The symbol is this very piece, so that `addend` leads inside (a jump table's base, a self-call).
    pub inside: bool,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// An offset in the same piece of code.
    Inside(u64),
    /// The distance from the start of the piece to a place before or after it in the same section, which the assembler
    /// resolved without a relocation (objects built without `-ffunction-sections`). The caller knows what lies there.
    /// The piece's own length can mean two things: the next function, or the end of this one (code that runs off the
    /// end after `__builtin_unreachable()`).
    Outside(i64),
    /// `symbol + offset` where `offset` no longer contains the PC-relative bias: 0 is the symbol itself.
    Symbol {
        /// The caller's number for the symbol.
        symbol: u32,
        /// Distance from the symbol in bytes. In another function's code it counts in the object file's layout; see
        /// [`Alignment::counterpart`] for where that is in the other.
        offset: i64,
    },
    /// A final address, or a final value for TLS offsets.
    Address(u64),
}

/// How a reference reaches its target, after relaxation: in a pair of object code and linked code, how the
/// linked code does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The target is a branch or call destination: a function, or a PLT entry of it.
    Branch,
    /// The address of the target itself is computed or accessed.
    Direct,
    /// The target is a GOT slot that holds the address of the symbol.
    GotSlot,
    /// The target is the offset from the thread pointer.
    TpOff,
    /// The target is a slot that holds the offset from the thread pointer.
    GotTpOff,
    /// The target is a (module, offset) pair.
    TlsGd,
    /// The target is a (module, 0) pair.
    TlsLd,
    /// The target is an offset in the module's TLS block.
    DtpOff,
    /// The target is a TLS descriptor.
    TlsDesc,
    /// The target is the distance from the module's `_GLOBAL_OFFSET_TABLE_`, or that table itself.
    GotRelative,
    /// The size of the symbol.
    Size,
}

/// Two references at the same place of two functions. The instructions agree in everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefPair {
    /// Offset of the instruction in the first piece.
    pub at: u64,
    /// Offset of the instruction in the second piece.
    pub at_other: u64,
    /// How it is reached; how the second does it where the linker relaxed it.
    pub via: Via,
    /// What the first refers to.
    pub target: Target,
    /// What the second refers to.
    pub other: Target,
    /// Whether the instruction reads or writes memory at the target (for [`Via::GotSlot`] and its kin: the slot), rather
    /// than taking its address.
    pub access: bool,
}

/// The outcome of a comparison that found the same instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Offsets of the paired instructions, ascending in both; padding left out.
    pub instructions: Vec<(u64, u64)>,
    /// References for the caller to judge, ascending. References inside both pieces have been checked against
    /// `instructions` and are not listed. A relocated reference to the piece itself whose counterpart lies elsewhere
    /// (a recursive call through the PLT) is listed with [`Target::Inside`]`(0)`.
    pub references: Vec<RefPair>,
    /// How many bytes of the first piece were consumed, and of the second.
    pub lengths: (u64, u64),
}

impl Alignment {
    /// Where the instruction at `offset` of the first piece is in the second: a jump from another piece into the middle of
    /// this one (from `.cold` back) goes there. `None` when no paired instruction starts at `offset`.
    #[must_use]
    pub fn counterpart(&self, offset: u64) -> Option<u64> {
        let found = self
            .instructions
            .binary_search_by_key(&offset, |pair| pair.0);
        found.ok().map(|index| self.instructions[index].1)
    }
}

/// Why two functions differ: the first difference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Another instruction.
    #[error("instruction at +{at:#x} is `{left}`, the other has `{right}` at +{at_other:#x}")]
    Instruction {
        /// Offset in the first piece.
        at: u64,
        /// Offset in the second piece.
        at_other: u64,
        /// The first's instruction, disassembled.
        left: String,
        /// The second's instruction, disassembled.
        right: String,
    },
    /// A branch (or another reference to the function itself) that leads to another place inside the function.
    #[error(
        "branch at +{at:#x} leads to {}, the other's at +{at_other:#x} to {}", signed(*.target), signed(*.target_other)
    )]
    Branch {
        /// Offset of the branch in the first piece.
        at: u64,
        /// Offset of the branch in the second piece.
        at_other: u64,
        /// Where the first leads, counted from its start.
        target: i64,
        /// Where the second leads, counted from its start.
        target_other: i64,
    },
    /// One ends before the other.
    #[error("one function ends at +{at:#x}, the other goes on")]
    Length {
        /// Offset where the shorter one ends.
        at: u64,
    },
    /// Bytes of the first piece that are no instruction that we know.
    #[error("bytes at +{at:#x} are no instruction")]
    Undecodable {
        /// Offset in the piece that could not be decoded.
        at: u64,
    },
    /// A relocation that does not sit in an instruction as it must.
    #[error("relocation {} at +{at:#x} does not fit its instruction `{instruction}`", .kind.name())]
    Relocation {
        /// Offset of the field.
        at: u64,
        /// Its kind.
        kind: RelocKind,
        /// The instruction, disassembled.
        instruction: String,
    },
}

fn signed(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:#x}", offset.unsigned_abs())
}
