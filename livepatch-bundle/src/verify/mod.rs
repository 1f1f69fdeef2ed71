//! The rules that a bundle keeps. Every broken one is reported, up to [`MOST`].

mod contents;
mod manifest;

pub(crate) use manifest::MAX_HOOKS;
pub use manifest::is_patch_name;

use crate::{Bundle, BundleError, Problem};

/// How many problems are told one by one: a hostile file could have millions.
const MOST: usize = 64;

/// Checks every rule of the model; `read` and `write` both call it.
///
/// # Errors
/// [`BundleError::Inconsistent`] with the rules that are broken.
pub fn verify(bundle: &Bundle) -> Result<(), BundleError> {
    let mut problems = Problems::default();
    contents::check(bundle, &mut problems);
    manifest::check(bundle, &mut problems);
    problems.finish()
}

/// What was found so far.
#[derive(Default)]
struct Problems {
    told: Vec<Problem>,
    untold: usize,
}

impl Problems {
    fn add(&mut self, problem: Problem) {
        if self.told.len() < MOST {
            self.told.push(problem);
        } else {
            self.untold += 1;
        }
    }

    /// Adds the problem unless the rule holds.
    fn unless(&mut self, rule: bool, problem: impl FnOnce() -> Problem) {
        if !rule {
            self.add(problem());
        }
    }

    fn finish(mut self) -> Result<(), BundleError> {
        if self.untold > 0 {
            self.told.push(Problem::More(self.untold));
        }
        if self.told.is_empty() {
            return Ok(());
        }
        Err(BundleError::Inconsistent(self.told))
    }
}

/// Whether a name may stand in the file and be shown on a terminal.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}
