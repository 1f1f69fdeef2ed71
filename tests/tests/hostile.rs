//! Processes that do what they can to harm whoever looks at them. `livepatch` runs as root here: it must neither crash nor hang
//! (the tools' deadline ends the test), write to nothing but the process, and print nothing that a terminal obeys.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{Finished, finish, livepatch, spawn, tool};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn scenario(test: &str) -> Result<(Program, Target)> {
    let program = Program::build("scenarios/hostile", test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

/// Fails when anything that was printed commands a terminal, or `livepatch` panicked or was killed.
fn civil(finished: Finished) -> Result<Finished> {
    let printed = [&finished.stdout, &finished.stderr];
    let controls = |text: &&String| text.chars().any(|c| c != '\n' && c.is_control());
    ensure!(!printed.iter().any(controls), "{finished:?}");
    ensure!(!finished.stderr.contains("panicked"), "{finished}");
    ensure!(finished.status <= 5, "{finished}");
    Ok(finished)
}

fn verb(verb: &str, target: &Target) -> Result<Finished> {
    civil(livepatch([verb, "--pid", &target.pid_text()])?)
}

/// Every verb; whatever is said about the target, it is said politely.
fn every_verb(target: &Target, program: &Program) -> Result<()> {
    verb("list", target)?;
    civil(livepatch(["list", "--pid", &target.pid_text(), "--json"])?)?;
    civil(apply_with(target, program, &["--dry-run", "fix.lpatch"])?)?;
    civil(apply_with(target, program, &["--json", "fix.lpatch"])?)?;
    verb("list", target)?;
    verb("revert", target).map(drop)
}

/// The patch goes in and out all the same.
fn in_and_out(target: &mut Target, program: &Program) -> Result<()> {
    civil(apply_with(target, program, &["fix.lpatch"])?)?.expect(0)?;
    ensure!(target.ask("40")? == "42", "the patch is not in force");
    let list = verb("list", target)?.expect(0)?;
    ensure!(list.stdout.contains("fix  active"), "{list}");
    verb("revert", target)?.expect(0)?;
    ensure!(target.ask("40")? == "41", "the patch is still in force");
    target.check_undisturbed()
}

#[test]
fn a_name_that_commands_terminals() -> Result<()> {
    let (program, mut target) = scenario("hostile_name")?;
    target.ask("name")?;
    every_verb(&target, &program)?;
    in_and_out(&mut target, &program)
}

#[test]
fn a_file_name_that_commands_terminals() -> Result<()> {
    let program = Program::build("scenarios/hostile", "hostile_file")?;
    program.patch()?;
    let evil = program.path("a\u{1b}[2J\n1 fake  fix  active\u{9b}\u{202e}");
    fs::copy(program.executable(), &evil)?;
    let mut target = Target::start(&mut dying(&evil))?;
    every_verb(&target, &program)?;
    let applied = civil(apply_with(&target, &program, &["fix.lpatch"])?)?.expect(0)?;
    ensure!(applied.stdout.lines().count() == 1, "{applied}");
    let list = verb("list", &target)?.expect(0)?;
    ensure!(!list.stdout.contains("\n1 fake"), "{list}");
    target.check_undisturbed()
}

#[test]
fn forged_records() -> Result<()> {
    let (program, mut target) = scenario("hostile_records")?;
    target.ask("forge")?;
    verb("list", &target)?.expect_error(4, "cannot read")?;
    verb("revert", &target)?.expect_error(4, "cannot read")?;
    in_and_out(&mut target, &program)
}

#[test]
fn a_loaders_list_without_end() -> Result<()> {
    let (program, mut target) = scenario("hostile_list")?;
    target.ask("loop")?;
    every_verb(&target, &program)?;
    target.check_undisturbed()
}

#[test]
fn elf_headers_that_lie() -> Result<()> {
    let (program, mut target) = scenario("hostile_headers")?;
    target.ask("lie")?;
    every_verb(&target, &program)?;
    target.check_undisturbed()
}

/// A page of it is served by itself (userfaultfd), and it does not answer.
#[test]
fn memory_that_nobody_provides() -> Result<()> {
    const WHY: &str = "what should provide it (userfaultfd, FUSE) has not answered";
    let (program, mut target) = scenario("hostile_withheld")?;
    target.ask("withhold")?;
    let pid = target.pid_text();
    let bundle = program.path("fix.lpatch");
    let commands = [
        vec!["list", "--pid", &pid],
        vec!["check", "--pid", &pid, "fix.lpatch"],
        vec!["apply", "--pid", &pid, "--pid", "1", "fix.lpatch"],
        vec!["list", "--lib", "no-such-library.so"],
    ];
    let run = |arguments: &Vec<&str>| {
        let mut command = Command::new(tool("livepatch")?);
        spawn(
            command
                .current_dir(bundle.parent().context("a directory")?)
                .args(arguments),
        )
    };
    let running = commands.iter().map(run).collect::<Result<Vec<_>>>()?;
    let [list, check, many, search] = running
        .into_iter()
        .map(|one| civil(finish(one)?))
        .collect::<Result<Vec<_>>>()?
        .try_into()
        .ok()
        .context("as many as were started")?;
    list.expect_error(1, WHY)?;
    check.expect_error(1, WHY)?;
    many.expect_error(1, WHY)?;
    search.expect_error(1, "no process runs or maps")?;
    ensure!(target.ask("40")? == "41", "the patch is in force");
    Ok(())
}

#[test]
fn thousands_of_images() -> Result<()> {
    let (program, mut target) = scenario("hostile_images")?;
    target.ask("crowd")?;
    verb("list", &target)?;
    civil(apply_with(&target, &program, &["--dry-run", "fix.lpatch"])?)?;
    target.check_undisturbed()
}

/// The target may read the file, `livepatch` may write it.
#[test]
fn a_file_in_the_place_of_ours() -> Result<()> {
    const TEXT: &str = "nobody may change this";
    let (program, mut target) = scenario("hostile_descriptor")?;
    let victim = program.path("victim");
    fs::write(&victim, TEXT)?;
    fs::set_permissions(&victim, Permissions::from_mode(0o444))?;
    let path = victim.to_str().context("a plain path")?;
    target.ask(&format!("substitute {path}"))?;
    for _ in 0..10 {
        civil(apply_with(&target, &program, &["fix.lpatch"])?)?;
        ensure!(fs::read_to_string(&victim)? == TEXT, "the file was written");
        verb("revert", &target)?;
    }
    Ok(())
}
