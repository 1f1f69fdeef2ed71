//! Linking a bundle into a running program: from sections and resolved references to final bytes.
//!
//! Pure. The result has two parts that are mapped side by side, so that no page is ever writable and executable:
//!
//! ```text
//! base   read-execute  | ELF header | prelude | code | stubs | slots | constants | unwind records | record body | ELF tables |
//!        read-write    | data | zeroed data |
//! ```
//!
//! *Stubs* (`jmp [rip+slot]`) lead to functions out of reach, *slots* stand in for GOT entries that the module does
//! not have. Both hold final addresses and never change.

mod dwarf;
mod layout;
mod mark;
mod relocate;
#[cfg(test)]
mod tests;
mod view;

pub use layout::{Layout, SlotKind};
pub use relocate::{Image, LinkError, link};
pub use view::{BUILD_ID, BUILD_ID_LEN, HEAD_LEN};

use livepatch_bundle::RunAddr;

/// Everything known about one symbol that the patch refers to. What a relocation needs and is not here makes
/// [`link`] fail by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Where a call may go: the function, or a PLT entry of it.
    pub branch: Option<RunAddr>,
    /// The address that is the symbol's identity (`&symbol`).
    pub address: Option<RunAddr>,
    /// A slot of the module that holds the address, filled by the dynamic loader at once.
    pub slot: Option<RunAddr>,
    /// A slot of the module for calls, which may lead to the dynamic loader until the first one (`R_X86_64_JUMP_SLOT`).
    pub lazy_slot: Option<RunAddr>,
    /// The offset from the thread pointer, as initial-exec and local-exec code adds it.
    pub tp_offset: Option<i64>,
    /// A slot of the module that holds that offset.
    pub tp_offset_slot: Option<RunAddr>,
    /// A (module, offset) pair of the module.
    pub tls_pair: Option<RunAddr>,
    /// A (module, 0) pair of the module.
    pub tls_module_pair: Option<RunAddr>,
    /// The module's TLS id, for pairs that the patch must bring along.
    pub tls_module: Option<u64>,
    /// The offset in the module's TLS block.
    pub dtp_offset: Option<i64>,
    /// A TLS descriptor of the module.
    pub tls_descriptor: Option<RunAddr>,
    /// The size in bytes.
    pub size: Option<u64>,
}
