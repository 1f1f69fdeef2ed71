// SPDX-License-Identifier: GPL-2.0
//! Commands, as they are written to the device: text, one command a write.
//!
//! ```text
//! apply NAME MODULE DEADLINE           milliseconds
//! function OLD SIZE NEW SIZE SYMBOL    addresses and sizes in hexadecimal digits
//! busy ADDRESS SIZE SYMBOL             may be on no stack either: split-off pieces
//! end
//!
//! revert NAME DEADLINE
//! end
//! ```
//!
//! Whoever writes it may be wrong or hostile: nothing here panics, and every number is checked before it is used.
#![forbid(unsafe_code)]

use crate::name::Name;
use core::ops::Range;

/// Longest command that is read, in bytes.
pub const MAX_COMMAND: usize = 64 * 1024;
/// No function of a kernel is larger, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// Longest deadline, in milliseconds: the device is locked meanwhile.
pub const MAX_DEADLINE: u64 = 600_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Redirect functions to those of a module.
    Apply(Apply<'a>),
    /// Take it back.
    Revert {
        /// The patch.
        name: Name,
        /// How long to go on trying, in milliseconds.
        deadline: u64,
    },
}

/// The request to apply a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apply<'a> {
    /// What it is called.
    pub name: Name,
    /// The module with the new code.
    pub module: Name,
    /// How long to go on trying, in milliseconds.
    pub deadline: u64,
    /// The lines that follow, which were all read once.
    lines: &'a str,
}

/// A line of [`Apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A function and what takes its place.
    Function(Function),
    /// More code that may be on no stack.
    Busy(Range<usize>),
}

/// A function and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, for messages.
    pub symbol: Name,
    /// Where the old code lies.
    pub old: Range<usize>,
    /// Where the new code lies.
    pub new: Range<usize>,
}

/// Why a command is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadCommand {
    /// It is longer than [`MAX_COMMAND`], or no text.
    NoText,
    /// It has no lines, an unknown one, or too few or too many words.
    Line,
    /// A name is longer than [`crate::name::MAX_NAME`] bytes.
    Name,
    /// A number is none, zero or too large, or a range goes beyond the address space.
    Number,
    /// Its last line is not `end`.
    End,
}

impl<'a> Command<'a> {
    /// Reads a command.
    ///
    /// # Errors
    /// When any line of it breaks the format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadCommand> {
        let text = core::str::from_utf8(bytes).map_err(|_| BadCommand::NoText)?;
        if text.len() > MAX_COMMAND {
            return Err(BadCommand::NoText);
        }
        let (first, rest) = text.split_once('\n').ok_or(BadCommand::Line)?;
        let lines = rest.strip_suffix("end\n").ok_or(BadCommand::End)?;
        let mut words = first.split(' ');
        let command = match words.next() {
            Some("apply") => Self::Apply(Apply {
                name: name(words.next())?,
                module: name(words.next())?,
                deadline: deadline(words.next())?,
                lines,
            }),
            Some("revert") if lines.is_empty() => Self::Revert {
                name: name(words.next())?,
                deadline: deadline(words.next())?,
            },
            _ => return Err(BadCommand::Line),
        };
        if words.next().is_some() {
            return Err(BadCommand::Line);
        }
        if let Self::Apply(apply) = &command {
            apply.check()?;
        }
        Ok(command)
    }
}

impl Apply<'_> {
    /// What is redirected, and what else may be on no stack.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.lines.lines().filter_map(|line| part(line).ok())
    }

    /// What is redirected.
    pub fn functions(&self) -> impl Iterator<Item = Function> {
        self.parts().filter_map(|part| match part {
            Part::Function(function) => Some(function),
            Part::Busy(_) => None,
        })
    }

    fn check(&self) -> Result<(), BadCommand> {
        self.lines
            .lines()
            .try_for_each(|line| part(line).map(drop))?;
        self.functions().next().map(drop).ok_or(BadCommand::Line)
    }
}

fn part(line: &str) -> Result<Part, BadCommand> {
    let mut words = line.split(' ');
    let part = match words.next() {
        Some("function") => {
            let old = range(words.next(), words.next())?;
            let new = range(words.next(), words.next())?;
            let symbol = name(words.next())?;
            Part::Function(Function { symbol, old, new })
        }
        Some("busy") => {
            let busy = range(words.next(), words.next())?;
            name(words.next())?;
            Part::Busy(busy)
        }
        _ => return Err(BadCommand::Line),
    };
    match words.next() {
        None => Ok(part),
        Some(_) => Err(BadCommand::Line),
    }
}

fn name(word: Option<&str>) -> Result<Name, BadCommand> {
    let word = word
        .filter(|word| !word.is_empty())
        .ok_or(BadCommand::Line)?;
    Name::new(word).ok_or(BadCommand::Name)
}

fn deadline(word: Option<&str>) -> Result<u64, BadCommand> {
    let number = word.ok_or(BadCommand::Line)?.parse().ok();
    number
        .filter(|time| *time <= MAX_DEADLINE)
        .ok_or(BadCommand::Number)
}

fn range(start: Option<&str>, size: Option<&str>) -> Result<Range<usize>, BadCommand> {
    let (start, size) = (number(start)?, number(size)?);
    let end = start.checked_add(size).ok_or(BadCommand::Number)?;
    if start == 0 || size == 0 || size > MAX_SIZE {
        return Err(BadCommand::Number);
    }
    Ok(start..end)
}

fn number(word: Option<&str>) -> Result<usize, BadCommand> {
    let word = word.ok_or(BadCommand::Line)?;
    usize::from_str_radix(word, 16).map_err(|_| BadCommand::Number)
}
