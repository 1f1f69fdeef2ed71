//! Targets that do not hold still: threads that come and go, signals, a client that is killed.

use anyhow::{Context, Result, ensure};
use livepatch_tests::case::{apply, apply_command, apply_with, start};
use livepatch_tests::program::Program;
use livepatch_tests::snapshot::{Extent, Snapshot};
use livepatch_tests::target::{Target, dying};
use livepatch_tests::tools::{finish, livepatch, run, spawn};
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

/// How often a patch goes in and out.
const ROUNDS: usize = 10;

/// How often it does under load: `$LIVEPATCH_ROUNDS`.
fn many_rounds() -> Result<usize> {
    match std::env::var("LIVEPATCH_ROUNDS") {
        Ok(rounds) => rounds.parse().context("`LIVEPATCH_ROUNDS` is no number"),
        Err(_) => Ok(2 * ROUNDS),
    }
}

fn scenario(name: &str, test: &str) -> Result<(Program, Target)> {
    let program = Program::build(&format!("scenarios/{name}"), test)?;
    program.patch()?;
    let target = start(&program)?;
    Ok((program, target))
}

fn in_and_out(target: &Target, program: &Program) -> Result<()> {
    for _ in 0..ROUNDS {
        apply(target, program)?;
        livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    }
    Ok(())
}

#[test]
fn threads_that_come_and_go_are_all_stopped() -> Result<()> {
    let (program, mut target) = scenario("churn", "churn")?;
    target.ask("start")?;
    let before: u64 = target.ask("threads")?.parse()?;
    in_and_out(&target, &program)?;
    target.ask("stop")?;
    let after: u64 = target.ask("threads")?.parse()?;
    ensure!(after > before, "no thread came");
    ensure!(target.ask("wrong")? == "0", "an answer was wrong");
    target.check_undisturbed()
}

/// What a patch costs is given back each time, while two threads call the function without pause.
#[test]
fn many_rounds_under_load_leave_nothing() -> Result<()> {
    let (program, mut target) = scenario("load", "many_rounds")?;
    target.ask("start")?;
    apply(&target, &program)?;
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    let before = Footprint::of(&target)?;
    for _ in 0..many_rounds()? {
        apply(&target, &program)?;
        livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    }
    let after = Footprint::of(&target)?;
    ensure!(before == after, "{before:?} became {after:?}");
    let counts = target.ask("stop")?;
    let (calls, wrong) = counts.split_once(' ').context("malformed answer")?;
    ensure!(
        wrong == "0" && calls != "0",
        "{wrong} of {calls} answers were wrong"
    );
    target.check_undisturbed()
}

/// What a process has, beside contents.
#[derive(Debug, PartialEq, Eq)]
struct Footprint {
    mappings: String,
    descriptors: usize,
    threads: usize,
}

impl Footprint {
    fn of(target: &Target) -> Result<Self> {
        let proc = std::path::PathBuf::from(format!("/proc/{}", target.pid()));
        let count = |what| Ok::<_, std::io::Error>(std::fs::read_dir(proc.join(what))?.count());
        Ok(Self {
            mappings: std::fs::read_to_string(proc.join("maps"))?,
            descriptors: count("fd")?,
            threads: count("task")?,
        })
    }
}

#[test]
fn ten_thousand_threads() -> Result<()> {
    let (program, mut target) = scenario("legion", "legion")?;
    ensure!(target.ask("start")? == "10000", "not all could be started");
    apply(&target, &program)?;
    ensure!(target.ask("40")? == "42", "the patch is not in force");
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    ensure!(target.ask("40")? == "41", "the patch is still in force");
    target.check_undisturbed()
}

#[test]
fn signals_are_neither_lost_nor_invented() -> Result<()> {
    let (program, mut target) = scenario("signals", "signals")?;
    target.ask("start")?;
    in_and_out(&target, &program)?;
    let counts = target.ask("stop")?;
    let counts: Vec<u64> = counts
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [sent, handled, interrupted] = counts[..] else {
        anyhow::bail!("malformed answer {counts:?}");
    };
    ensure!(sent > 100, "only {sent} signals were sent");
    ensure!(
        handled == sent && interrupted == sent,
        "{sent} signals sent, {handled} handled, {interrupted} EINTR"
    );
    target.check_undisturbed()
}

/// A signal that only the mask of a waiting call keeps back does not end that call.
#[test]
fn a_wait_that_keeps_a_signal_back_goes_on() -> Result<()> {
    let (program, mut target) = scenario("waiting", "kept_back")?;
    target.tell("hold")?;
    thread::sleep(Duration::from_millis(200));
    let mut kill = Command::new("kill");
    run(kill.args(["-USR1", &target.pid_text()]))?.expect(0)?;
    apply(&target, &program)?;
    target.check_undisturbed()
}

#[test]
fn a_target_that_ends_meanwhile_is_an_error() -> Result<()> {
    let (program, mut target) = scenario("busy", "ends_meanwhile")?;
    target.ask("enter")?;
    let applying = spawn(&mut apply_command(&target, &program, &["fix.lpatch"])?)?;
    thread::sleep(Duration::from_millis(200));
    let pid = target.pid_text();
    drop(target);
    finish(applying)?.expect_error(1, &pid).map(drop)
}

/// The client dies at some moment; the target is old or new, and whoever comes next puts it right.
#[test]
fn a_killed_client_leaves_the_target_whole() -> Result<()> {
    let (program, mut target) = scenario("stacked", "killed_client")?;
    apply(&target, &program)?;
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    let before = Snapshot::take(target.pid())?;
    for round in 0..3 * ROUNDS {
        let plain = apply_command(&target, &program, &["fix.lpatch"])?;
        let mut command = dying(plain.get_program());
        command.args(plain.get_args()).current_dir(program.path(""));
        let mut client = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        thread::sleep(Duration::from_millis(round as u64));
        client.kill()?;
        client.wait()?;
        let answer = target.ask("40")?;
        ensure!(answer == "41" || answer == "42", "answered {answer}");
        put_right(&target, &program)?;
        ensure!(target.ask("40")? == "42", "the patch is not in force");
        livepatch(["revert", "--pid", &target.pid_text(), "fix"])?.expect(0)?;
    }
    before.check_same(&Snapshot::take(target.pid())?, Extent::Mapped)?;
    target.check_undisturbed()
}

/// Two administrators at once: one of them wins, and nothing of the other stays.
#[test]
fn two_commands_at_once_leave_one_patch() -> Result<()> {
    let (program, mut target) = scenario("stacked", "two_at_once")?;
    apply(&target, &program)?;
    livepatch(["revert", "--pid", &target.pid_text()])?.expect(0)?;
    let before = Snapshot::take(target.pid())?;
    for round in 0..ROUNDS {
        let one = apply_command(&target, &program, &["fix.lpatch"])?;
        let one = spawn(&mut in_another_network(&one))?;
        thread::sleep(Duration::from_millis(round as u64));
        let other = apply_with(&target, &program, &["fix.lpatch"])?;
        let one = finish(one)?;
        ensure!(
            one.status == 0 || other.status == 0,
            "both failed: {one}{other}"
        );
        ensure!(target.ask("40")? == "42", "the patch is not in force");
        livepatch(["revert", "--pid", &target.pid_text(), "fix"])?.expect(0)?;
        before
            .check_same(&Snapshot::take(target.pid())?, Extent::Mapped)
            .with_context(|| format!("after\n{one}{other}"))?;
    }
    target.check_undisturbed()
}

/// The same command in a network namespace of its own, where abstract sockets of others are not seen.
fn in_another_network(command: &Command) -> Command {
    let mut outer = Command::new("unshare");
    outer
        .args(["--net", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Applies the patch, whatever state the process is in. Tries again while the guardian of the client that
/// was killed is still at work.
fn put_right(target: &Target, program: &Program) -> Result<()> {
    let begin = Instant::now();
    loop {
        let applied = apply_with(target, program, &["fix.lpatch"])?;
        if applied.status == 0 {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(20), "{applied}");
        thread::sleep(Duration::from_millis(20));
    }
}
