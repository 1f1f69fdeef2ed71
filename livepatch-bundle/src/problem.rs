//! The ways in which a bundle can break the rules of the model.

use crate::verify::MAX_HOOKS;
use crate::{Phase, RelocKind, SCHEMA, format};
use std::fmt;
use thiserror::Error;

/// One broken rule. Names that come from the file are escaped and shortened when shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A name is empty, or has control characters.
    #[error("{what} {} is empty or has control characters", quoted(.name))]
    Name {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two sections or two symbols have the same name.
    #[error("{what} {} exists twice", quoted(.name))]
    Duplicate {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More sections than an ELF file can number.
    #[error("{count} sections, more than {}", format::MAX_SECTIONS)]
    TooManySections {
        /// How many.
        count: usize,
    },
    /// The sections' sizes together are beyond reason.
    #[error("the sections have more than {:#x} bytes together", format::MAX_SIZE)]
    TotalSize,
    /// The name is not one that the section's kind may have.
    #[error("section {} has a name that its kind {kind:?} must not have", quoted(.section))]
    SectionName {
        /// The section.
        section: String,
        /// Its kind.
        kind: crate::SectionKind,
    },
    /// Not a power of two, or too large.
    #[error("section {} is aligned to {align:#x}, not a power of two up to {:#x}", quoted(.section), format::MAX_ALIGN)]
    Alignment {
        /// The section.
        section: String,
        /// Its alignment.
        align: u64,
    },
    /// The rows are not as they should be, or outside what they are about.
    #[error("the source lines of {} are not those of a function of the patch", quoted(.symbol))]
    Lines {
        /// The function.
        symbol: String,
    },
    /// `size` is not the length of the contents.
    #[error("section {} has size {size:#x} and {len:#x} bytes of contents", quoted(.section))]
    Size {
        /// The section.
        section: String,
        /// The size it claims.
        size: u64,
        /// The length of its contents.
        len: u64,
    },
    /// A zeroed section cannot be filled in.
    #[error("section {} is zeroed and has relocations or contents", quoted(.section))]
    ZeroWithContents {
        /// The section.
        section: String,
    },
    /// A field outside its section.
    #[error("relocation {} at {}+{offset:#x} is outside the section", .kind.name(), quoted(.section))]
    RelocOutside {
        /// The section.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// Its kind.
        kind: RelocKind,
    },
    /// Fields that share bytes, or are not in order.
    #[error("relocation {} at {}+{offset:#x} overlaps or precedes the one before", .kind.name(), quoted(.section))]
    RelocOrder {
        /// The section.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// Its kind.
        kind: RelocKind,
    },
    /// A relocation against a symbol that the bundle does not have.
    #[error("relocation at {}+{offset:#x} refers to symbol number {symbol}, which does not exist", quoted(.section))]
    RelocSymbol {
        /// The section.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// The symbol's number.
        symbol: usize,
    },
    /// New code or data that refers to the copy of old code; what runs has a symbol of its own.
    #[error("relocation at {}+{offset:#x} refers to {}, which is not placed in the target", quoted(.section), quoted(.symbol))]
    RelocToOld {
        /// The section.
        section: String,
        /// Offset of the field.
        offset: u64,
        /// The symbol.
        symbol: String,
    },
    /// Definitions come first.
    #[error("definition {} comes after a reference", quoted(.symbol))]
    SymbolOrder {
        /// The symbol.
        symbol: String,
    },
    /// A definition that is not inside a section.
    #[error("symbol {} lies outside its section", quoted(.symbol))]
    SymbolOutside {
        /// The symbol.
        symbol: String,
    },
    /// A patch cannot bring thread-local variables of its own.
    #[error("symbol {} defines a thread-local variable, which a patch cannot hold", quoted(.symbol))]
    TlsDefinition {
        /// The symbol.
        symbol: String,
    },
    /// The manifest is of another version.
    #[error("the manifest has schema version {found}, not {SCHEMA}")]
    Schema {
        /// Its version.
        found: u32,
    },
    /// Not 1 to 63 of `[A-Za-z0-9._+-]`.
    #[error("{what} {} is not 1 to 63 of `A-Z a-z 0-9 . _ + -`", quoted(.name))]
    PatchName {
        /// Whose name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A path, or nothing, where a file name without directories is due.
    #[error("module {} is not a file name without directories", quoted(.name))]
    ModuleName {
        /// The name.
        name: String,
    },
    /// A function without code to match.
    #[error("function {} has no pieces", quoted(.function))]
    NoPieces {
        /// The function.
        function: String,
    },
    /// The old code of a piece is missing, elsewhere than in old code, or empty.
    #[error("function {}: {} is not the symbol of old code in the bundle", quoted(.function), quoted(.symbol))]
    OldPiece {
        /// The function.
        function: String,
        /// The symbol in [`crate::Piece::old`].
        symbol: String,
    },
    /// The running piece is not a reference to the running program.
    #[error("function {}: {} is not a reference to the running program", quoted(.function), quoted(.symbol))]
    RunningPiece {
        /// The function.
        function: String,
        /// The symbol in [`crate::Piece::running`].
        symbol: String,
    },
    /// A replaced function without new code in the bundle.
    #[error("function {} has no new code in the bundle", quoted(.function))]
    NoNewCode {
        /// The function.
        function: String,
    },
    /// An anchor is not replaced.
    #[error("anchor {} has new code", quoted(.function))]
    AnchorWithNewCode {
        /// The function.
        function: String,
    },
    /// An undefined symbol that the manifest does not explain.
    #[error("undefined symbol {} is not among the manifest's references", quoted(.symbol))]
    Unexplained {
        /// The symbol.
        symbol: String,
    },
    /// A reference whose symbol the bundle does not have, or defines itself.
    #[error("reference {} is not an undefined symbol of the bundle", quoted(.symbol))]
    ReferenceSymbol {
        /// The symbol.
        symbol: String,
    },
    /// A place in a module that is not listed, or a second place in the same module.
    #[error("reference {} is located in module number {module}, which is not listed or was told before", quoted(.symbol))]
    LocatedModule {
        /// The symbol.
        symbol: String,
        /// Index into [`crate::Manifest::modules`].
        module: usize,
    },
    /// A function to be quiescent that is not a reference to the running program.
    #[error("{} is to be quiescent, but is not a reference to the running program", quoted(.symbol))]
    Quiesce {
        /// The symbol.
        symbol: String,
    },
    /// More hooks than a patch may have.
    #[error("{count} hooks, more than {MAX_HOOKS}")]
    TooManyHooks {
        /// How many.
        count: usize,
    },
    /// A hook that is no function of the patch.
    #[error("{phase} hook {} is no function of the patch", quoted(.symbol))]
    Hook {
        /// When it runs.
        phase: Phase,
        /// The symbol in [`crate::Hook::function`].
        symbol: String,
    },
    /// Control characters in a text for people.
    #[error("{what} has control characters")]
    Text {
        /// Which text.
        what: &'static str,
    },
    /// The rest of a long list.
    #[error("and {0} more")]
    More(usize),
}

/// The beginning of a string of a program, in quotes, as a terminal may show it.
#[must_use]
pub fn literal(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text: String = text.trim_end_matches('\0').chars().take(40).collect();
    format!("{text:?}")
}

/// A name from a hostile file, in backquotes.
fn quoted(name: &str) -> impl fmt::Display {
    format!("`{}`", printable(name))
}

/// Text from a hostile file, for a terminal: without control characters, and cut after 240 characters.
pub(crate) fn printable(text: &str) -> String {
    const MOST: usize = 240;
    let escaped = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    let mut shown: String = text.chars().take(MOST).map(escaped).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(quoted("a\x1b[2Jb").to_string(), "`a\\u{1b}[2Jb`");
        assert_eq!(quoted(&"x".repeat(500)).to_string().len(), 240 + 3 + 2);
    }
}
