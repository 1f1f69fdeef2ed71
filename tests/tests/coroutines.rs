//! Functions that change while they are suspended on stacks that no thread runs on.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::Target;
use livepatch_tests::tools::livepatch;

/// The ways in which the host switches between stacks, and what saves the state.
const KINDS: [(&str, &str); 3] = [
    ("ucontext", "context"),
    ("jump", "jump buffer"),
    ("switch", "stack pointer"),
];

const DORMANT: &str = "on stacks that no thread runs on";

fn scenario(name: &str, test: &str) -> Result<(Program, Target)> {
    let program = Program::build(&format!("scenarios/{name}"), test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

/// Tries to apply, and returns what holds the switch back: `why`, in `work`.
fn held(target: &mut Target, program: &Program, why: &str) -> Result<String> {
    let tried = apply_with(target, program, &["--timeout", "200ms", "fix.lpatch"])?;
    let tried = tried.expect_error(3, why)?.expect_error(3, "`work`")?;
    ensure!(target.ask("40")? == "1", "the patch is in force");
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(listed.stdout.is_empty(), "{listed}");
    target.check_undisturbed()?;
    Ok(tried.stderr)
}

fn applied(target: &mut Target, program: &Program) -> Result<()> {
    apply(target, program)?;
    ensure!(target.ask("40")? == "2", "the patch is not in force");
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(target.ask("40")? == "1", "the patch is in force still");
    target.check_undisturbed()
}

#[test]
fn a_suspended_coroutine_holds_the_switch_back() -> Result<()> {
    let (program, mut target) = scenario("coroutine", "coroutine")?;
    for (kind, saved) in KINDS {
        target.ask(kind)?;
        target.ask("enter")?;
        let told = held(&mut target, &program, DORMANT).context(kind)?;
        ensure!(
            told.contains(&format!("to which the {saved} at ")),
            "{told}"
        );
        ensure!(
            target.ask("leave")? == "1",
            "{kind}: it went on in new code"
        );
        applied(&mut target, &program).context(kind)?;
    }
    Ok(())
}

#[test]
fn a_thread_that_runs_a_coroutine_has_a_stack_of_its_own() -> Result<()> {
    let (program, mut target) = scenario("coroutine", "coroutine_nest")?;
    for (kind, _) in KINDS {
        target.ask(kind)?;
        target.ask("nest")?;
        // Where a coroutine begins nothing tells that its stack ends, so everything that is the thread's is searched.
        held(&mut target, &program, "may return to").context(kind)?;
        target.ask("return")?;
        applied(&mut target, &program).context(kind)?;
    }
    Ok(())
}

#[test]
fn a_word_that_does_not_count_is_named() -> Result<()> {
    let (program, mut target) = scenario("coroutine", "coroutine_ignored")?;
    for (kind, _) in KINDS {
        target.ask(kind)?;
        target.ask("enter")?;
        let told = held(&mut target, &program, DORMANT).context(kind)?;
        let (_, rest) = told.split_once("by the word at ").context("no address")?;
        let (address, _) = rest.split_once(',').context("no end of the address")?;
        let arguments = ["--ignore-holder", address, "fix.lpatch"];
        apply_with(&target, &program, &arguments)?.expect(0)?;
        ensure!(target.ask("40")? == "2", "the patch is not in force");
        ensure!(
            target.ask("leave")? == "1",
            "{kind}: what runs on is old code"
        );
        livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    }
    target.check_undisturbed()
}

#[test]
fn what_is_suspended_just_before_the_switch_takes_it_back() -> Result<()> {
    let (program, mut target) = scenario("coroutine_meanwhile", "coroutine_meanwhile")?;
    for (kind, _) in KINDS {
        target.ask(kind)?;
        held(&mut target, &program, DORMANT).context(kind)?;
        ensure!(
            target.ask("leave")? == "1",
            "{kind}: it went on in new code"
        );
    }
    Ok(())
}
