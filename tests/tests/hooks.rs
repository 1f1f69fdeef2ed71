//! Hooks on busy programs, and shadow variables of several patches.

use anyhow::{Result, ensure};
use livepatch_tests::case::{apply, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::Target;
use livepatch_tests::tools::{Finished, livepatch, patchgen};

fn revert(target: &Target, name: &str) -> Result<Finished> {
    livepatch(["revert", "--pid", &target.pid_text(), name])?.expect(0)
}

fn check_answer(target: &mut Target, question: &str, wanted: &str) -> Result<()> {
    let answer = target.ask(question)?;
    ensure!(answer == wanted, "answered `{answer}`, wanted `{wanted}`");
    Ok(())
}

#[test]
fn a_hook_may_allocate_while_others_do() -> Result<()> {
    let program = Program::build("scenarios/hooks", "hooks_allocate")?;
    program.patch()?;
    let mut target = start(&program)?;
    for _ in 0..10 {
        apply(&target, &program)?;
        check_answer(&mut target, "40", "41")?;
        revert(&target, "fix")?;
        check_answer(&mut target, "40", "40")?;
    }
    target.check_undisturbed()
}

/// A second patch, made from the source with the first one.
fn second(program: &Program) -> Result<()> {
    let (old, new) = (program.object("new.c")?, program.object("newer.c")?);
    let output = program.path("more.lpatch");
    patchgen([
        old.as_os_str(),
        new.as_os_str(),
        "-o".as_ref(),
        output.as_os_str(),
    ])?
    .expect(0)?;
    Ok(())
}

#[test]
fn patches_share_a_shadow_variable_until_the_last_one_goes() -> Result<()> {
    let program = Program::build("scenarios/shadow", "shadow_shared")?;
    program.patch()?;
    second(&program)?;
    let mut target = start(&program)?;
    let before = Snapshot::take(target.pid())?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "41")?;
    check_answer(&mut target, "answer 40", "42")?;
    apply_with(&target, &program, &["more.lpatch"])?.expect(0)?;
    check_answer(&mut target, "other 20", "43")?;
    revert(&target, "fix")?;
    check_answer(&mut target, "answer 40", "40")?;
    check_answer(&mut target, "other 20", "44")?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "45")?;
    revert(&target, "more")?;
    check_answer(&mut target, "answer 40", "46")?;
    revert(&target, "fix")?;
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    apply(&target, &program)?;
    check_answer(&mut target, "answer 40", "41")?;
    target.check_undisturbed()
}
