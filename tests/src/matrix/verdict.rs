//! What comes of a case in one form.

use super::Cell;
use crate::case::{answers, apply_with, check_listed, check_reverted, start};
use crate::directives::Outcome;
use crate::program::Program;
use crate::snapshot::{Extent, Snapshot};
use anyhow::{Context, Result, bail};
use std::fmt;

/// What came of a case in one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Applied, right, reverted, and memory is as it was.
    Patched,
    /// `patchgen` found no functional change.
    NoChange,
    /// `patchgen` refused, with this text.
    PatchgenRefuses(String),
    /// `livepatch apply` refused, with this text, and memory is as it was.
    ApplyRefuses(String),
    /// The form makes no sense for the case.
    NotAsked,
    /// The compiler or the linker complained: the case is no valid program in this form.
    NotCompiled(String),
    /// Something went wrong.
    Failed(String),
}

impl Verdict {
    /// Its letter in the table.
    #[must_use]
    pub fn letter(&self) -> char {
        match self {
            Self::Patched => 'P',
            Self::NoChange => '=',
            Self::PatchgenRefuses(_) => 'g',
            Self::ApplyRefuses(_) => 'a',
            Self::NotAsked => '-',
            Self::NotCompiled(_) => '.',
            Self::Failed(_) => '!',
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patched => f.write_str("patched"),
            Self::NoChange => f.write_str("no change"),
            Self::PatchgenRefuses(text) => write!(f, "refused by patchgen: {text}"),
            Self::ApplyRefuses(text) => write!(f, "refused by livepatch: {text}"),
            Self::NotAsked => f.write_str("not asked"),
            Self::NotCompiled(text) => write!(f, "not compiled: {text}"),
            Self::Failed(text) => write!(f, "failed: {text}"),
        }
    }
}

/// Compiles, patches and reverts a case in one form; what it expects comes with the verdict.
///
/// # Errors
/// When the case's directives are wrong.
pub fn verdict(cell: &Cell, directory: &str) -> Result<(Verdict, Outcome)> {
    let Cell { case, form } = cell;
    let program = Program::read(&format!("cases/{case}"), directory, Some(form))?;
    let expected = program.directives.outcome.clone();
    let asked = if program.is_in("cc") {
        form.is("c++")
    } else {
        true
    };
    if !asked || !program.directives.takes(form) {
        return Ok((Verdict::NotAsked, expected));
    }
    if let Err(error) = program.make() {
        return Ok((Verdict::NotCompiled(format!("{error:#}")), expected));
    }
    let verdict = patched(&program).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
    program.remove()?;
    Ok((verdict, expected))
}

fn patched(program: &Program) -> Result<Verdict> {
    let (old, new) = (program.version("old"), program.version("new"));
    let made = program.patchgen(&old, &new, "fix.lpatch")?;
    match made.status {
        0 => applied(program),
        3 => Ok(Verdict::NoChange),
        4 => Ok(Verdict::PatchgenRefuses(made.stderr)),
        _ => bail!("{made}"),
    }
}

fn applied(program: &Program) -> Result<Verdict> {
    let mut target = start(program)?;
    let before = Snapshot::take(target.pid())?;
    let applied = apply_with(&target, program, &["fix.lpatch"])?;
    let refused = match applied.status {
        0 => false,
        4 => true,
        _ => bail!("{applied}"),
    };
    if refused {
        let after = Snapshot::take(target.pid())?;
        // Where a hook ran, the process's own unwinder was told of new code, for which some allocate.
        let extent = match applied.stderr.contains(" hook `") {
            true => Extent::Mapped,
            false => Extent::Everything,
        };
        before.check_same(&after, extent)?;
        target.check_undisturbed()?;
        return Ok(Verdict::ApplyRefuses(applied.stderr));
    }
    target.check_undisturbed()?;
    answers(&mut target, program, &program.directives.output).context("with the patch")?;
    check_listed(&target)?;
    check_reverted(&mut target, program, &before)?;
    target.end()?;
    Ok(Verdict::Patched)
}
