//! Exceptions of C++ that were caught, whose memory is free or not yet.
//!
//! ```text
//! __cxa_exception (libstdc++, unwind-cxx.h; libc++abi, cxa_exception.h), and the same of an exception thrown again elsewhere:
//!     -32 actionRecord, -24 languageSpecificData, -16 catchTemp, -8 adjustedPtr
//! _Unwind_Exception (Itanium C++ ABI, Exception Handling, 1.2):
//!       0 exception_class, +8 exception_cleanup, +16 private_1, +24 private_2
//! ```
//!
//! `catchTemp` is the address of the handler, `private_2` the stack pointer of its frame: to a search for saved states they look like one. The
//! memory keeps them until it is used anew.

use crate::memory::Memory;
use crate::unwind::{AddressSpace, StackCheck};
use livepatch_bundle::RunAddr;

/// From `catchTemp` to the class of the exception, and from there to its cleanup function.
const CLASS: i64 = 16;
const CLEANUP: i64 = CLASS + 8;
/// "GNUCC++" and "CLNGC++", the last byte apart: that tells whether the object is thrown for another one.
const CLASSES: [u64; 2] = [0x474e_5543_432b_2b00, 0x434c_4e47_432b_2b00];

/// Whether the word at the address is the `catchTemp` of an exception, and so nothing that is returned to.
pub(super) fn is_handler(at: RunAddr, check: &StackCheck, space: &dyn AddressSpace) -> bool {
    let word = |offset| Memory::read_u64(space, at.offset(offset)).ok();
    let class = word(CLASS).is_some_and(|class| CLASSES.contains(&(class & !1)));
    class && word(CLEANUP).is_some_and(|cleanup| check.is_code(RunAddr(cleanup)))
}
