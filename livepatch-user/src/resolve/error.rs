//! Why a reference has no answer.

use livepatch_bundle::{RunAddr, literal};
use thiserror::Error;

/// Why a reference has no answer that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// Running code and symbol table speak about different things.
    #[error("the running code has `{symbol}` at {running}, the symbol table at {table}")]
    Disagree {
        /// The symbol.
        symbol: String,
        /// According to the code.
        running: RunAddr,
        /// According to the table.
        table: RunAddr,
    },
    /// Several symbols have the name and nothing tells which is meant.
    #[error("`{symbol}` is ambiguous: {count} symbols of the program have that name")]
    Ambiguous {
        /// The symbol.
        symbol: String,
        /// How many.
        count: usize,
    },
    /// A local symbol has the name, and the symbol table does not tell whether it was global before the link.
    #[error(
        "a local symbol of the program is called `{symbol}`, too, and nothing tells whether it is a static one of another file: give \
         `patchgen` the old object that defines `{symbol}`, or one that uses it"
    )]
    Namesake {
        /// The symbol.
        symbol: String,
    },
    /// Another module has a function of the name, and nothing tells which one the module's own code means.
    #[error(
        "`{other}` has a function `{symbol}`, too, which comes first, and nothing tells whether the library was linked to use its \
         own (`-Bsymbolic-functions`, a hidden alias)"
    )]
    Doubtful {
        /// The symbol.
        symbol: String,
        /// The other module.
        other: String,
    },
    /// A definition counts only if dlopen(3) was told so, and no running code tells.
    #[error(
        "`{other}` has `{symbol}`, and nothing tells whether the program's library sees that: this depends on how both were opened \
         (`RTLD_GLOBAL`, `RTLD_DEEPBIND`)"
    )]
    Unseen {
        /// The symbol.
        symbol: String,
        /// The other module.
        other: String,
    },
    /// A stripped module may have the symbol under no name.
    #[error(
        "`{other}` has `{symbol}`, and the stripped program may have its own, hidden one: give it its symbol table (a file of debug \
         information), or give `patchgen` an old object that uses `{symbol}`"
    )]
    Overlooked {
        /// The symbol.
        symbol: String,
        /// The other module.
        other: String,
    },
    /// The linker may have been told to put something else in the place of a symbol, and no running code uses the symbol.
    #[error(
        "the program has `__wrap_{symbol}`, too, and no running code tells whether `{symbol}` means that (`ld --wrap`): give \
         `patchgen` an old object that uses `{symbol}`"
    )]
    Wrapped {
        /// The symbol.
        symbol: String,
    },
    /// A replaced function that new code calls by a name under which the loader, or the linker, finds another one.
    #[error(
        "new code calls the new `{symbol}`, and no old code calls it where it is: another module has a function of this name, \
         which comes first, or there is `__wrap_{symbol}` (`ld --wrap`)"
    )]
    Bypassed {
        /// The symbol.
        symbol: String,
    },
    /// A constant of old code to which new code refers where it runs, and no code that refers to it was found.
    #[error("no running code that was found tells where the program has the constant {}", literal(.constant))]
    Untold {
        /// Its contents.
        constant: Vec<u8>,
    },
    /// A function chosen at load time that no module has bound.
    #[error(
        "`{symbol}` is chosen at load time (IFUNC) and no module of the process has it bound yet"
    )]
    Unbound {
        /// The symbol.
        symbol: String,
    },
}

impl ResolveError {
    /// Whether two sources speak against each other, which casts doubt on everything.
    pub(super) fn is_contradiction(&self) -> bool {
        matches!(self, Self::Disagree { .. })
    }
}
