//! Why no patch can be made.

use crate::program::{NewAtom, Program};
use std::fmt;

/// One reason, with the symbol that it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Refusal {
    /// The object file.
    pub object: String,
    /// The symbol, or the section and offset of what has none.
    pub symbol: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Refusal {
    /// A reason that is about an atom of a new object.
    #[must_use]
    pub fn new(program: &Program<'_>, atom: NewAtom, reason: String) -> Self {
        let pair = &program.units[atom.unit].pair;
        Self {
            object: pair.name.clone(),
            symbol: pair.new.label(atom.atom),
            reason,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `{}`: {}", self.symbol, self.object, self.reason)
    }
}
