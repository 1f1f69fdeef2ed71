//! Old and new code side by side (`patchgen inspect --disasm`).
//!
//! [`listing`] decodes the functions of a bundle by iced-x86, with relocations by name, and aligns old with new; `second`
//! asks capstone about each instruction. [`terminal`] and [`html`] show the result. Nothing here is executed or trusted: the
//! bundle was checked when it was read.

mod align;
mod code;
pub mod html;
mod second;
pub mod terminal;

use code::Decoder;
use livepatch_bundle::{Bundle, Definition, Function, SectionKind};
use std::collections::BTreeSet;

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its offset in the piece of code.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Mnemonic and operands.
    pub text: String,
    /// What is compared: the text without places and numbers that differ between any two copies.
    meaning: String,
    /// Where in the same piece it jumps to.
    jump: Option<u64>,
    /// How capstone reads it, if otherwise.
    pub disagreement: Option<String>,
}

/// What became of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is in both.
    Same,
    /// Another stands in its place.
    Changed,
    /// Only the old code has it.
    Removed,
    /// Only the new code has it.
    Added,
}

/// An old and a new instruction beside each other.
#[derive(Clone, Debug)]
pub struct Row {
    /// What became of it.
    pub mark: Mark,
    /// The old instruction.
    pub old: Option<Line>,
    /// The new instruction.
    pub new: Option<Line>,
}

/// A piece of code in both versions.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it is called.
    pub name: String,
    /// The object file; empty for what only the new code has.
    pub object: String,
    /// Why it is replaced.
    pub reason: String,
    /// Its instructions.
    pub rows: Vec<Row>,
}

impl Piece {
    /// Instructions that capstone reads otherwise.
    pub fn disagreements(&self) -> impl Iterator<Item = &Line> {
        let lines = self
            .rows
            .iter()
            .flat_map(|row| row.old.iter().chain(&row.new));
        lines.filter(|line| line.disagreement.is_some())
    }
}

/// All replaced functions with their pieces, then the new ones.
///
/// # Errors
/// When capstone cannot be used.
pub fn listing(bundle: &Bundle) -> Result<Vec<Piece>, capstone::Error> {
    let decoder = Decoder::new(bundle)?;
    let mut shown = BTreeSet::new();
    let mut pieces = Vec::new();
    for function in &bundle.manifest.functions {
        for (old, new) in halves(bundle, function) {
            shown.extend(new.clone());
            let lines =
                |name: Option<&String>| name.map_or_else(Vec::new, |name| decoder.lines(name));
            let name = old
                .as_ref()
                .or(new.as_ref())
                .map_or("", |name| natural(name));
            pieces.push(Piece {
                name: name.to_owned(),
                object: function.object.clone(),
                reason: function.reason.clone(),
                rows: align::rows(lines(old.as_ref()), lines(new.as_ref())),
            });
        }
    }
    for symbol in &bundle.symbols {
        let new =
            is_in(bundle, symbol.definition, SectionKind::Code) && !shown.contains(&symbol.name);
        if new {
            pieces.push(Piece {
                name: symbol.name.clone(),
                object: String::new(),
                reason: "new".to_owned(),
                rows: align::rows(Vec::new(), decoder.lines(&symbol.name)),
            });
        }
    }
    Ok(pieces)
}

/// The old pieces of a function with the new ones of the same name, by their symbols.
fn halves(bundle: &Bundle, function: &Function) -> Vec<(Option<String>, Option<String>)> {
    let mut found = Vec::new();
    for (index, piece) in function.pieces.iter().enumerate() {
        let new = if index == 0 {
            function.new.clone()
        } else {
            let name = natural(&piece.old).to_owned();
            let definition = bundle
                .symbol(&name)
                .and_then(|id| bundle.symbols[id.0].definition);
            Some(name).filter(|_| is_in(bundle, definition, SectionKind::Code))
        };
        found.push((Some(piece.old.clone()), new));
    }
    found
}

fn is_in(bundle: &Bundle, definition: Option<Definition>, kind: SectionKind) -> bool {
    definition.is_some_and(|definition| bundle.sections[definition.section.0].kind == kind)
}

/// The name without what tells versions apart in the bundle.
fn natural(name: &str) -> &str {
    name.strip_suffix("@old")
        .or_else(|| name.strip_suffix("@running"))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests;
