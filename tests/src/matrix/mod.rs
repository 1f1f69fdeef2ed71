//! Every case in every form: what came of it, and what should.
//!
//! A case says by its directives what should come of each form (`//#In clang O0: …`). The table `tests/matrix/expected.txt`
//! says the same at a glance, and notices what the directives cannot: that a form does not compile any more.

mod table;
mod verdict;

pub use table::Table;
pub use verdict::{Verdict, verdict};

use crate::directives::Outcome;
use crate::form::Form;
use crate::tools::tests_directory;
use anyhow::Result;
use std::fs;

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Name of the case.
    pub case: String,
    /// How it is compiled.
    pub form: Form,
}

/// The names of all cases.
///
/// # Errors
/// When their directory cannot be read.
pub fn cases() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(tests_directory().join("cases"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Why a verdict is not what the case says; `None` when it is.
#[must_use]
pub fn surprise(verdict: &Verdict, expected: &Outcome) -> Option<String> {
    let fits = match (verdict, expected) {
        (Verdict::NotAsked | Verdict::NotCompiled(_), _)
        | (Verdict::Patched, Outcome::Patched)
        | (Verdict::NoChange, Outcome::NoChange) => true,
        (Verdict::PatchgenRefuses(said), Outcome::PatchgenRefuses(text))
        | (Verdict::ApplyRefuses(said), Outcome::ApplyRefuses(text)) => said.contains(text),
        _ => false,
    };
    (!fits).then(|| format!("the case expects {expected:?}, and it is: {verdict}"))
}
