//! When two x86-64 functions mean the same.
//!
//! [`align`] walks two functions instruction by instruction, pairs their instructions, and returns every pair
//! of references (relocated fields, branch targets, addresses in memory operands) for the caller to judge:
//! `patchgen` asks whether old and new symbols correlate, `livepatch` infers what the running program's
//! addresses are. It knows the linker's relaxations (psABI "Optimize GOTPCRELX relocations", "TLS
//! relaxations"), that the assembler picks short or near jumps by distance, and padding.
//!
//! Pure: bytes in, values out.

#![forbid(unsafe_code)]

mod align;
mod branches;
mod call;
mod compare;
mod entry;
mod insn;
mod model;
mod padding;
mod reference;
mod relax;
mod targets;
mod text;
mod tls;

pub use align::align;
pub use branches::{falls_through, tail_jumps, text_branches_into};
pub use call::calls_at;
pub use entry::{EntryLayout, entry_layout};
pub use model::{Alignment, Code, Field, Mismatch, RefPair, Target, Via};
pub use padding::padding_after;
pub use text::disassemble;
