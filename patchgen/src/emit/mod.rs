//! Writing down a patch as a bundle.
//!
//! Every order is that of pairs, sections and offsets, so that the same input gives the same bytes.

mod distant;
mod lines;
mod manifest;
mod naming;
mod sections;
pub mod shorts;
mod table;
mod unwind;

use crate::anchors::Anchor;
use crate::closure::Closure;
use crate::program::OldAtom;
use crate::program::Program;
use crate::proof::Proof;
use livepatch_bundle::Bundle;
use std::collections::BTreeSet;

/// Everything that a patch is made of.
#[derive(Debug)]
pub struct Patch<'p, 'd> {
    /// The objects.
    pub program: &'p Program<'d>,
    /// What travels.
    pub closure: &'p Closure<'d>,
    /// What proves the running code.
    pub proof: &'p Proof<'d>,
    /// Functions that help to find symbols.
    pub anchors: &'p [Anchor],
    /// What the user says about the patch.
    pub labels: &'p Labels,
    /// More running functions that may be on no stack.
    pub quiesce: BTreeSet<OldAtom>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What the user says about a patch.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// Functions that may be on no stack when the patch is applied.
    pub quiesce: Vec<String>,
    /// Names of the patches that this one replaces.
    pub supersedes: Vec<String>,
}

/// Makes the bundle.
///
/// # Errors
/// Names of functions to quiesce that the old objects do not define.
pub fn bundle(patch: &Patch<'_, '_>) -> Result<Bundle, Vec<String>> {
    let mut quiesce = patch.quiesce.clone();
    quiesce.extend(manifest::quiesced(patch)?);
    let table = table::Table::of(patch, &quiesce);
    let distant = distant::all(patch);
    let sections = sections::Sections::of(patch, &table, &distant);
    Ok(Bundle {
        manifest: manifest::of(patch, &table, &distant, &quiesce),
        symbols: table.symbols(&sections.definitions),
        sections: sections.list,
    })
}
