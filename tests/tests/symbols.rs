//! Debuggers and profilers find their way through new code.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, start};
use livepatch_tests::program::Program;
use livepatch_tests::target::Target;
use livepatch_tests::tools::{livepatch, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A program with a thread that is in the new version of `slow`, and its files of symbols.
fn inside_new_code(test: &str) -> Result<(Target, PathBuf)> {
    let program = Program::build("scenarios/busy", test)?;
    program.patch()?;
    let mut target = start(&program)?;
    apply(&target, &program)?;
    target.ask("enter")?;
    let directory = std::path::absolute(program.path("symbols"))?;
    fs::create_dir_all(&directory)?;
    let arguments = ["symbols", "--pid", &target.pid_text(), "--directory"];
    let mut arguments: Vec<_> = arguments.map(Into::into).into();
    arguments.push(directory.clone());
    livepatch(arguments)?.expect(0)?;
    Ok((target, directory))
}

#[test]
fn gdb_walks_through_new_code() -> Result<()> {
    let (mut target, directory) = inside_new_code("symbols_gdb")?;
    let commands = directory.join(format!("livepatch-{}.gdb", target.pid()));
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-p", &target.pid_text(), "-x"]);
    gdb.arg(commands)
        .args(["-ex", "thread apply all backtrace"]);
    let trace = run(&mut gdb)?.expect(0)?.stdout;
    let frames: Vec<&str> = trace.lines().collect();
    let inside = frames
        .iter()
        .position(|line| line.contains(" slow ("))
        .with_context(|| format!("no frame of `slow`:\n{trace}"))?;
    let callers = frames[inside..]
        .iter()
        .take_while(|line| line.starts_with('#'));
    let known = |name: &str| callers.clone().any(|line| line.contains(name));
    ensure!(
        known("start_thread") || known("main ("),
        "the walk ends in new code:\n{trace}"
    );
    target.ask("leave")?;
    let answer = target.ask("ask")?;
    ensure!(answer == "2", "answered `{answer}`");
    Ok(())
}

#[test]
fn perf_gets_the_names_of_new_code() -> Result<()> {
    let (target, directory) = inside_new_code("symbols_perf")?;
    let map = fs::read_to_string(directory.join(format!("perf-{}.map", target.pid())))?;
    let slow = map
        .lines()
        .find(|line| line.ends_with(" slow"))
        .with_context(|| format!("no line for `slow`:\n{map}"))?;
    let listed = livepatch(["list", "--pid", &target.pid_text()])?.expect(0)?;
    let (start, _) = slow.split_once(' ').context("fields")?;
    ensure!(
        listed.stdout.contains(&format!("-> 0x{start}")),
        "{slow}\n{listed}"
    );
    Ok(())
}

#[test]
fn a_process_without_patches_has_no_symbols_to_write() -> Result<()> {
    let program = Program::build("scenarios/busy", "symbols_none")?;
    let target = start(&program)?;
    let written = livepatch(["symbols", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(written.stdout.contains("no patch"), "{written}");
    Ok(())
}
