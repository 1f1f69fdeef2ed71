//! Run-pre matching: proving that the running code is the code that the patch was made from.
//!
//! Each function of the bundle (replaced ones and anchors) is compared, instruction by instruction and with its
//! read-only data, with the bytes at every address where it may be. What remains is a unique address for each
//! replaced function, and *evidence*: what the running code's references say about the program's symbols
//! (Arnold and Kaashoek, "Ksplice", EuroSys 2009, section 4.3).
//!
//! Pure but for reads through [`Program`]. Nothing is guessed: a replaced function with no match or with several is
//! an error; an anchor without a unique match is left out.

mod constants;
mod folded;
mod function;
mod search;

pub use search::{Proof, ProveError, Proven, prove};

use crate::memory::Memory;
use livepatch_bundle::{Reference, RunAddr, Scope, SymbolId};
use livepatch_match::Via;

/// What matching asks about the module that is patched.
pub trait Program {
    /// The process's memory.
    fn memory(&self) -> &dyn Memory;
    /// Where the symbol tables, or the bundle for this build ID, say that a function is.
    fn named(&self, reference: &Reference) -> Vec<RunAddr>;
    /// Where an earlier patch has a function of this name that it brought in.
    fn brought_in(&self, reference: &Reference) -> Vec<RunAddr>;
    /// Every address where call-frame information says that a function starts.
    fn function_starts(&self) -> Vec<RunAddr>;
    /// The end of the module's executable range that holds `address`.
    fn executable_end(&self, address: RunAddr) -> Option<RunAddr>;
    /// Where an earlier patch of this function put its code.
    fn redirected(&self, entry: RunAddr) -> Option<RunAddr>;
    /// What symbol tables call the function at an address; they may not know all of its names.
    fn names_at(&self, entry: RunAddr) -> Vec<NameAt>;
}

/// A name of the function at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAt {
    /// What the symbol is called.
    pub name: String,
    /// Whether other objects may have a function of the same name.
    pub scope: Scope,
    /// The `STT_FILE` name before a local symbol.
    pub source: Option<String>,
    /// Whether only the dynamic symbols tell: they have no local names.
    pub is_dynamic: bool,
}

/// What one reference in running code says about a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// An undefined symbol of the bundle.
    pub symbol: SymbolId,
    /// How the code reaches it, which says what `value` is.
    pub via: Via,
    /// An address, or an offset for thread-local variables.
    pub value: u64,
}
