//! Random programs, changed at random, patched while they run.
//!
//! A *batch* is a program of several units. Each unit is changed, patched in the running program, and then must answer as
//! a program does that was linked from the new units, from the same state on.

mod batch;
mod generate;
mod mutate;
mod tree;

pub use batch::{Fate, Trial, run_batch};
pub use mutate::Mutation;

use crate::form::{Compiler, Form};
use crate::random::Random;
use generate::Maker;
use mutate::mutate;

/// A unit in its old and its new version.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The old source.
    pub old: String,
    /// The new source.
    pub new: String,
    /// What differs.
    pub mutation: Mutation,
    /// How both are compiled.
    pub form: Form,
}

/// Makes up a unit, in the program known as `name`, and changes it.
#[must_use]
pub fn pair(random: &mut Random, name: &str) -> Pair {
    let old = Maker { random }.unit();
    let mut new = old.clone();
    let mutation = mutate(&mut new, random);
    let forms: Vec<Form> = Form::all()
        .into_iter()
        .filter(|form| form.is("c"))
        .collect();
    let mut form = *random.pick(&forms);
    // gcc makes more kinds of pieces.
    if random.once_in(3) {
        form.compiler = Compiler::Gcc;
    }
    Pair {
        old: old.source(name),
        new: new.source(name),
        mutation,
        form,
    }
}
