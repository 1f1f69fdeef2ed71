//! What every case goes through: build, ask, patch, ask, revert, ask, and compare memory.

use crate::directives::Outcome;
use crate::program::Program;
use crate::snapshot::{Extent, Snapshot};
use crate::target::Target;
use crate::tools::{Finished, livepatch, run, tool};
use anyhow::{Context, Result, bail, ensure};
use std::process::Command;

/// Runs the case `tests/cases/NAME`.
///
/// # Errors
/// With what went otherwise than the case's directives say.
pub fn run_case(name: &str) -> Result<()> {
    let program = Program::build(&format!("cases/{name}"), &format!("cases/{name}"))?;
    let (old, new) = (program.version("old"), program.version("new"));
    let made = program.patchgen(&old, &new, "fix.lpatch")?;
    program.check_old()?;
    match &program.directives.outcome {
        Outcome::NoChange => {
            made.expect(3)?;
            check_no_bundle(&program)
        }
        Outcome::PatchgenRefuses(text) => {
            made.expect_error(4, text)?;
            check_no_bundle(&program)
        }
        Outcome::ApplyRefuses(text) => {
            made.expect(0)?;
            check_refused(&program, text)
        }
        Outcome::Patched => {
            made.expect(0)?;
            check_patched(&program)
        }
    }
}

fn check_no_bundle(program: &Program) -> Result<()> {
    let bundle = program.path("fix.lpatch");
    ensure!(!bundle.exists(), "`{}` was written", bundle.display());
    Ok(())
}

fn check_refused(program: &Program, text: &str) -> Result<()> {
    let mut target = start(program)?;
    refuse(&mut target, program, text)?;
    answers(&mut target, program, &program.directives.before)
}

/// Applies `fix.lpatch`, which must be refused with `text` and leave all memory as it was.
///
/// # Errors
/// When it is not refused, or the target was changed.
pub fn refuse(target: &mut Target, program: &Program, text: &str) -> Result<()> {
    let before = Snapshot::take(target.pid())?;
    apply_with(target, program, &["fix.lpatch"])?.expect_error(4, text)?;
    let after = Snapshot::take(target.pid())?;
    before.check_same(&after, Extent::Everything)?;
    target.check_undisturbed()
}

fn check_patched(program: &Program) -> Result<()> {
    let directives = &program.directives;
    let mut target = start(program)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, program)?;
    target.check_undisturbed()?;
    answers(&mut target, program, &directives.output).context("with the patch")?;
    check_listed(&target)?;
    check_reverted(&mut target, program, &before)?;
    target.end()
}

/// Reverts the patch and fails unless the target is as it was, but for memory that is to stay.
///
/// # Errors
/// What is not.
pub fn check_reverted(target: &mut Target, program: &Program, before: &Snapshot) -> Result<()> {
    let directives = &program.directives;
    if directives.kept {
        let reverted = livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
        let told = reverted.stdout.contains("its memory stays");
        ensure!(told, "the memory does not stay: {reverted}");
        return answers(target, program, &directives.after).context("after the revert");
    }
    // An exception that new code caught leaves addresses of its handler in freed memory, until the next one is thrown.
    revert_asking(target, &directives.ask)?;
    let after = Snapshot::take(target.pid())?;
    before
        .check_same(&after, Extent::Mapped)
        .context("after the revert")?;
    target.check_undisturbed()?;
    answers(target, program, &directives.after).context("after the revert")
}

/// Fails unless `livepatch list` shows the patch.
///
/// # Errors
/// When it does not.
pub fn check_listed(target: &Target) -> Result<()> {
    let list = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    let shown = list.stdout.contains("fix");
    ensure!(shown, "the patch is not listed: {list}");
    Ok(())
}

/// How often a revert is repeated while a word left on a stack holds the patch's memory.
const REVERTS_MAX: usize = 5;

/// Reverts. A string of the patch that the program printed may still be on its stack: then the memory is retired, and goes
/// once its stack is overwritten.
///
/// # Errors
/// When it fails, or the memory stays.
pub fn revert(target: &mut Target) -> Result<()> {
    revert_asking(target, "scrub")
}

/// Reverts, and puts `question` while the memory stays.
///
/// # Errors
/// When it fails, or the memory stays.
pub fn revert_asking(target: &mut Target, question: &str) -> Result<()> {
    for _ in 0..REVERTS_MAX {
        let reverted = livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
        if !reverted.stdout.contains("its memory stays") {
            return Ok(());
        }
        target.ask("scrub")?;
        target.ask(question)?;
    }
    bail!("the memory is still held after {REVERTS_MAX} reverts")
}

/// Starts the program and checks what it answers before the patch.
///
/// # Errors
/// When it answers otherwise.
pub fn start(program: &Program) -> Result<Target> {
    let mut target = program.start()?;
    answers(&mut target, program, &program.directives.before).context("before the patch")?;
    Ok(target)
}

/// Applies the case's patch, `fix.lpatch`.
///
/// # Errors
/// When that fails.
pub fn apply(target: &Target, program: &Program) -> Result<()> {
    apply_with(target, program, &["fix.lpatch"])?
        .expect(0)
        .map(drop)
}

/// Runs `livepatch apply` with the case's and these arguments.
///
/// # Errors
/// When it cannot be run.
pub fn apply_with(target: &Target, program: &Program, arguments: &[&str]) -> Result<Finished> {
    run(&mut apply_command(target, program, arguments)?)
}

/// The command `livepatch apply` with the case's and these arguments, in the directory of compiled
/// files.
///
/// # Errors
/// When `livepatch` has not been built.
pub fn apply_command(target: &Target, program: &Program, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(tool("livepatch")?);
    command
        .current_dir(program.path(""))
        .args(["apply", "--pid", &target.pid_text()])
        .args(&program.directives.apply)
        .args(arguments);
    Ok(command)
}

/// Asks as many questions as there are expected answers, and compares.
///
/// # Errors
/// When an answer is another.
pub fn answers(target: &mut Target, program: &Program, expected: &[String]) -> Result<()> {
    for wanted in expected {
        let answer = target.ask(&program.directives.ask)?;
        ensure!(answer == *wanted, "answered `{answer}`, wanted `{wanted}`");
    }
    Ok(())
}
